"""What changed in the reasoning is counted by hand, paired by case, and printed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from thinkscore import Judge
from thinkscore.cli import main
from thinkscore.data import case_row, judgment_row, write_rows
from thinkscore.lab import world
from thinkscore.stats import paired
from thinkscore.train.patterns import PATTERNS, Judged, Told, compare, measure
from thinkscore.types import Criterion, Line, Note, Trace, Usage

COUNTS = {
    "But wait, A is better than B.": (1, 1, 2, 0),
    "First, step by step; next, check again.": (0, 1, 0, 4),
    "However, on the other hand: compare both.": (2, 0, 2, 0),
    "Actually, I made a mistake. Hmm.": (0, 3, 0, 0),
    "A button, a waiter, the thirdhand stepladder": (0, 0, 0, 0),
    "let me double-check; firsthand": (0, 1, 0, 0),
    "BETTER, then worse": (0, 0, 2, 0),
}


@pytest.mark.parametrize(("text", "due"), COUNTS.items())
def test_pattern_words_are_whole_words(text: str, due: tuple[int, ...]) -> None:
    assert tuple(len(pattern.findall(text)) for pattern in PATTERNS.values()) == due


def row(name: str, *texts: str, tokens: int = 0) -> Judged:
    told = [Told(text, Trace(thinking=(Line(text),)) if text else Trace()) for text in texts]
    return Judged(name, tuple(told), Usage(len(texts), 0, tokens))


def test_a_case_is_measured_by_hand() -> None:
    """Two verdicts of 4 and 10 words, one failed request; 1 and 2 words of transition; the quote is not counted."""
    long = Trace(
        rubric=(Criterion("right"),),
        solution=(Line("but so it is"), Line("but no")),
        evaluation=(Note("however but", candidate=0, quote=True), Note("is fine so")),
    )
    short = Told("but wait a bit", Trace(thinking=(Line("but wait a bit"),)))
    judged = Judged("c", (short, Told(" w" * 10, long), Told("")), Usage(3, 9, 28))
    found = measure(judged)
    assert found is not None
    assert (found.words, found.tokens) == (7, 14)
    assert found.rates["transition"] == pytest.approx((100 * 1 / 4 + 100 * 2 / 10) / 2)
    assert found.rates["reflection"] == pytest.approx(100 / 4 / 2)
    assert found.shares == {"transition": 1, "reflection": 0.5, "comparison": 0, "breakdown": 0}
    assert found.sections == {"thinking": 0.5, "rubric": 0.5, "justification": 0, "solution": 1, "evaluation": 1}


def test_runs_are_paired_by_case_whatever_their_order() -> None:
    before = [row("a", "one two"), row("b", "one"), row("c", "one"), row("x", "one"), row("failed", "")]
    after = [row("c", "one but"), row("new", "one"), row("b", "one two three"), row("a", "one two"), row("x", "")]
    tags: dict[str, dict[str, str | int]] = {
        "a": {"level": 10, "id": "a"}, "b": {"level": 2, "kind": "k"}, "c": {"level": 2, "kind": "k"}
    }  # fmt: skip
    found = compare(before, after, tags, seed=3)
    assert found["cases"] == {"both": 3, "only_before": 1, "only_after": 1}
    assert found["unit"] == "words"
    low, high = paired([2, 3, 2], [1, 1, 2], 3)
    assert found["length"] == {"n": 3, "before": pytest.approx(4 / 3), "after": pytest.approx(7 / 3),
                               "difference": pytest.approx(1), "interval": [low, high]}  # fmt: skip
    assert list(found["length_by"]) == ["level"]  # a tag with one value groups nothing
    assert {value: one["difference"] for value, one in found["length_by"]["level"].items()} == {"2": 1.5, "10": 0}
    assert list(found["length_by"]["level"]) == ["2", "10"]
    together = compare(before, after, tags, by=["kind+level", "id"])["length_by"]
    assert {tag: list(values) for tag, values in together.items()} == {"kind+level": ["k 2"], "id": ["a"]}
    assert found["shares"]["transition"]["difference"] == pytest.approx(1 / 3)
    assert found["rates"]["transition"]["after"] == pytest.approx(50 / 3)


def test_tokens_are_the_length_where_both_runs_counted_them() -> None:
    before, after = [row("a", "one two", tokens=30)], [row("a", "one", tokens=12)]
    assert compare(before, after)["unit"] == "tokens"
    assert compare(before, after)["length"]["difference"] == -18
    assert compare(before, [row("a", "one")])["unit"] == "words"


def test_nothing_in_common_is_told_as_such() -> None:
    found = compare([row("a", "one")], [row("b", "one")])
    assert found["cases"] == {"both": 0, "only_before": 1, "only_after": 1}
    assert found["length"] is None


# ---- the command


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two runs of the oracle over lab cases: rows in rm_r1, and a journal in rrm."""
    folder = tmp_path_factory.mktemp("runs")
    cases = list(world.make(5, "test", 12))
    paths = {name: folder / name for name in ("cases.jsonl", "before.jsonl", "after.db")}
    with write_rows(paths["cases.jsonl"]) as write:
        for case in cases:
            write(case_row(case))
    with Judge("rm_r1", "oracle:") as judge, write_rows(paths["before.jsonl"]) as write:
        for case, judgment in judge.run(cases):
            write(judgment_row(case, judgment))
    with Judge("rrm", "oracle:", journal=paths["after.db"]) as judge:
        list(judge.run(cases))
    return paths


def told(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["thinkscore", "train", "patterns", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_rows_and_a_journal_are_compared(runs: dict[str, Path], monkeypatch: Any, capsys: Any) -> None:
    arguments = [runs["before.jsonl"], runs["after.db"], "--cases", runs["cases.jsonl"], "--json"]
    assert told(monkeypatch, *arguments) == 0
    out, err = capsys.readouterr()
    found = msgspec.json.decode(out)
    assert found["cases"] == {"both": 12, "only_before": 0, "only_after": 0}
    assert set(found["length_by"]) == {"family", "difficulty", "level"}
    assert found["sections"]["thinking"]["before"] == 0 < found["sections"]["thinking"]["after"]
    assert "12 cases in both runs" in err
    assert "family reasoning" in err


def test_a_tag_that_no_case_has_is_refused(runs: dict[str, Path], monkeypatch: Any, capsys: Any) -> None:
    arguments = [runs["before.jsonl"], runs["before.jsonl"], "--cases", runs["cases.jsonl"], "--by", "family+depth"]
    assert told(monkeypatch, *arguments) == 2
    assert "the tags of --cases are: difficulty, family, level" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("second", "message"),
    [("after.db", "add --cases FILE"), ("cases.jsonl", "no output row")],
)
def test_what_is_no_run_is_refused(
    runs: dict[str, Path], second: str, message: str, monkeypatch: Any, capsys: Any
) -> None:
    assert told(monkeypatch, runs["before.jsonl"], runs[second]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
