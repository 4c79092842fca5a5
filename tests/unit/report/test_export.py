"""What is exported is what was recorded, and what is left out is counted."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkscore import Judge
from thinkscore.data import judgment_row, read_cases, write_rows
from thinkscore.data._parquet import write_parquet
from thinkscore.errors import BadInput
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.report.diff import Failed, Judged
from thinkscore.report.export import CallRow, Left, calls_of_journal, calls_of_rows, is_run, pairs, traces
from thinkscore.types import Anchor, Case, Message

CASES = {case.id: case for case in world.make(7, "test", 5)}
PROTOCOL = make_protocol("rm_r1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Judge with an engine that lets the first place win: half of its verdicts are right."""
    folder = tmp_path_factory.mktemp("run")
    with (
        Judge("rm_r1", "scripted:", "vote:k=2", seed=3, journal=folder / "run.journal") as judge,
        write_rows(folder / "rows.jsonl") as write,
    ):
        for case, judgment in judge.run(CASES.values()):
            write(judgment_row(case, judgment))
    return folder


def test_journals_and_rows_are_told_apart(run: Path) -> None:
    assert is_run(run / "run.journal")
    assert not is_run(run / "rows.jsonl")
    with pytest.raises(BadInput, match=r"cannot read .*gone.*; give a journal, or rows"):
        is_run(run / "gone")


def test_calls_of_a_journal_are_what_was_sent(run: Path) -> None:
    left = Left()
    calls = list(calls_of_journal(run / "run.journal", left))
    assert (len(calls), left.total()) == (10, 0)
    for call in calls:
        assert call.messages == PROTOCOL.render(CASES[call.case_id], call.order).messages
        assert call.text == "<answer>[[A]]</answer>"
        assert call.usage is not None and call.usage.calls == 1
        assert call.sampling is not None and call.seed is not None
    assert len({call.seed for call in calls}) == 10
    assert {call.order for call in calls if call.case_id == calls[0].case_id} == {(0, 1), (1, 0)}


def test_calls_of_rows_are_rendered_again(run: Path) -> None:
    def key(call: CallRow) -> tuple[object, ...]:
        return call.case_id, call.sample, call.order, call.messages, call.text

    again = list(calls_of_rows(run / "rows.jsonl", CASES, PROTOCOL, Left()))
    assert sorted(map(key, again)) == sorted(map(key, calls_of_journal(run / "run.journal", Left())))
    left = Left()
    some = dict(list(CASES.items())[:4])
    assert len(list(calls_of_rows(run / "rows.jsonl", some, PROTOCOL, left))) == 8
    assert left == {"not in the case file": 2}


def test_calls_survive_parquet(run: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    calls = list(calls_of_journal(run / "run.journal", Left()))
    assert write_parquet(tmp_path / "calls.parquet", CallRow, calls) == 10
    table = parquet.read_table(tmp_path / "calls.parquet")
    assert [msgspec.convert(row, CallRow) for row in table.to_pylist()] == calls
    assert [file.name for file in tmp_path.iterdir()] == ["calls.parquet"]
    assert write_parquet(tmp_path / "empty.parquet", CallRow, []) == 0
    assert parquet.read_table(tmp_path / "empty.parquet").schema == table.schema


# ---- traces


def test_traces_are_the_calls_that_gold_confirms(run: Path) -> None:
    left = Left()
    rows = list(traces(calls_of_journal(run / "run.journal", left), CASES, PROTOCOL, left))
    assert (len(rows), left) == (5, {"verdict against gold": 5})  # the orders of a pair are balanced
    for row in rows:
        case = CASES[row["case_id"]]
        assert case.gold is not None
        order = (0, 1) if case.gold[0] > case.gold[1] else (1, 0)
        assert row["prompt"] == msgspec.to_builtins(PROTOCOL.render(case, order).messages)
        assert row["completion"] == [{"role": "assistant", "content": "<answer>[[A]]</answer>"}]


def call(case: Case, text: str = "<answer>[[A]]</answer>", **more: object) -> CallRow:
    messages = PROTOCOL.render(case.widened(), (0, 1)).messages
    return msgspec.structs.replace(CallRow(case.id, "rm_r1", 0, (0, 1), messages, text), **more)


PAIR = Case("x", (Message("user", "2 + 2?"),), ("4", "5"), (1.0, 0.0))
UNFIT = {
    "another protocol": (call(PAIR, protocol="rrm"), PAIR, "asked in protocol rrm"),
    "no gold": (call(PAIR), msgspec.structs.replace(PAIR, gold=None), "no gold"),
    "candidates the other way round": (call(PAIR), PAIR.reorder((1, 0)), "asked with another prompt"),
    "no verdict": (call(PAIR, "I do not know."), PAIR, "no verdict (no_verdict)"),
    "cut off": (call(PAIR, "Let me see", finish="length"), PAIR, "no verdict (truncated)"),
    "wrong": (call(PAIR, "<answer>[[B]]</answer>"), PAIR, "verdict against gold"),
    "a tie by gold": (call(PAIR, "<answer>[[B]]</answer>"), msgspec.structs.replace(PAIR, gold=(1, 1)), None),
    "shortened": (call(PAIR, cut=30), PAIR, "asked about a shortened case"),
    "another case": (call(PAIR), msgspec.structs.replace(PAIR, id="y"), "not in the case file"),
}


@pytest.mark.parametrize(("given_", "case", "reason"), UNFIT.values(), ids=UNFIT)
def test_what_is_no_example_is_left_out_by_reason(given_: CallRow, case: Case, reason: str | None) -> None:
    left = Left()
    rows = list(traces([given_], {case.id: case}, PROTOCOL, left))
    if reason is None:
        assert len(rows) == 1
    else:
        assert rows == []
        assert [name for name in left if name.startswith(reason)], left


def test_thinking_that_came_apart_stays_apart() -> None:
    (row,) = traces([call(PAIR, reasoning="4 is right")], {"x": PAIR}, PROTOCOL, Left())
    said = {"role": "assistant", "content": "<answer>[[A]]</answer>", "reasoning_content": "4 is right"}
    assert row["completion"] == [said]


def test_only_what_was_shown_can_win() -> None:
    case = Case("x", (Message("user", "2 + 2?"),), ("5", "4", "3"), (1.0, 2.0, 0.0))
    shown = msgspec.structs.replace(call(case), order=(0, 2), messages=PROTOCOL.render(case, (0, 2)).messages)
    assert len(list(traces([shown], {"x": case}, PROTOCOL, Left()))) == 1


def test_a_candidate_is_held_against_its_anchor() -> None:
    case = Case("x", (Message("user", "2 + 2?"),), ("4",), (1.0,), anchors=(Anchor("5", 0.0),))
    assert len(list(traces([call(case)], {"x": case}, PROTOCOL, Left()))) == 1
    unknown = msgspec.structs.replace(case, anchors=(Anchor("5"),))
    left = Left()
    assert list(traces([call(case)], {"x": unknown}, PROTOCOL, left)) == []
    assert left == {"no gold": 1}


# ---- pairs

THREE = Case("three", (Message("user", "?"),), ("a", "b", "c"), (1.0, 3.0, 2.0))


def chosen(row: dict[str, object]) -> tuple[object, str, str]:
    (good,), (bad,) = row["chosen"], row["rejected"]  # type: ignore[misc]
    return row["id"], good["content"], bad["content"]


def test_the_best_is_paired_with_every_worse_one() -> None:
    judged = Judged("three", 0, (5.0, 5.0, 2.0))
    by_gold = pairs([judged], {"three": THREE}, True, Left())
    assert list(map(chosen, by_gold)) == [("three/1-0", "b", "a"), ("three/1-2", "b", "c")]
    by_judgment = pairs([judged], {"three": THREE}, False, Left())
    assert list(map(chosen, by_judgment)) == [("three/0-2", "a", "c")]


def test_cases_without_a_preference_are_left_out_by_reason() -> None:
    cases = {"three": THREE, "x": msgspec.structs.replace(PAIR, gold=None), "y": PAIR}
    judged = [
        Judged("gone", 0, (1.0, 0.0)),
        Judged("three", None, None, failure=Failed("no_verdict")),
        Judged("x", None, (1.0, 1.0)),
        Judged("y", 0, (1.0, 0.0, 0.0)),
    ]
    left = Left()
    assert list(pairs(judged, cases, False, left)) == []
    assert left == {
        "not in the case file": 1,
        "no verdict (no_verdict)": 1,
        "tie": 1,
        "another number of candidates in the case file": 1,
    }
    left = Left()
    assert len(list(pairs(judged, cases, True, left))) == 3
    assert left == {"not in the case file": 1, "no gold": 1}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
said = texts.filter(lambda text: bool(text.strip()))


@st.composite
def a_pair(draw: st.DrawFn) -> Case:
    before = draw(st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts), max_size=2))
    gold = draw(st.sampled_from([(1.0, 0.0), (0.0, 1.0)]))
    return Case(draw(said), (*before, Message("user", draw(said))), (draw(texts), draw(texts)), gold)


@settings(deadline=None)  # files
@given(a_pair())
def test_exported_pairs_are_read_back(case: Case) -> None:
    from tempfile import TemporaryDirectory

    (row,) = pairs([Judged(case.id)], {case.id: case}, True, Left())
    with TemporaryDirectory() as folder:
        (Path(folder) / "pairs.jsonl").write_text(json.dumps(row))
        cases = read_cases(Path(folder) / "pairs.jsonl")
        (again,) = cases
    assert cases.format is not None and cases.format.id == "trl"
    best_first = case if case.gold == (1.0, 0.0) else case.reorder((1, 0))
    assert again == best_first
