"""A tiny random reward model as a judge, from the facade down: its scores are those of transformers alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thinkscore.errors import BadInput
from thinkscore.judge import Judge
from thinkscore.types import Case, Message

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEMPLATE = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}\n{% endfor %}"
CASES = [
    Case(
        f"c{i}",
        (Message("user", f"How much is {i} + {i}?"),),
        (f"It is {2 * i}.", f"It is {i}, I think, " + "but who knows, " * i, "No idea."),
        gold=(1.0, 0.0, 0.0),
    )
    for i in range(5)
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    path: Path = tmp_path_factory.mktemp("reward")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 256)]
    )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(path)
    torch.manual_seed(2)
    config = transformers.Qwen3Config(
        vocab_size=258, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, max_position_embeddings=256, initializer_range=0.3, num_labels=1,
        bos_token_id=256, eos_token_id=257,
    )  # fmt: skip
    transformers.Qwen3ForSequenceClassification(config).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def plain(folder: Path) -> Callable[[Case, str], float]:
    """Score one reply the way the authors of such models show it."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def value(case: Case, reply: str) -> float:
        turns = [{"role": "user", "content": case.messages[0].content}, {"role": "assistant", "content": reply}]
        text = tokenizer.apply_chat_template(turns, tokenize=False).removeprefix("<s>")
        with torch.inference_mode():
            return float(model(**tokenizer(text, return_tensors="pt")).logits[0][0])

    return value


def test_a_judge_gives_the_values_of_a_plain_forward(
    folder: Path, plain: Callable[[Case, str], float], tmp_path: Path
) -> None:
    expected = {case.id: [plain(case, reply) for reply in case.candidates] for case in CASES}
    with Judge("scalar", f"hf:{folder}", journal=tmp_path / "run.journal") as judge:
        judged = {judgment.case_id: judgment for judgment in judge.judge(CASES)}
    for name, values in expected.items():
        assert judged[name].failure is None
        assert judged[name].scores == pytest.approx(values, abs=1e-5)
        assert judged[name].winner == values.index(max(values))
    assert len({judgment.winner for judgment in judged.values()}) > 1


def test_a_judge_of_pairs_prefers_the_higher_value(folder: Path, plain: Callable[[Case, str], float]) -> None:
    case = CASES[3]
    a, b = (plain(case, reply) for reply in case.candidates[:2])
    with Judge("scalar", f"hf:{folder}") as judge:
        judgment = judge.compare(case.messages[0].content, *case.candidates[:2])
        tie = judge.compare("Tea?", "yes", "yes")
    assert judgment.scores == pytest.approx((a, b), abs=1e-5)
    assert judgment.winner == (0 if a > b else 1)
    assert tie.winner is None


def test_a_case_that_is_too_long_is_no_score(folder: Path) -> None:
    long = Case("long", CASES[0].messages, ("short", "x" * 400))
    with Judge("scalar", f"hf:{folder}") as judge:
        first, second = judge.judge([long, CASES[0]])
    assert first.failure is not None
    assert first.failure.kind == "too_long"
    assert first.scores is None
    assert second.failure is None


def test_an_engine_without_a_head_is_one_clear_error() -> None:
    with Judge("scalar", "oracle:") as judge, pytest.raises(BadInput, match="no scalar head"):
        list(judge.judge(CASES))
