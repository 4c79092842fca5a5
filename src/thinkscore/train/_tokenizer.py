"""The embedded judge's tokenizer: whole words of the world and of the protocols, spaces kept, nothing guessed.

A text is cut into tags, words, numbers and marks; each piece is one token, whatever stands before it. (A word that were
another token after a space than after a tag would be looked up far more slowly: that is matching tokens.) Spaces are
not tokens: decoding puts them where the world's texts have them. So text -> ids -> text is exact for texts spaced like
that; the engine refuses others, and any text with a piece that the world does not know (`<unk>`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from ..lab import _words

PAD, END, UNKNOWN = "<pad>", "<|end|>", "<unk>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
PIECE = r"</?[a-z]+(?:_\w+)?>|\(\d+\)|\[\[[AB]\]\]|\\boxed\{|[A-Za-z]+|\d+|\n|[^\w\s]"
# Where the world's texts have no space between two pieces.
NO_SPACE = r'(?<=[>{\n]) | (?=[<}\n,.?!:;])|(?<=[:;] ") |(?<![:;]) (?=")'
# A small model cannot read instructions: it is told the protocol by the first line of the system message.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '<|system|>' + message['content'].split('\n')[0] }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>' + message['content'] }}"
    "{% else %}{{ '<|assistant|>' + message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def build(texts: Iterable[str], out: Path) -> Tokenizer:
    """Write tokenizer.json, its configuration and the chat template into `out`.

    The vocabulary is every word of the world and every piece of the sample texts.
    """
    pieces: set[str] = set()
    for text in texts:
        pieces.update(re.findall(PIECE, text))
    pieces.update(str(number) for number in range(33))
    pieces.update(word for phrase in _strings(vars(_words)) for word in re.findall(r"[A-Za-z]+", phrase))
    pieces.update(thing.removesuffix("s") for thing in _words.THINGS)
    vocabulary = [PAD, UNKNOWN, END, *ROLES, *sorted(pieces)]
    tokenizer = Tokenizer(models.WordLevel({piece: i for i, piece in enumerate(vocabulary)}, unk_token=UNKNOWN))
    pieces_only = [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split(Regex(PIECE), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(pieces_only)
    spaced = decoders.WordPiece(prefix=UNKNOWN, cleanup=False)  # a space between any two tokens
    tokenizer.decoder = decoders.Sequence([spaced, decoders.Fuse(), decoders.Replace(Regex(NO_SPACE), "")])
    special = [PAD, UNKNOWN, END, *ROLES]
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": END,
        "unk_token": UNKNOWN,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": CHAT_TEMPLATE,
    }
    (out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    return tokenizer


def _strings(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if not (isinstance(key, str) and key.startswith("__")):
                yield from _strings(key)
                yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
