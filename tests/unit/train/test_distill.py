"""The training loop: what it trains on, that it learns, that a seed fixes its weights, that transformers loads them."""

import hashlib
import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from thinkscore.engines.embedded import Embedded
from thinkscore.errors import BadInput
from thinkscore.train import _lab_rows, _sft, distill, lab_judge
from thinkscore.types import Message

TINY = lab_judge.Recipe(
    seed=3,
    threads=1,
    documents=40,
    traces=60,
    polish=20,
    hidden=32,
    layers=1,
    heads=2,
    feed_forward=48,
    batch_tokens=1024,
)


def weights_hash(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("judge")
    lab_judge.train_judge(out, TINY)
    return out


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(trained, tmp_path):
    lab_judge.train_judge(tmp_path / "again", TINY)
    assert weights_hash(tmp_path / "again") == weights_hash(trained)
    other = lab_judge.msgspec.structs.replace(TINY, seed=4)
    lab_judge.train_judge(tmp_path / "other", other)
    assert weights_hash(tmp_path / "other") != weights_hash(trained)


def test_base_and_judge_keep_their_loss_curves_and_recipe(trained):
    for folder in (trained / "base", trained):
        curve = [json.loads(line) for line in (folder / "loss.jsonl").read_text().splitlines()]
        assert curve
        assert all(entry["loss"] > 0 for entry in curve)
    assert json.loads((trained / "recipe.json").read_text())["seed"] == 3


def test_a_trained_folder_loads_in_transformers_and_in_the_embedded_engine(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained)
    model = AutoModelForCausalLM.from_pretrained(trained)
    row = _lab_rows.trace_row(5, 0)
    ids = next(distill.tokenized([row], tokenizer)).ids
    assert tokenizer.decode(ids[:-1]).endswith(row.prefill + row.completion)
    assert model(torch.tensor([ids])).logits.shape[-1] == len(tokenizer)
    assert Embedded(str(trained)).folder == trained


def test_only_what_follows_the_prefill_is_trained(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained)
    row = next(row for row in _lab_rows.traces(1, 200) if row.prefill)
    ids, start = next(distill.tokenized([row], tokenizer))
    assert tokenizer.decode(ids[start:-1]) == row.completion.lstrip(" ")
    assert tokenizer.decode(ids[:start]).endswith(row.prefill)
    assert ids[-1] == tokenizer.eos_token_id


def test_chunks_of_rows_are_trained_in_their_order():
    rows = [_sft.Row([1 + k // _sft.CHUNK] * (5 + k % 7), 1) for k in range(3 * _sft.CHUNK)]
    stages = [int(batch["input_ids"][0, 0]) for batch in _sft.batches(rows, 200, seed=0, pad=0)]
    assert stages == sorted(stages)
    assert set(stages) == {1, 2, 3}


def test_batches_hold_every_row_once_within_the_token_limit():
    rows = [_sft.Row(list(range(1, 5 + k % 37)), 3) for k in range(300)]
    found = _sft.batches(rows, 400, seed=0, pad=0)
    seen = sorted(int((ids != 0).sum()) for batch in found for ids in batch["input_ids"])
    assert seen == sorted(len(row.ids) for row in rows)
    assert all(batch["input_ids"].numel() <= 400 for batch in found)
    for batch in found:
        assert (batch["labels"][:, :3] == _sft.IGNORED).all()
        trained = batch["labels"] != _sft.IGNORED
        assert (batch["labels"][trained] == batch["input_ids"][trained]).all()


def test_the_loss_is_the_mean_negative_log_likelihood_of_the_trained_tokens(trained):
    model = AutoModelForCausalLM.from_pretrained(trained)
    rows = [_sft.Row([6, 7, 8, 9, 10], 2), _sft.Row([11, 12, 13], 1)]
    batch = _sft.batches(rows, 100, seed=0, pad=0)[0]
    with torch.no_grad():
        got = model(**batch).loss.item()
        losses = []
        for row in rows:
            logprobs = torch.log_softmax(model(torch.tensor([row.ids])).logits[0], -1)
            losses += [-logprobs[t - 1, row.ids[t]].item() for t in range(row.start, len(row.ids))]
    assert got == pytest.approx(sum(losses) / len(losses), abs=1e-5)


def test_training_lowers_the_loss_on_what_it_sees(trained):
    model = AutoModelForCausalLM.from_pretrained(trained)
    tokenizer = AutoTokenizer.from_pretrained(trained)
    rows = list(distill.tokenized(_lab_rows.traces(8, 20), tokenizer))
    batch = _sft.batches(rows, 100_000, seed=0, pad=tokenizer.pad_token_id)[0]
    settings = _sft.Settings(0.02, 5e-3, 1500, 0)
    with torch.no_grad():
        before = model(**batch).loss.item()
    _sft.train(model, rows * 10, tokenizer.pad_token_id, settings, trained / "more")
    with torch.no_grad():
        assert model(**batch).loss.item() < before - 0.3


def test_text_outside_the_vocabulary_is_refused_before_training(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained)
    row = distill.TraceRow((Message("user", "Who wrote Faust?"),), "[[A]]")
    with pytest.raises(BadInput, match="no token"):
        list(distill.tokenized([row], tokenizer))
