"""The training loop: what it trains on, that it learns, that a seed fixes its weights, that transformers loads them."""

import hashlib
import json

import msgspec
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from thinkscore.engines.embedded import Embedded
from thinkscore.errors import BadInput, EngineUnavailable, ThinkscoreError
from thinkscore.judge import make_protocol
from thinkscore.lab import world
from thinkscore.train import _lab_rows, _sft, _trainer, distill, lab_judge
from thinkscore.train._run import Settings, load_tokenizer
from thinkscore.train._synthesis import Synthesis
from thinkscore.train.rft import rft
from thinkscore.types import Case, Message

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
    lab_judge.pretrain(tmp_path / "other", msgspec.structs.replace(TINY, seed=4))
    assert weights_hash(tmp_path / "other") != weights_hash(trained / "base")


def test_base_and_judge_keep_their_loss_curves_and_recipe(trained):
    for folder in (trained / "base", trained):
        curve = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert curve
        assert [entry for entry in curve if entry.get("loss", 0) > 0]
    assert json.loads((trained / "recipe.json").read_text())["seed"] == 3


def test_a_trained_folder_loads_in_transformers_and_in_the_embedded_engine(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained)
    model = AutoModelForCausalLM.from_pretrained(trained)
    row = _lab_rows.trace_row(5, 0)
    ids = next(distill.tokenized([row], tokenizer)).ids
    assert ids.count(tokenizer.eos_token_id) == 1
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
    stages = [rows[batch[0]].ids[0] for batch in _sft.batches(rows, 200, seed=0)]
    assert stages == sorted(stages)
    assert set(stages) == {1, 2, 3}


def test_batches_hold_every_row_once_within_the_token_limit():
    rows = [_sft.Row(list(range(1, 5 + k % 37)), 3) for k in range(300)]
    found = _sft.batches(rows, 400, seed=0)
    assert sorted(place for batch in found for place in batch) == list(range(300))
    for batch in found:
        tensors = _sft.padded([rows[place] for place in batch], pad=0)
        assert tensors["input_ids"].numel() <= 400
        assert (tensors["labels"][:, :3] == _sft.IGNORED).all()
        trained = tensors["labels"] != _sft.IGNORED
        assert (tensors["labels"][trained] == tensors["input_ids"][trained]).all()


def nll(folder, texts):
    """Mean negative log-likelihood of what is trained, over (prompt, trained text) pairs, row by row."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    losses = []
    for before, after in texts:
        head = tokenizer(before, add_special_tokens=False)["input_ids"]
        ids = [*head, *tokenizer(after, add_special_tokens=False)["input_ids"]]
        with torch.no_grad():
            logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
        losses += [-logprobs[t - 1, ids[t]].item() for t in range(len(head), len(ids))]
    return sum(losses) / len(losses)


STILL = Settings(learning_rate=0.0, batch_size=4, micro_batch=2, save_steps=0, threads=1, progress=False)


@pytest.mark.parametrize(
    ("header", "more"),
    [(False, {}), (True, {}), (False, {"batch_tokens": 300, "muon_lr": 0.0})],
    ids=["completion", "with the header", "passes of tokens"],
)
def test_the_loss_is_the_mean_negative_log_likelihood_of_the_trained_tokens(trained, tmp_path, header, more):
    rows = [row for row in _lab_rows.traces(5, 30) if not row.prefill][:4]
    texts = []
    for row in rows:
        prompt = f"<|system|>{row.messages[0].content.splitlines()[0]}<|user|>{row.messages[1].content}"
        said = row.completion + "<|end|>"
        texts.append((prompt, "<|assistant|>" + said) if header else (prompt + "<|assistant|>", said))
    settings = msgspec.structs.replace(STILL, micro_batch=1) if more else STILL
    done = distill.distill(trained, rows, tmp_path / "out", settings, header=header, **more)
    assert done.first == pytest.approx(nll(trained, texts), abs=1e-5)
    assert (done.rows, done.left, done.steps) == (4, {}, 1)


def test_several_epochs_hold_every_row_once_each_in_another_order():
    rows = [_sft.Row([1] * (3 + k % 5), 1) for k in range(50)]
    settings = msgspec.structs.replace(STILL, epochs=3)
    for tokens in (0, 20):
        places = [place for group in _sft._order(rows, settings, tokens) for place in group]
        epochs = [places[start : start + 50] for start in (0, 50, 100)]
        assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
        assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert len(_sft._order(rows, msgspec.structs.replace(STILL, steps=40), 0)) == 160


def test_a_schedule_reaches_the_weights_also_after_the_state_was_loaded():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.LayerNorm(4))
    optimizer = _trainer.MuonAdamW(model, msgspec.structs.replace(STILL, learning_rate=0.1), 0.1)
    optimizer.load_state_dict(optimizer.state_dict())  # accelerate does so when it prepares one
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    model(torch.ones(1, 4)).pow(2).sum().backward()
    before = [p.clone() for p in model.parameters()]
    optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def test_training_goes_on_from_any_folder_and_lowers_the_loss_on_what_it_sees(trained, tmp_path):
    rows = list(_lab_rows.traces(8, 20))
    settings = msgspec.structs.replace(STILL, learning_rate=5e-3, epochs=6)
    done = distill.distill(trained, rows, tmp_path / "more", settings, muon_lr=0.02)
    assert done.last < done.first - 0.3
    again = distill.distill(trained, rows, tmp_path / "more", settings, muon_lr=0.02)
    assert again[:-1] == done[:-1], "a finished folder is left as it is"
    with pytest.raises(BadInput, match="other settings or data"):
        distill.distill(trained, rows[1:], tmp_path / "more", settings, muon_lr=0.02)


def test_a_teacher_that_never_answered_has_claimed_nothing(trained, tmp_path):
    cases = [world.make_case(8, "train", i) for i in range(4)]
    gone = Synthesis(method="rejection", teacher="http://127.0.0.1:9/v1?model=x")
    with pytest.raises(EngineUnavailable, match="no server answers"):
        distill.teach(trained, cases, tmp_path / "out", STILL, gone, only_traces=True)
    there = Synthesis(method="rejection", teacher="oracle:", drop_easy=False)
    distill.teach(trained, cases, tmp_path / "out", STILL, there, only_traces=True)
    assert (tmp_path / "out" / "traces.jsonl").read_text()
    with pytest.raises(BadInput, match="other settings or data"):
        distill.teach(trained, cases, tmp_path / "out", STILL, gone, only_traces=True)


def test_traces_that_are_too_long_or_empty_are_left_out_and_counted(trained, tmp_path):
    rows = [row for row in _lab_rows.traces(8, 40) if not row.prefill][:6]
    lengths = sorted(len(row.ids) for row in distill.tokenized(rows, AutoTokenizer.from_pretrained(trained)))
    empty = distill.TraceRow(rows[0].messages, " ")
    told = []
    done = distill.distill(trained, [*rows, empty], tmp_path / "out", STILL, max_length=lengths[3], tell=told.append)
    over = sum(length > lengths[3] for length in lengths)
    assert done.left == {f"longer than {lengths[3]} tokens": over, "with nothing written": 1}
    assert done.rows == 6 - over
    assert f"{over + 1} of 7 traces are left out" in told[0]
    with pytest.raises(BadInput, match="none of 7 traces can be trained on: 6 longer than 5 tokens, 1 with nothing"):
        distill.distill(trained, [*rows, empty], tmp_path / "none", STILL, max_length=5)


def test_traces_are_read_in_our_form_and_in_that_of_trl(tmp_path):
    turns = [{"role": "user", "content": "Which?"}]
    said = {"role": "assistant", "content": "[[A]]"}
    forms = [
        {"id": "x", "messages": turns, "completion": "[[A]]", "prefill": "So "},
        {"case_id": "x", "prompt": turns, "completion": [said]},
        {"prompt": "Which?", "completion": "[[A]]"},
        {"prompt": turns, "completion": [{**said, "reasoning_content": "hm"}]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(form) + "\n" for form in forms))
    rows = distill.read_traces(tmp_path / "rows.jsonl")
    assert {row.messages for row in rows} == {(Message("user", "Which?"),)}
    assert [row.completion for row in rows] == ["[[A]]", "[[A]]", "[[A]]", "<think>\nhm\n</think>\n\n[[A]]"]
    assert [row.prefill for row in rows] == ["So ", "", "", ""]
    (tmp_path / "bad.jsonl").write_text('{"prompt": "Which?"}\n')
    with pytest.raises(BadInput, match=r"bad.jsonl:1: is no trace"):
        distill.read_traces(tmp_path / "bad.jsonl")


def test_text_outside_the_vocabulary_is_refused_before_training(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained)
    row = distill.TraceRow((Message("user", "Who wrote Faust?"),), "[[A]]")
    with pytest.raises(BadInput, match="no token"):
        list(distill.tokenized([row], tokenizer))
    with pytest.raises(BadInput, match="none of 1 traces can be trained on: 1 with words that the model has no token"):
        distill.fit(trained, [row], trained / "none", STILL)


CASES = [world.make_case(5, "train", i) for i in range(4)]
LABELS = Synthesis(method="labels")


def test_the_same_folder_with_another_wording_guard_or_reading_is_refused(trained, tmp_path):
    def make(protocol):
        return distill.teach(trained, CASES, tmp_path / "out", STILL, LABELS, protocol=protocol, only_traces=True)

    once = make("rm_r1")
    assert make(make_protocol("rm_r1", "escape")) == once
    others = [make_protocol("rm_r1", guard="none"), make_protocol("rm_r1", parser="official_reward")]
    for other in others:
        with pytest.raises(BadInput, match="other settings or data"):
            make(other)


def test_a_template_whose_text_was_changed_is_another_one(trained, tmp_path):
    def make(text):
        (tmp_path / "mine.md").write_text(text)
        mine = make_protocol("rm_r1", template=str(tmp_path / "mine.md"))
        distill.teach(trained, CASES, tmp_path / "out", STILL, LABELS, protocol=mine, only_traces=True)

    make("{question} {answer_a} {answer_b}")
    make("{question} {answer_a} {answer_b}")
    with pytest.raises(BadInput, match="other settings or data"):
        make("{question} {answer_b} {answer_a}")


def never_started(trained):
    sided = [Case(f"c{i}", (Message("user", "?"),), ("good", "poor"), (1.0, 0.0)) for i in range(12)]
    single = [Case(f"s{i}", (Message("user", "?"),), (f"tea {i}",), (1.0,)) for i in range(12)]
    batch = msgspec.structs.replace(STILL, batch_size=3)
    tracked = msgspec.structs.replace(STILL, report_to=("swanlab",))
    no = Synthesis()
    return {
        "no teacher": lambda out: distill.teach(trained, CASES, out, STILL, no),
        "unknown engine": lambda out: distill.teach(trained, CASES, out, STILL, Synthesis(teacher="nothing:x")),
        "a batch of 3": lambda out: distill.teach(trained, CASES, out, batch, LABELS),
        "none of 2 cases": lambda out: distill.teach(trained, [_bare(one) for one in CASES[:2]], out, STILL, LABELS),
        "no tokenizer": lambda out: distill.distill(out / "nowhere", list(_lab_rows.traces(1, 2)), out, STILL),
        "rft: no tokenizer": lambda out: rft(out / "nowhere", CASES, out, STILL),
        "rft: unknown engine": lambda out: rft(trained, CASES, out, STILL, Synthesis(teacher="nothing:x")),
        "rft: a batch of 3": lambda out: rft(trained, CASES, out, batch),
        "one label": lambda out: distill.teach(trained, single, out, STILL, Synthesis(), protocol="deepseek_grm"),
        "no such tracker": lambda out: distill.teach(trained, CASES, out, tracked, LABELS),
        "one side": lambda out: distill.teach(
            trained, sided, out, STILL, Synthesis(method="labels", orders="as_is"), protocol="verdict_only"
        ),
    }


def _bare(one):
    return msgspec.structs.replace(one, gold=None)


@pytest.mark.parametrize("why", never_started(""))
def test_what_cannot_start_claims_no_folder(trained, tmp_path, why):
    with pytest.raises(ThinkscoreError):
        never_started(trained)[why](tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("recipe", ["distill", "rft"])
def test_several_processes_are_told_what_each_recipe_can_do(trained, tmp_path, monkeypatch, recipe):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInput) as refused:
        if recipe == "rft":
            rft(trained, CASES, tmp_path / "out", STILL)
        else:
            distill.teach(trained, CASES, tmp_path / "out", STILL, LABELS)
    assert not (tmp_path / "out").exists()
    assert "train distill --traces" in str(refused.value)
    assert ("--method rejection" in str(refused.value)) == (recipe == "rft")


def test_cases_that_the_model_has_no_words_for_are_left_out_before_anybody_is_paid(trained):
    strange = Case("x", (Message("user", "Who wrote Faust?"),), ("Goethe", "Schiller"), (1.0, 0.0))
    told = []
    assert distill.readable(trained, [*CASES, strange], make_protocol("rm_r1"), None, told.append) == CASES
    assert told == ["1 of 5 prompts have words that the model has no token for: their cases are left out"]
    with pytest.raises(BadInput, match="nothing is left to learn from"):
        distill.readable(trained, [strange], make_protocol("rm_r1"), None, told.append)


def test_tokens_are_kept_in_four_bytes_each_and_make_the_same_batches(trained):
    rows = [row for row in _lab_rows.traces(8, 20) if not row.prefill]
    plain = list(distill.tokenized(rows, AutoTokenizer.from_pretrained(trained)))
    kept, _ = distill._fitting(rows, distill._reader(AutoTokenizer.from_pretrained(trained), False), None)
    assert {row.ids.itemsize for row in kept} == {4}
    for one, other in zip(_sft.padded(plain, 0).values(), _sft.padded(kept, 0).values(), strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


def test_thinking_that_the_chat_template_opens_is_not_opened_twice(trained):
    tokenizer = AutoTokenizer.from_pretrained(trained)
    tokenizer.add_tokens(["<think>", "</think>"])
    turns = _lab_rows.trace_row(5, 0).messages
    row = distill.TraceRow(turns, "<think>\nthe drink is tea\n</think>\n\n<answer>[[A]]</answer>")
    before = next(distill.tokenized([row], tokenizer))
    assert [tokenizer.decode(before.ids).count(tag) for tag in ("<think>", "</think>")] == [1, 1]
    opening = "'<|assistant|>' }}{% endif %}"
    assert tokenizer.chat_template.rstrip().endswith(opening)
    tokenizer.chat_template = tokenizer.chat_template.rstrip().removesuffix(opening) + (
        "'<|assistant|><think>\n' }}{% endif %}"
    )
    after = next(distill.tokenized([row], tokenizer))
    assert after.ids == before.ids
    assert after.start > before.start, "what the template writes is not trained"


def test_a_tokenizer_without_an_end_token_is_refused(trained, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(trained)
    tokenizer.eos_token = None
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="has no end token; set eos_token"):
        load_tokenizer(tmp_path)


def test_a_folder_without_a_tokenizer_is_told_so(trained, tmp_path):
    (tmp_path / "config.json").write_bytes((trained / "config.json").read_bytes())
    with pytest.raises(BadInput, match=r"holds no tokenizer; copy tokenizer\.json"):
        load_tokenizer(tmp_path)
