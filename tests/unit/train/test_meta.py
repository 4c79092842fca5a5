"""The meta reward model: labels from a journal, its loss by hand, what is held out, the values of a folder."""

from __future__ import annotations

import json
import math
from array import array
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thinkscore.cli._app import app
from thinkscore.data import case_row, write_rows
from thinkscore.engines.embedded import Embedded
from thinkscore.engines.hf import Hf
from thinkscore.errors import BadInput
from thinkscore.journal import Record, read_journal
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.protocols._meta import conversation, form_of, trace_text
from thinkscore.protocols.rm_r1 import RmR1
from thinkscore.train import _head, meta
from thinkscore.types import Case, Completion, Message

from .tiny import SETTINGS, UNFIT, save_base, values_of

CASES = list(world.make(3, "train", 30))
BY_ID = {case.id: case for case in CASES}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four traces on each case by a teacher that errs."""
    path: Path = tmp_path_factory.mktemp("run") / "run.journal"
    with Judge("rm_r1", "teacher", "vote:k=4", journal=path) as judge:
        for _ in judge.run(CASES):
            pass
    return path


@pytest.fixture(scope="module")
def rows(journal: Path) -> list[meta.Labelled]:
    return meta.labelled(read_journal(journal), BY_ID, RmR1(), _head.Refused())


def test_a_trace_is_right_if_gold_confirms_its_verdict_and_wrong_without_one(journal: Path) -> None:
    records = list(read_journal(journal))
    first = records[0]
    gold = BY_ID[first.case_id].gold
    assert gold is not None
    best = first.order.index(gold.index(max(gold)))
    for text, right, readable in (
        (f"<answer>[[{'AB'[best]}]]</answer>", True, True),
        (f"<answer>[[{'BA'[best]}]]</answer>", False, True),
        ("I cannot say.", False, False),
    ):
        (row,) = meta.labelled([first._replace(completion=Completion(text))], BY_ID, RmR1(), _head.Refused())
        assert (row.right, row.readable) == (right, readable)
        assert row.messages == (*first.request.messages, Message("assistant", text))


def test_what_cannot_be_labelled_is_counted_by_its_reason(journal: Path) -> None:
    first = next(iter(read_journal(journal)))
    case = BY_ID[first.case_id]
    request = msgspec.structs.replace(first.request, messages=(Message("user", "other"),))
    odd: list[tuple[Record, Case, str]] = [
        (first._replace(case_id="gone"), case, "not in the case file"),
        (first._replace(protocol="rrm"), case, "asked in protocol rrm"),
        (first, msgspec.structs.replace(case, gold=None), "without gold"),
        (first._replace(request=request), case, "another prompt"),
        (first, case.reorder((1, 0)), "another prompt"),
        (first._replace(completion=Completion("[[A]]", cut=3)), case, "shortened"),
        (first._replace(completion=Completion(" ")), case, "without any text"),
    ]
    for record, known, reason in odd:
        refused = _head.Refused()
        assert meta.labelled([record], {first.case_id: known}, RmR1(), refused) == []
        with pytest.raises(BadInput, match=rf"1 of 1 traces cannot be trained on: 1 .*{reason}"):
            refused.settle(1, "traces", False)


def test_a_meta_model_reads_the_prompt_or_the_bare_candidates_and_then_the_trace() -> None:
    case = Case("c", (Message("user", "2 + 2?"),), ("four</response_1>", "five"))
    prompt = RmR1().render(case, (1, 0))
    whole = conversation(prompt, "I think so.")
    assert whole[:-1] == prompt.messages
    assert whole[-1] == Message("assistant", "I think so.")
    asked, said = conversation(prompt, "I think so.", "plain")
    assert said == whole[-1]
    assert asked.role == "user"
    assert asked.content.index("2 + 2?") < asked.content.index("<response_1>\nfive") < asked.content.index("four")
    assert asked.content.count("</response_1>") == 1
    assert trace_text(Completion("[[A]]", reasoning="Hm.")) == "<think>\nHm.\n</think>\n\n[[A]]"
    with pytest.raises(BadInput, match="or plain; got"):
        form_of("fancy")


@given(st.lists(st.tuples(st.floats(-9, 9), st.booleans()), min_size=1, max_size=9))
def test_the_loss_is_the_weighted_mean_of_binary_cross_entropies(pairs: list[tuple[float, bool]]) -> None:
    values, right = [value for value, _ in pairs], [label for _, label in pairs]
    weights = [meta.balance(right)[label] for label in right]
    wanted = sum(
        weight * math.log(1 + math.exp(-value if label else value))
        for value, label, weight in zip(values, right, weights, strict=True)
    ) / len(values)
    tensors = (torch.tensor([float(x) for x in column], dtype=torch.float64) for column in (values, right, weights))
    assert meta.bce(*tensors).item() == pytest.approx(wanted, abs=1e-5)


def test_the_loss_and_the_weights_by_hand() -> None:
    # One right trace of four: it weighs 4 / (2 * 1), a wrong one 4 / (2 * 3); both sides weigh 2 in all.
    assert meta.balance([True, False, False, False]) == {True: 2.0, False: pytest.approx(2 / 3)}
    # Value 0 is log 2 whatever the label; weights 2 and 0.5: 2.5 log 2 / 2.
    loss = meta.bce(torch.zeros(2), torch.tensor([1.0, 0.0]), torch.tensor([2.0, 0.5]))
    assert loss.item() == pytest.approx(1.25 * math.log(2))


def test_the_report_leaves_unreadable_traces_out_and_looks_inside_cases() -> None:
    def row(case: str, right: bool, readable: bool = True) -> meta.Labelled:
        return meta.Labelled(case, case, (), right, readable)

    # Case y is easy: all its traces are right and all its values high. Inside x the order is wrong.
    rows = [row("x", True), row("x", False), row("y", True), row("y", True), row("y", False, False)]
    report = meta.measured([-2.0, -1.0, 3.0, 4.0, 9.0], rows, 0, bounds=True)
    assert (report.cases, report.traces, report.unreadable, report.right, report.mixed) == (2, 5, 1, 3, 1)
    assert report.auc == pytest.approx(2 / 3)
    assert report.auc_within == 0
    assert report.accuracy == pytest.approx(3 / 4)
    assert report.auc_within_95 == (0, 0)


def test_training_holds_prompts_out_and_both_engines_give_the_values(
    base: Path, rows: list[meta.Labelled], tmp_path: Path
) -> None:
    options = meta.Options(held_out=0.3, balanced=True, muon_lr=0.01, keep_best=True)
    report = meta.train_meta(base, rows, tmp_path / "out", SETTINGS, options)
    kept = [json.loads(line) for line in (tmp_path / "out/held_out.jsonl").read_text().splitlines()]
    groups = {row.group for row in rows if row.case_id in {row["case_id"] for row in kept}}
    held = [row for row in rows if row.group in groups]
    assert len(held) == len(kept) == report.traces
    assert 0.1 < len(kept) / len(rows) < 0.5
    assert meta.measured([row["value"] for row in kept], held, 0, bounds=True) == report
    log = [json.loads(line) for line in (tmp_path / "out/log.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in log if "held_out_auc" in row] == [1, 2]
    values = [row["value"] for row in kept]
    for engine in (Hf(str(tmp_path / "out")), Embedded(str(tmp_path / "out"))):
        assert values_of(engine, [row.messages for row in held]) == pytest.approx(values, abs=1e-4)
    assert meta.train_meta(base, rows, tmp_path / "out", SETTINGS, options) == report


def test_what_cannot_be_learned_is_said_before_training(base: Path, rows: list[meta.Labelled], tmp_path: Path) -> None:
    right = [row for row in rows if row.right]
    with pytest.raises(
        BadInput, match=rf"one side: of {len(right)} traces to train on {len(right)} are right and 0 wr"
    ):
        meta.train_meta(base, right, tmp_path / "out", SETTINGS, meta.Options(held_out=0))
    with pytest.raises(BadInput, match="of 0 traces held out"):
        meta.train_meta(base, rows, tmp_path / "out", SETTINGS, meta.Options(held_out=1e-9))
    said = msgspec.structs.replace(rows[0], messages=(*rows[0].messages[:-1], Message("assistant", "Faust")))
    with pytest.raises(BadInput, match="1 with words that the model's vocabulary lacks"):
        meta.train_meta(base, [*rows, said], tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()


def test_the_best_epoch_needs_readable_traces_of_both_kinds_held_out(
    base: Path, rows: list[meta.Labelled], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="--held-out"):
        meta.train_meta(base, rows, tmp_path / "out", SETTINGS, meta.Options(keep_best=True, held_out=0))
    mute = [msgspec.structs.replace(row, readable=row.right) for row in rows]
    options = meta.Options(keep_best=True, held_out=0.3)
    with pytest.raises(BadInput, match=r"of \d+ traces held out with a verdict \d+ are right and 0 wrong"):
        meta.train_meta(base, mute, tmp_path / "out", SETTINGS, options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("changes", "muon_lr"), UNFIT.values(), ids=UNFIT)
def test_settings_that_no_training_starts_with_claim_nothing(
    base: Path, rows: list[meta.Labelled], tmp_path: Path, changes: dict[str, Any], muon_lr: float
) -> None:
    settings = msgspec.structs.replace(SETTINGS, **changes)
    with pytest.raises(BadInput):
        meta.train_meta(base, rows, tmp_path / "out", settings, meta.Options(muon_lr=muon_lr))
    assert not (tmp_path / "out").exists()


def test_a_template_that_drops_thinking_is_told(base: Path, tmp_path: Path) -> None:
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    template = "{% for m in messages %}{{ '<|user|>' + m['content'].split('</think>')[-1] }}{% endfor %}"
    (tmp_path / "chat_template.jinja").write_text(template)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    talk = (Message("user", "tea"), Message("assistant", "<think>tea</think>cake"))
    assert "thinking" in str(_head.Reader(tmp_path).ids(talk))
    assert isinstance(_head.Reader(base).ids((talk[0], Message("assistant", "tea"))), array)


def test_the_command_tells_what_it_learned(
    base: Path, journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with write_rows(str(tmp_path / "cases.jsonl")) as write:
        for case in CASES:
            write(case_row(case))
    more = "--preset lab --no-drop --batch-size 16 --micro-batch 16 --steps 2 --threads 1 --save-steps 0 --held-out 0.3"
    files = f"--cases {tmp_path}/cases.jsonl --model {base} --out {tmp_path}/out"
    app(f"train meta {journal} {files} {more}".split(), standalone_mode=False)
    said = capsys.readouterr()
    assert "120 traces:" in said.err
    assert "AUC within a case" in said.out
    assert (tmp_path / "out/report.json").is_file()
    options = json.loads((tmp_path / "out/recipe.json").read_text())["options"]
    assert (options["muon_lr"], options["max_length"], options["drop"]) == (0.01, 512, False)
    with pytest.raises(BadInput, match="is no journal"):
        app(f"train meta {tmp_path}/cases.jsonl {files} {more}".split(), standalone_mode=False)
