"""Tiny random Qwen3 models, written by transformers with a word tokenizer and a chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thinkscore.engines._decoder import Decoder

WORDS = "the red blue green one two three is sum best better answer A B C [[ ]] : . , <think> </think>"
VOCABULARY = ["<unk>", "<|im_start|>", "<|im_end|>", " ", "\n", "system", "user", "assistant", *WORDS.split()]
TEMPLATE = """\
{% for message in messages %}
<|im_start|>{{ message.role }}{{ '\\n' }}
{%- if message.role == 'assistant' %}{% generation %}{{ message.content }}{% endgeneration %}
{%- else %}{{ message.content }}{% endif %}{{ eos_token }}{{ '\\n' }}
{%- endfor %}
{% if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}{% endif %}
"""


def save_model(folder: Path, key_heads: int = 2, tied: bool = True) -> Any:
    """Write a random model as transformers does, norm weights random too; returns it."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(7)
    config = transformers.Qwen3Config(
        vocab_size=len(VOCABULARY), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=key_heads, head_dim=16, max_position_embeddings=96, tie_word_embeddings=tied,
        initializer_range=0.2, eos_token_id=VOCABULARY.index("<|im_end|>"), bos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    model = transformers.Qwen3ForCausalLM(config).eval()
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 1.5)
    model.save_pretrained(folder)
    return model


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    pieces = Regex(r"\s|\[\[|\]\]|</?\w+>|\w+|[^\w\s]")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pieces, "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("model")
    save_model(path)
    save_tokenizer(path)
    return path


@pytest.fixture(scope="session")
def theirs(folder: Path) -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.Qwen3ForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module", params=[(2, True), (1, False), (4, True)], ids=["grouped", "untied", "ungrouped"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoder, Any]:
    path = tmp_path_factory.mktemp("pair")
    model = save_model(path, *request.param)
    return Decoder(path), model


# ---- models that read any text: one token per byte


START, END, PAD = "<bos>", "<eot>", "<pad>"
CHAT = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<eot>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
BYTES = 260
"""Vocabulary: 256 bytes, the three marks above, and one pair of letters that become one token."""


def save_byte_tokenizer(folder: Path, template: str | None = CHAT, pad: str | None = PAD) -> Any:
    """Write a tokenizer that, like Llama's, puts a start token in front of every text by itself."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "AB"]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [("A", "B")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([START, END, PAD])
    start = tokenizer.token_to_id(START)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", pair=f"{START} $A $B", special_tokens=[(START, start)]
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token=pad)
    fast.chat_template = template
    fast.save_pretrained(folder)
    return fast


def byte_config(**changes: Any) -> Any:
    from transformers import Qwen3Config

    return Qwen3Config(
        **{
            "vocab_size": BYTES, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 512,
            "initializer_range": 0.3, "bos_token_id": 257, "eos_token_id": 258, "pad_token_id": None,
        }
        | changes
    )  # fmt: skip


def save_byte_model(folder: Path, *, scalar: bool = False, **changes: Any) -> Any:
    """Write a random model, and a tokenizer beside it; returns the model."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    torch.manual_seed(11)
    kind = transformers.Qwen3ForSequenceClassification if scalar else transformers.Qwen3ForCausalLM
    model = kind(byte_config(**({"num_labels": 1} if scalar else {}) | changes)).eval()
    if not scalar:  # its greedy answers never end
        model.lm_head.weight.data[model.config.eos_token_id] = 0
    model.save_pretrained(folder)
    save_byte_tokenizer(folder)
    return model


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a causal model that reads any text."""
    path: Path = tmp_path_factory.mktemp("writer")
    save_byte_model(path)
    return path


@pytest.fixture(scope="session")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a scalar reward model that reads any text."""
    path: Path = tmp_path_factory.mktemp("scorer")
    save_byte_model(path, scalar=True)
    return path
