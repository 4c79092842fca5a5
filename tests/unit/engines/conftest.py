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
