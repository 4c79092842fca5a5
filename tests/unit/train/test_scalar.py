"""Bradley-Terry training: its loss by hand, its rows, what it refuses, and values that are those of the hf engine."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from accelerate.data_loader import prepare_data_loader, skip_first_batches
from torch.utils.data import DataLoader
from transformers import Qwen3ForSequenceClassification

from thinkscore.cli._app import app
from thinkscore.data import case_row, write_rows
from thinkscore.engines.hf import Hf
from thinkscore.errors import BadInput
from thinkscore.judge import Judge
from thinkscore.lab import world
from thinkscore.train import _head, scalar
from thinkscore.types import Case, Message

from .tiny import SETTINGS, UNFIT, save_base, values_of

CASES = list(world.make(3, "train", 24))
HELD = list(world.make(4, "test", 10))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, float]]]:
    out = tmp_path_factory.mktemp("scalar") / "out"
    options = scalar.Options(margin=0.1, centering=0.01, muon_lr=0.01, by=("family",), keep_best=True)
    return out, scalar.train_scalar(base, CASES, out, SETTINGS, options, HELD)


CONVERSATIONS = [(*case.messages, Message("assistant", reply)) for case in HELD for reply in case.candidates]


def best(case: Case) -> int:
    assert case.gold is not None
    return case.gold.index(max(case.gold))


def plain_loss(better: list[float], worse: list[float], margins: list[float], centering: float) -> float:
    """Say the loss as its definition has it, without torch."""
    total = 0.0
    for b, w, margin in zip(better, worse, margins, strict=True):
        total += math.log(1 + math.exp(-(b - w - margin))) + centering * (b + w) ** 2
    return total / len(better)


def made(network: Any, known: scalar.Pairs, reader: _head.Reader, options: scalar.Options, out: Path) -> Any:
    return scalar.make_trainer(network, known, reader, options, scalar.make_config(SETTINGS, options, out))


def test_the_loss_is_that_of_bradley_and_terry_with_margin_and_centring(base: Path, tmp_path: Path) -> None:
    reader = _head.Reader(base)
    known = scalar.pairs(CASES[:6], reader, _head.Refused())
    network = _head.load_head(base, SETTINGS)
    for margin, centering in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.3), (0.25, 0.01)):
        options = scalar.Options(margin=margin, centering=centering)
        trainer = made(network, known, reader, options, tmp_path)
        batch = trainer.data_collator([trainer.train_dataset[i] for i in range(len(known.pairs))])
        with torch.no_grad():
            got = trainer.compute_loss(network, dict(batch)).item()
        pad = reader.tokenizer.pad_token_id
        better = _head.values(network, [known.rows[pair.better] for pair in known.pairs], pad)
        worse = _head.values(network, [known.rows[pair.worse] for pair in known.pairs], pad)
        wanted = plain_loss(better, worse, [margin * pair.margin for pair in known.pairs], centering)
        assert got == pytest.approx(wanted, abs=1e-5)


def test_the_loss_by_hand() -> None:
    # r = 1 against 0: log(1 + 1/e) = 0.313262; with a margin of 1 it is log 2; centring adds 0.5 * 1.
    assert plain_loss([1.0], [0.0], [0.0], 0.0) == pytest.approx(0.313262, abs=1e-6)
    assert plain_loss([1.0], [0.0], [1.0], 0.5) == pytest.approx(math.log(2) + 0.5)


def test_a_case_of_many_candidates_is_all_its_pairs_of_unequal_gold(base: Path) -> None:
    case = msgspec.structs.replace(world.make_case(1, "train", 0, 4), gold=(3.0, 1.0, 3.0, 2.0))
    reader = _head.Reader(base)
    ids = [reader.ids((*case.messages, Message("assistant", reply))) for reply in case.candidates]
    found = scalar.pairs([CASES[0], case], reader, _head.Refused())
    wanted = [(0, 1, 2.0), (0, 3, 1.0), (2, 1, 2.0), (2, 3, 1.0), (3, 1, 1.0)]
    triples = [(found.rows[pair.better], found.rows[pair.worse], pair.margin) for pair in found.pairs[1:]]
    assert triples == [(ids[i], ids[k], margin) for i, k, margin in wanted]


def test_a_row_is_kept_once_in_four_bytes_a_token(base: Path, tmp_path: Path) -> None:
    case = msgspec.structs.replace(world.make_case(1, "train", 0, 12), gold=tuple(float(k) for k in range(12)))
    reader = _head.Reader(base)
    known = scalar.pairs([case], reader, _head.Refused())
    assert (len(known.rows), len(known.pairs)) == (12, 66)
    assert {row.itemsize for row in known.rows} == {4}
    trainer = made(_head.load_head(base, SETTINGS), known, reader, scalar.Options(margin=1.0), tmp_path)
    assert trainer.train_dataset.data.nbytes <= 66 * 3 * 8


def test_the_finished_folder_gives_the_values_that_were_trained(trained: tuple[Path, object]) -> None:
    out, _ = trained
    reader = _head.Reader(out)
    network = Qwen3ForSequenceClassification.from_pretrained(out)
    own = _head.values(network, [reader.ids(messages) for messages in CONVERSATIONS], reader.tokenizer.pad_token_id)
    assert values_of(Hf(str(out)), CONVERSATIONS) == pytest.approx(own, abs=1e-5)
    assert max(own) - min(own) > 0.01


def test_the_log_tells_every_epoch_and_the_judge_agrees(trained: tuple[Path, list[dict[str, float]]]) -> None:
    out, rows = trained
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(row["held_out_n"] == 10 for row in rows)
    assert {f"held_out_accuracy/family={case.tags['family']}" for case in HELD} <= set(rows[0])
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row for row in logged if "held_out_accuracy" in row] == rows
    assert any("loss" in row for row in logged)
    with Judge("scalar", f"hf:{out}") as judge:
        right = sum(judgment.winner == best(case) for case, judgment in judge.run(HELD))
    assert right / 10 == pytest.approx(rows[-1]["held_out_accuracy"])


def broken(**changes: object) -> Case:
    return msgspec.structs.replace(CASES[0], id="odd", **changes)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (broken(gold=None), "without gold"),
        (broken(gold=(2.0, 2.0)), "equal gold"),
        (broken(candidates=("the sky", " ")), "empty candidate"),
        (broken(candidates=("tea", "tea")), "one text at two golds"),
        (broken(candidates=("Faust", "Goethe")), "vocabulary"),
        (broken(candidates=("tea " * 600, "tea")), "longer than 512 tokens"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused_with_counts(
    base: Path, tmp_path: Path, case: Case, message: str
) -> None:
    with pytest.raises(BadInput, match=rf"1 of 3 cases cannot be trained on: 1 .*{message}.*\(first: odd\).*--drop"):
        scalar.train_scalar(base, [*CASES[:2], case], tmp_path / "out", SETTINGS)
    assert not (tmp_path / "out").exists()
    refused = _head.Refused()
    assert len(scalar.pairs([*CASES[:2], case], _head.Reader(base), refused)) == 2
    told: list[str] = []
    refused.settle(3, "cases", True, told.append)
    assert len(told) == 1 and told[0].startswith("1 of 3 cases are left out: 1 ")
    with pytest.raises(BadInput, match="there are no cases"):
        scalar.train_scalar(base, [case], tmp_path / "out", SETTINGS, scalar.Options(drop=True))


def test_what_cannot_be_had_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--held-out"):
        scalar.train_scalar(base, CASES, tmp_path / "out", SETTINGS, scalar.Options(keep_best=True))
    with pytest.raises(BadInput, match=r"no held-out case has the tag 'famly'; their tags are .*family"):
        scalar.train_scalar(base, CASES, tmp_path / "out", SETTINGS, scalar.Options(by=("famly",)), CASES[:4])
    with pytest.raises(BadInput, match=r"has the tag 'family'; there are none: give --held-out"):
        scalar.train_scalar(base, CASES, tmp_path / "out", SETTINGS, scalar.Options(by=("family",)))
    with pytest.raises(BadInput, match="no chat template"):
        bare = tmp_path / "bare"
        bare.mkdir()
        for file in base.iterdir():
            if file.name != "chat_template.jinja":
                (bare / file.name).write_bytes(file.read_bytes())
        settings = json.loads((bare / "tokenizer_config.json").read_text())
        settings.pop("chat_template", None)
        (bare / "tokenizer_config.json").write_text(json.dumps(settings))
        scalar.train_scalar(bare, CASES, tmp_path / "out", SETTINGS)


def test_every_epoch_has_its_own_order_of_rows_of_like_length() -> None:
    lengths = [random.Random(i).randint(5, 80) for i in range(1001)]
    drawn = _head.Sorted(lengths, 8, 0)
    first, again = list(drawn), list(_head.Sorted(lengths, 8, 0))
    drawn.epoch = lambda: 1
    assert first == again != list(drawn)
    assert sorted(first) == list(range(1001))
    batches = [[lengths[i] for i in first[k : k + 8]] for k in range(0, 800, 8)]
    assert sum(max(batch) - min(batch) for batch in batches) / len(batches) < 4


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_resumed_within_an_epoch_goes_on_in_the_order_of_that_epoch(
    base: Path, tmp_path: Path, processes: int
) -> None:
    reader, options = _head.Reader(base), scalar.Options()
    trainer = made(_head.load_head(base, SETTINGS), scalar.pairs(CASES, reader, _head.Refused()), reader, options,
                   tmp_path)  # fmt: skip
    trainer.ready(_head.Sorted([1] * 24, 2, 0), SETTINGS, None)
    sampler = trainer._get_train_sampler()
    loader = prepare_data_loader(
        DataLoader(range(24), batch_size=2, sampler=sampler), num_processes=processes, process_index=0
    )
    trainer.state.epoch = 1
    loader.set_epoch(1)
    whole = [batch.tolist() for batch in loader]
    trainer.state.epoch = 1.5
    resumed = skip_first_batches(loader, 3)
    resumed.set_epoch(1)
    assert [batch.tolist() for batch in resumed] == whole[3:]
    trainer.state.epoch = 0
    assert [batch.tolist() for batch in loader] != whole


@pytest.mark.parametrize(("changes", "muon_lr"), UNFIT.values(), ids=UNFIT)
def test_settings_that_no_training_starts_with_claim_nothing(
    base: Path, tmp_path: Path, changes: dict[str, Any], muon_lr: float
) -> None:
    settings = msgspec.structs.replace(SETTINGS, **changes)
    with pytest.raises(BadInput):
        scalar.train_scalar(base, CASES, tmp_path / "out", settings, scalar.Options(muon_lr=muon_lr))
    assert not (tmp_path / "out").exists()


def test_held_out_cases_that_cannot_be_read_claim_nothing(base: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="held-out cases"):
        scalar.train_scalar(base, CASES, tmp_path / "out", SETTINGS, held_out=[broken(candidates=("Faust", "tea"))])
    assert not (tmp_path / "out").exists()


def test_the_command_tells_every_epoch(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with write_rows(str(tmp_path / "cases.jsonl")) as write:
        for case in CASES[:8]:
            write(case_row(case))
    more = "--lr 1e-3 --batch-size 4 --micro-batch 4 --epochs 2 --threads 1 --save-steps 0 --by family"
    files = f"--held-out {tmp_path}/cases.jsonl --model {base} --out {tmp_path}/out"
    app(f"train scalar {tmp_path}/cases.jsonl {files} {more}".split(), standalone_mode=False)
    printed = capsys.readouterr()
    assert "8 pairs from 8 cases" in printed.err
    said = printed.out.splitlines()
    assert [line.split(":")[0] for line in said[:2]] == ["epoch 1", "epoch 2"]
    assert "family=" in said[0]
    assert "--engine hf:" in said[2]


def test_held_out_cases_without_a_single_best_candidate_are_not_measured_on(base: Path, tmp_path: Path) -> None:
    tied = [msgspec.structs.replace(case, id=f"{case.id}-tied", gold=(1.0, 1.0)) for case in CASES[:5]]
    told: list[str] = []
    held = [*HELD, *tied, CASES[0]]
    rows = scalar.train_scalar(base, CASES[:16], tmp_path / "out", SETTINGS, None, held, told.append)
    assert rows[-1]["held_out_n"] == len(HELD) + 1
    assert any(line.startswith("6 held-out cases are among the training cases") for line in told)
    assert f"5 of {len(HELD) + 6} held-out cases have no single best candidate: they are not measured on" in told
