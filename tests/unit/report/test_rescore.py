"""A recorded run is read again without a call, and what is read differently is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from thinkscore import Judge
from thinkscore.errors import BadInput
from thinkscore.lab import world
from thinkscore.report.rescore import Changes, read_setup
from thinkscore.types import Case

CASES = list(world.make(5, "test", 4))
# Two labels: ours takes the last region, the authors' evaluation takes it as an attempt to have it both ways.
BOTH = "I first thought [[A]].\n</think>\n<answer>[[B]]</answer>"
PLAIN = "<answer>[[A]]</answer>"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    texts = tmp_path / "texts.jsonl"
    rows = [{"case_id": case.id, "text": BOTH if i % 2 else PLAIN} for i, case in enumerate(CASES)]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Judge("rm_r1", f"scripted:{texts}", seed=11, journal=tmp_path / "run.journal") as judge:
        list(judge.judge(CASES))
    return tmp_path / "run.journal"


def reread(journal: Path, cases: list[Case] = CASES, **given: object) -> Changes:
    recorded = read_setup(journal)
    changes = Changes(recorded.make_protocol())
    with recorded.but(**given).replay(journal) as judge:
        for case, judgment in judge.run(cases):
            changes.add(case, judgment)
    return changes


def test_the_setup_is_the_manifest(journal: Path) -> None:
    setup = read_setup(journal)
    assert (setup.protocol, setup.strategy, setup.seed, setup.guard) == ("rm_r1", "vote:k=1", 11, "escape")
    assert (setup.parser, setup.template.name) == ("strict", "own")


def test_the_same_reading_changes_nothing(journal: Path) -> None:
    changes = reread(journal)
    assert (changes.verdicts, changes.count) == (4, 0)


def test_another_parser_changes_what_it_reads_differently(journal: Path) -> None:
    changes = reread(journal, parser="official_eval")
    assert changes.as_dict() == {"verdicts": 4, "changed": 2, "by_kind": {"winner -> ambiguous": 2}}


def test_a_run_is_judged_from_its_own_orders(journal: Path) -> None:
    with Judge("rm_r1", f"replay:{journal}", seed=11) as judge:
        expected = [judgment.winner for judgment in judge.judge(CASES)]
    with read_setup(journal).replay(journal) as judge:
        assert [judgment.winner for judgment in judge.judge(CASES)] == expected


def test_another_protocol_starts_from_its_own_settings(journal: Path) -> None:
    setup = read_setup(journal).but(parser="official_eval").but("rrm")
    assert (setup.protocol, setup.parser, setup.guard, setup.seed) == ("rrm", "strict", None, 11)


def test_without_a_manifest_the_run_must_be_described(journal: Path) -> None:
    Path(f"{journal}.manifest.json").unlink()
    with pytest.raises(BadInput, match=r"manifest\.json is not there; name the protocol and the strategy"):
        read_setup(journal, protocol="rm_r1")
    assert read_setup(journal, "rm_r1", "vote:k=1").make_protocol().id == "rm_r1"


@pytest.mark.parametrize("content", ["{", '{"protocol": 3, "strategy": "vote"}', "[]"])
def test_a_damaged_manifest_is_named(journal: Path, content: str) -> None:
    Path(f"{journal}.manifest.json").write_text(content)
    with pytest.raises(BadInput, match=r"manifest\.json"):
        read_setup(journal)


def test_a_bad_guard_is_named(journal: Path) -> None:
    with pytest.raises(BadInput, match="guard is escape or none; got 'some'"):
        read_setup(journal).but(guard="some").make_protocol()
