"""Scalar heads on the hf engine: the values of a plain forward of transformers, whatever shares the batch."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from thinkscore.errors import BadInput
from thinkscore.judge import make_engine
from thinkscore.types import Case, Failure, Message, Prompt

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21

REPLIES = ("Tea.", "Coffee, " + "and more of it, " * 12, "", "Both<eot>", "Neither; water.")
TALKS = [(Message("user", "Tea or coffee?"), Message("assistant", reply)) for reply in REPLIES]
LONGER = (Message("system", "Be brief."), *TALKS[0], Message("user", "Why?"), Message("assistant", "It is hot."))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def values(uri: str, talks: Sequence[Sequence[Message]]) -> list[float | Failure]:
    async def run() -> list[float | Failure]:
        engine = make_engine(uri)
        await engine.open()
        try:
            return await engine.values(talks)
        finally:
            await engine.close()

    return asyncio.run(run())


def forward(folder: Path, talk: Sequence[Message], model: Any = None) -> float:
    """Ask transformers alone, one conversation at a time, as the authors of such models do."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = model or transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    turns = [{"role": message.role, "content": message.content} for message in talk]
    text = tokenizer.apply_chat_template(turns, tokenize=False).removeprefix(tokenizer.bos_token)
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    assert (ids == tokenizer.bos_token_id).sum() == 1
    with torch.inference_mode():
        return float(model(input_ids=ids).logits[0, 0])


@pytest.mark.parametrize("pad", [None, 259, 258, 97], ids=["none", "own", "the end token", "a letter"])
def test_values_are_those_of_a_plain_forward(pad: int | None, scorer: Path, tmp_path: Path) -> None:
    """Also where the padding token is a token that conversations hold: the head skips it at their end."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(scorer)
    model.config.pad_token_id = pad
    shutil.copytree(scorer, tmp_path, dirs_exist_ok=True)
    model.config.save_pretrained(tmp_path)
    plain = [talk for talk in [*TALKS, LONGER] if "<eot>" not in talk[-1].content]
    got = values(f"hf:{tmp_path}?batch=4", plain)
    assert got == pytest.approx([forward(tmp_path, talk) for talk in plain], abs=1e-5)
    assert len(set(got)) == len(plain)


def test_what_pads_is_never_what_ends_a_conversation(scorer: Path, tmp_path: Path) -> None:
    """Without a padding token the very last token counts, here the first of the vocabulary, which others lack."""
    shutil.copytree(scorer, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
    talks = [(TALKS[0][0], Message("assistant", reply)) for reply in ("Tea!", "Tea! And then, perhaps, coffee", "!!")]
    assert transformers.AutoTokenizer.from_pretrained(tmp_path).convert_tokens_to_ids("!") == 0
    assert values(f"hf:{tmp_path}", talks) == pytest.approx([forward(tmp_path, talk) for talk in talks], abs=1e-5)


def test_equal_conversations_have_equal_values_wherever_they_stand(scorer: Path) -> None:
    """The second of two rows would share its batch with none or with longer ones, which moves the last bits."""
    for talk in (TALKS[0], TALKS[2], TALKS[4]):
        got = values(f"hf:{scorer}?batch=3", [TALKS[1], talk, LONGER, talk])
        assert got[1] == got[3]


def test_an_end_token_in_a_reply_is_read_as_text(scorer: Path) -> None:
    marked, split = values(f"hf:{scorer}", [TALKS[3], (TALKS[3][0], Message("assistant", "Both< eot>"))])
    assert marked != pytest.approx(forward(scorer, TALKS[3]), abs=1e-6)
    assert isinstance(split, float)


def test_what_cannot_be_read_is_a_failure_of_its_own(scorer: Path) -> None:
    long, half = Message("assistant", "x" * 600), Message("assistant", "\ud800")
    got = values(f"hf:{scorer}?context=300", [TALKS[0], (TALKS[0][0], long), (TALKS[0][0], half), TALKS[2]])
    count = len("<|user|>Tea or coffee?<|assistant|>") + 600 + 3
    assert got[1] == Failure("too_long", f"too long: the prompt has {count} tokens; the model reads 300")
    assert isinstance(got[2], Failure) and got[2].kind == "engine_error"
    assert [got[0], got[3]] == pytest.approx([forward(scorer, talk) for talk in (TALKS[0], TALKS[2])], abs=1e-5)
    assert values(f"hf:{scorer}", []) == []


def test_a_value_that_is_no_number_is_a_failure(scorer: Path, tmp_path: Path) -> None:
    shutil.copytree(scorer, tmp_path, dirs_exist_ok=True)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(scorer)
    model.score.weight.data[:] = torch.nan
    model.save_pretrained(tmp_path)
    (got,) = values(f"hf:{tmp_path}", TALKS[:1])
    assert isinstance(got, Failure)
    assert got.detail.startswith("the scalar head gave nan")


def test_a_head_that_was_trained_as_an_adapter(writer: Path, tmp_path: Path) -> None:
    """A reward model as TRL saves one with LoRA: adapter and head, on a model that writes text."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(5)
    base = transformers.AutoModelForSequenceClassification.from_pretrained(writer, num_labels=1)
    adapted = peft.get_peft_model(
        base, peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="SEQ_CLS")
    )
    adapted.save_pretrained(tmp_path)
    got = values(f"hf:{writer}?adapter={tmp_path}", [*TALKS[:3], LONGER])
    model = adapted.eval()
    assert got == pytest.approx([forward(writer, talk, model) for talk in [*TALKS[:3], LONGER]], abs=1e-5)


def test_a_head_writes_no_text(scorer: Path) -> None:
    case = Case("c", (Message("user", "Tea?"),), ("A", "B"))
    asked = Prompt(case, "test", case.messages, (0, 1))

    async def run(text: bool) -> None:
        engine = make_engine(f"hf:{scorer}")
        await engine.open()
        try:
            await (engine.generate([asked]) if text else engine.logprobs([asked], ["A"]))
        finally:
            await engine.close()

    for text in (True, False):
        with pytest.raises(BadInput, match="scalar head"):
            asyncio.run(run(text))


def test_a_head_of_several_labels_is_no_reward(scorer: Path, tmp_path: Path) -> None:
    shutil.copytree(scorer, tmp_path, dirs_exist_ok=True)
    config = transformers.AutoConfig.from_pretrained(scorer, num_labels=3)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="3 labels; a scalar reward model has one"):
        values(f"hf:{tmp_path}", TALKS)
