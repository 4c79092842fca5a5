"""Where a model is, and what its folder is as a hash: a part of the ENGINE's identity, which keys the journal.

Everything that can change an answer is in it: weights, config, tokenizer, chat template, code. Small weight files
count whole. Of a large safetensors file (70B are 140 GB) the header, the size and three slices of every tensor count:
any step of training changes those, and reading them takes a second.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import EngineUnavailable

__all__ = ["fingerprint", "first_line", "look_for"]

_WEIGHTS = re.compile(r"(adapter_|pytorch_)?model.*\.(safetensors|bin)")
_OTHERS = re.compile(
    r"((generation_|adapter_)?config|special_tokens_map|added_tokens)\.json"
    r"|(tokenizer|vocab|merges|chat_template|spiece|sentencepiece).*|.*\.py"
)
WHOLE = 2**26
"""Bytes up to which a weight file is read whole."""
SLICE = 4096


def look_for(model: str, revision: str | None = None) -> None:
    """Raise `EngineUnavailable` for a name that is no folder, not in the Hub's cache, and unknown to the Hub itself.

    The Hub is asked once. Its client, left to itself, would ask twelve times in 50 seconds where there is no network.
    """
    import huggingface_hub as hub

    if Path(model).is_dir():
        return
    try:
        if not isinstance(hub.try_to_load_from_cache(model, "config.json", revision=revision), str):
            hub.get_hf_file_metadata(hub.hf_hub_url(model, "config.json", revision=revision))
    except Exception as error:  # the client's own, and those of its transport
        raise EngineUnavailable(
            f"{model!r} is no folder, and the Hub or its cache does not give it: {first_line(error)}"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of a message that says anything, without its full stop."""
    lines = (line.strip().removesuffix(".") for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def fingerprint(folder: Path, whole: int = WHOLE) -> str:
    """Hash the files of a model or adapter folder to 16 hex digits."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        weights = _WEIGHTS.fullmatch(path.name) is not None
        if weights or _OTHERS.fullmatch(path.name):
            size = path.stat().st_size
            digest.update(f"{path.name} {size}\n".encode())
            sliced = weights and path.suffix == ".safetensors" and size > whole
            for piece in _slices(path) if sliced else _blocks(path):
                digest.update(piece)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(2**20):
            yield block


def _slices(path: Path) -> Iterator[bytes]:
    """Yield the header of a safetensors file, then start, middle and end of every tensor."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
        yield header
        for name, tensor in sorted(json.loads(header).items()):
            if name == "__metadata__":
                continue
            begin, end = tensor["data_offsets"]
            for place in (begin, (begin + end) // 2, max(begin, end - SLICE)):
                file.seek(8 + length + place)
                yield file.read(min(SLICE, end - place))
