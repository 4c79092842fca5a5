"""The options of `hf:ID_OR_DIR?name=value&...`: what the ENGINE is told in its URI."""

from __future__ import annotations

import os
from typing import Annotated, Literal
from urllib.parse import unquote

import msgspec

from ..errors import BadInput

__all__ = ["Options"]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to load and run a model."""

    model: str = ""
    """A folder, or an id on the Hugging Face Hub."""
    adapter: str = ""
    """Folder of a LoRA adapter, merged into the model; its tokenizer is used if it brings one."""
    revision: str = ""
    """Branch, tag or commit on the Hub."""
    device: str = "auto"
    """cpu, cuda, cuda:1; auto takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto is float32 on a CPU and what the checkpoint says on a GPU."""
    batch: Annotated[int, msgspec.Meta(ge=1)] = 16
    """Rows that are run in step."""
    context: Annotated[int, msgspec.Meta(ge=2)] | None = None
    """Tokens read at most, the answer included, if less than the model's own limit."""
    attn: str = ""
    """Attention of transformers: eager, sdpa, flash_attention_2."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model."""

    @classmethod
    def read(cls, rest: str) -> Options:
        """Read the part of the URI after `hf:`. Raises `BadInput` that names what is accepted."""
        model, _, query = rest.partition("?")
        pairs = [part.partition("=") for part in query.split("&") if part]
        given = {"model": os.path.expanduser(model)} | {name: unquote(value) for name, _, value in pairs}
        switch = given.get("trust_remote_code")
        if switch is not None:
            given["trust_remote_code"] = {"yes": "true", "no": "false"}.get(switch, switch)
        try:
            return msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            names = ", ".join(name for name in cls.__struct_fields__ if name != "model")
            raise BadInput(f"got hf:{rest}: {error}; use hf:ID_OR_DIR?name=value&name=value with {names}") from error
