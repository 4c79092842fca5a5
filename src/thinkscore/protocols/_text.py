"""What protocols share: showing a case, guarding its delimiters, and finding the final region of an answer."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from functools import cache

from ..errors import BadInput
from ..types import Case, Completion, Failure, Line, Message
from ._base import Guard

# What looks like white space, or like nothing at all.
_GAP = r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*"
# Every tag that a prompt of ours uses as a delimiter or that an answer may hold, and the marks of chat templates.
_TAG = re.compile(
    rf"[<＜﹤](?={_GAP}(?:/{_GAP})?(?:question|conversation|response_\w+|assistant_\d+|think|type|rubric|justify|solution"
    rf"|eval|system|user|assistant|quote_\w+|summary_\w+|answer|start_of_turn|end_of_turn|s|bos|eos)\b"
    rf"|{_GAP}[|｜])|\[(?=/?INST\])",
    re.IGNORECASE,
)
_ENTITY = r"(?:amp|lt|#\d{1,7})"


def guarded(text: str, guard: Guard, more: re.Pattern[str] | None = None) -> str:
    """Neutralise our delimiters and tags inside text from a case; `unguarded` gives the text back.

    `more` finds further ones and ends its match with their first character.
    """
    if guard == "none":
        return text
    return _marks(more).sub(_entity, re.sub(rf"&(?={_ENTITY};)", "&amp;", text))


@cache
def _marks(more: re.Pattern[str] | None) -> re.Pattern[str]:
    """Put ours and further ones into one pattern: what one pass wrote must not be read by another."""
    return re.compile(f"{_TAG.pattern}|{more.pattern}", _TAG.flags | more.flags) if more else _TAG


def _entity(match: re.Match[str]) -> str:
    last = match[0][-1]
    return match[0][:-1] + ("&lt;" if last == "<" else f"&#{ord(last)};")


def unguarded(text: str) -> str:
    """Undo `guarded` (with guard "escape")."""
    return re.sub(rf"&({_ENTITY});", _character, text)


def _character(match: re.Match[str]) -> str:
    code = {"amp": 38, "lt": 60}.get(match[1]) or int(match[1][1:])
    return chr(code) if code <= sys.maxunicode else match[0]


def block(tag: str, text: str) -> str:
    """Put text between a tag and its end, each on its own line."""
    return f"<{tag}>\n{text}\n</{tag}>"


def question_block(case: Case, guard: Guard) -> str:
    """Show what was asked: a single user turn as it is, anything longer as a transcript with speakers."""
    if len(case.messages) == 1:
        return block("question", guarded(case.messages[0].content, guard))
    turns = [block(message.role, guarded(message.content, guard)) for message in case.messages]
    return block("conversation", "\n".join(turns))


def single_turn(case: Case) -> bool:
    """Tell whether a case is one question, without any history or system message."""
    return [message.role for message in case.messages] == ["user"]


def guarded_turns(case: Case, guard: Guard, more: re.Pattern[str] | None = None) -> list[Message]:
    """Return the turns of a case with their texts guarded."""
    return [Message(message.role, guarded(message.content, guard, more)) for message in case.messages]


def check_order(protocol: str, case: Case, order: Sequence[int], arity: tuple[int, int]) -> None:
    """Raise `BadInput` unless the order shows a number of the case's candidates that the protocol takes."""
    least, most = arity
    n = len(case.candidates)
    if len(set(order)) < len(order) or not all(0 <= i < n for i in order):  # in no time that grows with n
        raise BadInput(f"case {case.id!r} has candidates 0..{n - 1}; got the order {tuple(order)}")
    if not least <= len(order) <= most:
        takes = f"exactly {least}" if least == most else f"{least} to {most}"
        raise BadInput(
            f"{protocol} judges {takes} candidates at a time; case {case.id!r} shows {len(order)}; "
            "use --protocol deepseek_grm for any number"
        )


def engine_failure(completion: Completion) -> Failure | None:
    """Turn a completion that is an error into a failure."""
    if completion.finish != "error":
        return None
    detail = completion.error or "the engine gave no reason"
    return Failure("too_long" if detail.startswith("too long") else "engine_error", detail)


def missing(completion: Completion) -> Failure:
    """Say that no verdict was found: cut short, or ended without one."""
    if completion.finish == "length":
        return Failure("truncated", "the answer was cut at max_tokens before its verdict")
    return Failure("no_verdict", "the answer ends without a verdict")


def goes_on(completion: Completion, rest: str) -> bool:
    """Tell whether a text that was cut went on after what looks like its verdict: then it was still weighing."""
    return completion.finish == "length" and re.sub(r"</answer>|[\s.*$}]", "", rest) != ""


def final_region(text: str, marks: tuple[str, ...]) -> tuple[int, bool] | None:
    """Find where the verdict may stand: after the last closing mark of thinking or of a section.

    Returns (start, whether a closing mark came before), or None if the text ends inside a section.
    """
    open_at: dict[str, int] = {}
    start, marked = 0, False
    for match in _tags(marks).finditer(text):
        name = match[2].lower()
        if not match[1]:
            open_at[name] = match.end()
            continue
        start, marked = match.end(), True
        open_at.pop(name, None)
        if name == "think":  # tags that were named while thinking are no sections
            open_at.clear()
    if "think" in open_at:
        return None
    if open_at:  # a section that nobody closed ends where a full answer ends the text
        answer = _LAST_ANSWER.search(text, max(start, *open_at.values()))
        return None if answer is None else (answer.start(), True)
    return start, marked


@cache
def _tags(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"<(/?)({'|'.join(map(re.escape, names))})\s*>", re.IGNORECASE)


_LAST_ANSWER = re.compile(r"<answer>\s*\[\[\s*[AB]\s*\]\]\s*(?:</answer>\s*)?\Z", re.IGNORECASE)


_LINE = re.compile(r"[^\n]+")


def placed_lines(text: str, start: int, end: int) -> list[Line]:
    """Return the lines of text[start:end] that say something, trimmed, each with its span."""
    found = []
    for match in _LINE.finditer(text, start, end):
        said = match[0].strip()
        if said:
            left = match.start() + match[0].index(said)
            found.append(Line(said, (left, left + len(said))))
    return found


_AMOUNT = r"(\d{1,9}(?:\.\d{1,9})?)\s?%?"
_WEIGHT = re.compile(rf"[(\[](?:weight\s?[:=]?\s?)?{_AMOUNT}(?:\s?weight)?[)\]]$", re.IGNORECASE)
_INSIDE = re.compile(
    rf"[(\[](?:weight\s?[:=]?\s?)?{_AMOUNT}(?:\s?weight)?[)\]](?=[*_]{{0,3}}\s?(?::|$))"
    rf"|\bweight\s?[:=]?\s?{_AMOUNT}$",
    re.IGNORECASE,
)


def read_weight(text: str) -> tuple[str, float | None]:
    """Split "drink is tea (3)" into text and weight."""
    match = _WEIGHT.search(text)
    if match is None or not text[: match.start()].strip():
        stated = _INSIDE.search(text)
        return text, float(stated[1] or stated[2]) if stated else None
    return text[: match.start()].strip(), float(match[1])


def write_weight(text: str, weight: float | None) -> str:
    """Join text and weight; the inverse of `read_weight`."""
    return text if weight is None else f"{text} ({int(weight) if weight == int(weight) else weight})"
