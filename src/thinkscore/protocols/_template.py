"""Templates: prompt texts with slots, filled with a case; the wording of a released checkpoint, or a user's own.

Sits inside "a case is rendered by a protocol into a prompt". A template is a system part, a user part and, where its
authors have one, a user part for conversations of several turns. Filling is one pass: what a slot holds is never
searched for slots, and braces in it are safe.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

import msgspec

from ..errors import BadInput
from ..types import Message

__all__ = ["Template", "digest", "read_own", "transcript"]

_MARK = re.compile(r"^=== (?:(system|user|turns)|scores (\d{1,4}) (\d{1,4})) ===[ \t]*\n", re.MULTILINE)
_EACH = re.compile(r"\{each\}\n(.*?)\n\{end\}", re.DOTALL)
_SLOT = re.compile(r"(?<![\\\w{])\{([a-z_]+)\}")
_GAP = r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]"  # white space, and what looks like none
_START = r"(?:^|[\r\x0b\x0c\x85\u2028\u2029])[ \t\u200b-\u200f\u2060\ufeff]*"
_SPEAKERS = ("User:", "System:", "Assistant:", "Chatbot A:", "Chatbot B:")


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class Template(msgspec.Struct, frozen=True, dict=True):
    """Texts with slots."""

    name: str
    """As in a manifest: a published name, or the file."""
    parts: dict[str, str]
    """Texts by part: system, user, turns (the user part for several turns)."""
    slots: dict[str, str]
    """How the texts spell each slot, braces and all."""
    each: str = ""
    """The piece that is repeated for every candidate, as it stands in the text; "" if there is none."""
    block: str = ""
    """The same piece with `{number}` and `{response}`."""
    scores: tuple[int, int] | None = None
    """Least and greatest score that it asks for, where it says so."""
    official: bool = False
    """Whether it is a published text, byte for byte."""

    @property
    def one(self) -> bool:
        """Tell whether it has room for exactly one candidate."""
        return "response" in self.slots and not self.each

    @cached_property
    def marks(self) -> re.Pattern[str]:
        """What a text of a case could forge; see `delimiters`."""
        return delimiters(self, transcripts=False)

    @cached_property
    def marks_of_turns(self) -> re.Pattern[str]:
        """The same where a conversation is shown as a transcript."""
        return delimiters(self, transcripts=True)

    def described(self) -> dict[str, object]:
        """Return name and SHA-256 of each part, for a manifest."""
        return {"name": self.name, "sha256": {part: digest(text) for part, text in self.parts.items()}}

    def messages(
        self, values: Mapping[str, str], shown: Sequence[str] = (), *, several: bool = False
    ) -> tuple[Message, ...]:
        """Fill the parts: `values` by slot, `shown` into the repeated piece, place by place."""
        user = Message("user", self.fill(self.parts["turns" if several else "user"], values, shown))
        return (Message("system", self.parts["system"]), user) if "system" in self.parts else (user,)

    def fill(self, text: str, values: Mapping[str, str], shown: Sequence[str] = ()) -> str:
        """Fill one text in one pass. A slot without a value stays as it is."""
        known = {spelled: values[slot] for slot, spelled in self.slots.items() if slot in values}
        if self.each:
            known[self.each] = "\n".join(
                _once(self.block, {"{number}": str(place), "{response}": said})
                for place, said in enumerate(shown, start=1)
            )
        return _once(text, known)


def _once(text: str, known: Mapping[str, str]) -> str:
    """Replace every key that stands in the text, in one pass."""
    spelled = "|".join(re.escape(key) for key in sorted(known, key=len, reverse=True))
    return re.sub(spelled, lambda match: known[match[0]], text) if spelled else text


def transcript(turns: Sequence[Message], assistant: str = "Assistant") -> str:
    """Show turns as lines "User: ...", the replies under the given name."""
    names = {"system": "System", "user": "User", "assistant": assistant}
    return "\n".join(f"{names[turn.role]}: {turn.content}" for turn in turns)


def delimiters(template: Template, *, transcripts: bool) -> re.Pattern[str]:
    """Match up to the first character of what could be taken for a line of the template, whatever number it carries.

    Lines in brackets, headings and what stands between two slots are found anywhere; other lines beside a slot, what
    stands before one, and the speakers of transcripts, at the start of a line.
    """
    anywhere: set[str] = set()
    at_start = set(_SPEAKERS if transcripts else ())
    slot = re.compile("|".join(map(re.escape, [*template.slots.values(), "{response}"])))
    for part in template.parts.keys() - {"system"}:
        text = template.parts[part].replace(template.each, template.block) if template.each else template.parts[part]
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        for i, line in enumerate(lines):
            first, *rest = slot.split(line)
            anywhere.update(rest)
            if re.match(r"\[.*\]$|#|<", first):
                anywhere.add(first)
            elif any(slot.search(near) for near in lines[max(i - 1, 0) : i + 2]):
                at_start.add(first)
    firm, loose = (
        "|".join(_loosely(line) for line in sorted(lines) if re.search(r"\w", line)) for lines in (anywhere, at_start)
    )
    return re.compile(rf"{_START}(?=(?:{loose or '(?!)'}))\S|(?=(?:{firm or '(?!)'}))\S", re.MULTILINE | re.IGNORECASE)


def _loosely(line: str) -> str:
    """Match a line whatever its numbers and gaps."""
    words = re.sub(r"\{number\}|\d+", "\0", re.sub(r"^\[|\]$", r" \g<0> ", line.strip())).split()
    return rf"{_GAP}*".join(re.escape(word).replace("\0", r"\d+") for word in words)


def read_own(path: Path, slots: Sequence[str], turns: Sequence[str]) -> Template:
    """Read a user's template file (docs/protocols.md says how it is written). Raises `BadInput`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"cannot read the template {path}: {error}") from error
    parts, scores = _parts(path, text)
    each = _EACH.search(parts["user"])
    for part, wanted in (("user", slots), ("turns", turns)):
        if part in parts:
            _check_slots(path, part, parts[part], wanted)
    if set(_SLOT.findall(parts.get("system", ""))) & {*slots, *turns}:
        raise BadInput(f"{path}: slots are filled in the user part only; the system part has one")
    return Template(
        name=str(path),
        parts=parts,
        slots={slot: f"{{{slot}}}" for slot in (*slots, *turns)},
        each=each[0] if each else "",
        block=each[1] if each else "",
        scores=scores,
    )


def _parts(path: Path, text: str) -> tuple[dict[str, str], tuple[int, int] | None]:
    """Part a file at its marks; a file without any is the user part."""
    marks = [*_MARK.finditer(text)] or [*_MARK.finditer(text := f"=== user ===\n{text}")]
    ends = [*(match.start() for match in marks[1:]), len(text)]
    said = {match[1]: text[match.end() : end].removesuffix("\n") for match, end in zip(marks, ends, strict=True)}
    scores = next(((int(match[2]), int(match[3])) for match in marks if match[2]), None)
    parts = {part: part_text for part, part_text in said.items() if part}
    if "user" not in parts or text[: marks[0].start()].strip():
        raise BadInput(f"{path}: the parts of a template begin with lines === system ===, === user ===, === turns ===")
    return parts, scores


def _check_slots(path: Path, part: str, text: str, wanted: Sequence[str]) -> None:
    """Raise `BadInput` unless a part has a place for all that is wanted, and for nothing else."""
    listed = ", ".join(f"{{{slot}}}" for slot in wanted) or "no slot"
    found = set(_SLOT.findall(_EACH.sub(lambda match: match[1].replace("{number}", ""), text)))
    for slot in sorted(found - set(wanted)):
        close = get_close_matches(slot, wanted, n=1)
        hint = f"; did you mean {{{close[0]}}}?" if close else ""
        raise BadInput(f"{path}: unknown slot {{{slot}}} in the {part} part, which takes {listed}{hint}")
    for slot in sorted(set(wanted) - found):
        raise BadInput(f"{path}: no place for {{{slot}}} in the {part} part, which needs {listed}")
