"""`scripted` and `replay`: recorded texts by case and sample, from rows in any order or from a journal."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path

import pytest

from thinkscore.engines._base import Engine
from thinkscore.engines._records import Records
from thinkscore.engines.replay import Replay
from thinkscore.engines.scripted import Scripted
from thinkscore.errors import BadInput
from thinkscore.journal import Call, open_journal
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.types import Case, Completion, Message, Prompt, Usage, Winner

CASES = [Case(name, (Message("user", f"{name}?"),), ("a", "b")) for name in "xy"]
A, B = "<answer>[[A]]</answer>", "<answer>[[B]]</answer>"
ROWS = [
    {"case_id": "x", "sample": 0, "text": A, "finish": "stop"},
    {"case_id": "x", "sample": 1, "text": B, "finish": "length", "reasoning": "hm"},
    {"case_id": "y", "sample": 0, "text": B},
]


def prompt(case: Case, sample: int = 0, order: tuple[int, ...] = (0, 1), seed: int = 0) -> Prompt:
    shown = RmR1().render(case, order)
    return Prompt(case, "rm_r1", shown.messages, order, verdicts=shown.verdicts, sample=sample, seed=seed)


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def answers(engine: Engine, prompts: list[Prompt]) -> list[Completion]:
    async def main() -> list[Completion]:
        await engine.open()
        return await engine.generate(prompts)

    return asyncio.run(main())


def test_rows_answer_by_case_and_sample_in_any_order_of_the_file(tmp_path: Path) -> None:
    prompts = [prompt(CASES[0], 1), prompt(CASES[1]), prompt(CASES[0])]
    seen = set()
    for i, rows in enumerate(itertools.permutations(ROWS)):
        engine = Replay(str(write(tmp_path / f"{i}.jsonl", list(rows))))
        seen.add((engine, tuple(c.text for c in answers(engine, prompts))))
    assert {texts for _, texts in seen} == {(B, B, A)}
    assert len({engine.identity for engine, _ in seen}) == 1


def test_a_row_comes_back_whole(tmp_path: Path) -> None:
    engine = Replay(str(write(tmp_path / "r", ROWS)))
    assert answers(engine, [prompt(CASES[0], 1)]) == [Completion(B, "hm", "length", Usage(calls=1), order=(0, 1))]


def test_a_row_without_order_answers_in_the_order_of_the_case(tmp_path: Path) -> None:
    shown = prompt(CASES[0], order=(1, 0))
    (completion,) = answers(Replay(str(write(tmp_path / "r", ROWS))), [shown])
    assert completion.order == (0, 1)
    assert shown.order != completion.order


def test_a_row_with_the_prompts_order_comes_first(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "order": [0, 1]}, {**ROWS[0], "order": [1, 0], "text": B}]
    for path in (write(tmp_path / "r", rows), write(tmp_path / "s", rows[::-1])):
        both = answers(Replay(str(path)), [prompt(CASES[0]), prompt(CASES[0], order=(1, 0))])
        assert [(c.text, c.order) for c in both] == [(A, (0, 1)), (B, (1, 0))]


def test_a_row_of_other_candidates_or_another_protocol_does_not_fit(tmp_path: Path) -> None:
    three = Case("x", (Message("user", "?"),), ("a", "b", "c"))
    pair = Prompt(three, "rm_r1", (), (2, 0))
    records = Records(write(tmp_path / "r", ROWS))
    assert records.find(pair) is None
    assert Records(write(tmp_path / "s", [{**ROWS[0], "order": [0, 2]}])).find(pair) is not None
    assert Records(write(tmp_path / "t", [{**ROWS[0], "protocol": "rrm"}])).find(prompt(CASES[0])) is None


def test_what_is_not_recorded_is_an_error_or_the_fixed_verdict(tmp_path: Path) -> None:
    path = str(write(tmp_path / "r", ROWS))
    missing = prompt(CASES[1], 4, (1, 0))
    (lost,) = answers(Replay(path), [missing])
    assert lost.finish == "error"
    assert lost.error == f"no recorded completion for case 'y' sample 4 under rm_r1 in {path}"
    (fixed,) = answers(Scripted(path), [missing])
    assert RmR1().parse(fixed, missing).outcome == Winner(1)  # the first place


def test_bare_scripted_answers_everything() -> None:
    (first,) = answers(Scripted(), [prompt(CASES[0])])
    assert first == Completion(A, usage=Usage(calls=1))
    (nothing,) = answers(Scripted(), [Prompt(CASES[0], "mine", (), (0, 1))])
    assert nothing.finish == "error"


def test_a_journal_is_replayed_with_the_orders_it_showed(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j")
    calls = [Call.of(prompt(CASES[0], 0, (1, 0), seed), "m") for seed in (1, 2)]
    calls += [Call.of(prompt(CASES[0], 1, (0, 1)), "m")]
    journal.announce(calls)
    journal.record(calls, [Completion(A), Completion(B), Completion(B, order=(1, 0))])
    journal.close()
    asked = [prompt(CASES[0], 0, (0, 1), seed=2), prompt(CASES[0], 0, (1, 0), seed=1), prompt(CASES[0], 1)]
    found = answers(Replay(str(tmp_path / "j")), asked)
    assert [(c.text, c.order) for c in found] == [(B, (1, 0)), (A, (1, 0)), (B, (1, 0))]


BAD = {
    "doubled": ([ROWS[0], ROWS[2], ROWS[0]], "records 1 and 3 both answer case 'x' sample 0"),
    "doubled with order": ([{**ROWS[0], "order": [1, 0]}] * 2, "records 1 and 2"),
    "no text": ([ROWS[0], {"case_id": "z"}], ":2: Object missing required field `text`"),
    "unknown key": ([{**ROWS[0], "txt": ""}], ":1: Object contains unknown field `txt`"),
    "negative sample": ([{**ROWS[0], "sample": -1}], ":1: Expected `int` >= 0"),
    "unknown finish": ([{**ROWS[0], "finish": "done"}], "Invalid enum value 'done'"),
    "empty": ([], "holds no records"),
}


@pytest.mark.parametrize("engine", [Replay, Scripted])
@pytest.mark.parametrize(("rows", "message"), BAD.values(), ids=BAD)
def test_bad_records_are_named(
    tmp_path: Path, engine: type[Engine], rows: list[dict[str, object]], message: str
) -> None:
    with pytest.raises(BadInput) as error:
        answers(engine(str(write(tmp_path / "r", rows))), [])
    assert message in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*gone"):
        answers(Replay(str(tmp_path / "gone")), [])
    with pytest.raises(BadInput, match="replay without a file"):
        answers(Replay(), [])
