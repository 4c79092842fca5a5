"""Equations in running text, worked out again: `7 + 5 = 12`, `7 plus 5 is 12`, `(3 + 4) * 2 = 14 = 28 / 2`.

Exact, but for a result that is stated with decimals: it may be rounded to them. A running chain, where each part goes
on from the result before (`3 + 4 = 7 + 2 = 9`), is read as it is meant. What has letters, powers or anything unknown in
it is passed over, and so is what stands between quotation marks.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Equation", "equations"]

_NUMBER = r"[$€£]?\d{1,15}(?:,\d{3}){0,5}(?:\.\d{1,15})?%?"
_SIGN = r"\s?[-−+*/×÷]\s?|\s\\?(?:x|times|cdot|div|plus|minus|over|divided by)\s"
_SIDE = rf"\(?[-−]?\(?{_NUMBER}\)?(?:(?:{_SIGN})\(?{_NUMBER}\)?){{0,20}}"
_EQUALS = r"\s?==?\s?|\s(?:is|equals|makes|gives)\s"
_CHAIN = re.compile(rf"{_SIDE}(?:(?:{_EQUALS}){_SIDE}){{1,20}}")
_QUOTED = re.compile(r'"[^"\n]*"|“[^”\n]*”')
_PYTHON = {"−": "-", "×": "*", "x": "*", "times": "*", "cdot": "*", "÷": "/", "div": "/", "over": "/", "plus": "+"}
_PYTHON |= {"minus": "-", "divided by": "/"}
_WORD = re.compile(r"\\?(divided by|[−×÷x]|times|cdot|div|over|plus|minus)")


class Equation(NamedTuple):
    """Two sides that a text says are equal."""

    start: int
    """Where it begins in the text."""
    end: int
    """Where it ends (exclusive)."""
    due: Fraction | None
    """What the left side comes to; None if it divides by zero."""
    ok: bool
    """Whether that is what the right side says."""


def equations(text: str) -> Iterator[Equation]:
    """Yield every equation of a text of which at least one side is a calculation."""
    text = _QUOTED.sub(lambda quote: "\0" * len(quote[0]), text)
    for match in _CHAIN.finditer(text):
        start, end = match.span()
        if not _alone(text[max(0, start - 9) : start], text[end : end + 9]):
            continue
        sides, at = [], start
        for sign in re.finditer(_EQUALS, match[0]):
            sides.append((at, start + sign.start()))
            at = start + sign.end()
        for (a, b), (c, d) in pairwise([*sides, (at, end)]):
            left, right = text[a:b], text[c:d]
            if _worked(left) or _worked(right):
                due = _value(left)
                yield Equation(a, d, due, due is not None and _says(right, due))


def _alone(before: str, after: str) -> bool:
    """Tell whether nothing that could be part of the calculation stands before or after it."""
    if re.search(r"[\w.$€£√\\)\]}^]$|[-−+*/×÷^<>≈~%)\]}]\s*$", before):
        return False
    return not re.match(r"[\w(^°!:]|[.,:]\d|\s?[+*/×÷^<>≈]|\s?[-−]\s?(?:\d|\w\b|\()|\s(?:x|times|mod)\s", after)


def _worked(side: str) -> bool:
    """Tell whether a side is a calculation, not a number alone."""
    return len(re.findall(r"\d[\d,.]*", side)) > 1


def _says(side: str, due: Fraction) -> bool:
    """Tell whether a side says a value: itself, rounded to the decimals it has, or as the first number of a chain."""
    first = re.match(rf"\(?[-−]?\(?{_NUMBER}", side)
    stated = {_value(side): side, **({_value(first[0].replace("(", "")): first[0]} if first and _worked(side) else {})}
    return any(value is not None and abs(value - due) <= _rounding(text) for value, text in stated.items())


def _rounding(side: str) -> Fraction:
    decimals = re.search(r"\.(\d+)(%?)\)?$", side) if not _worked(side) else None
    if decimals is None:
        return Fraction(0)
    return Fraction(1, 2 * 10 ** (len(decimals[1]) + 2 * len(decimals[2])))


def _value(side: str) -> Fraction | None:
    """Work out a side exactly; None if its brackets are not matched or it divides by zero."""
    plain = _WORD.sub(lambda word: _PYTHON[word[1]], re.sub(r"[$€£,]", "", side))
    plain = re.sub(r"([\d.]+)%", r"(\1/100)", plain)
    try:
        return _folded(ast.parse(re.sub(r"(?<![\d.])0+(?=\d)", "", plain.strip()), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def _folded(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp):
        return -_folded(node.operand)
    if not isinstance(node, ast.BinOp):
        raise ValueError("no calculation")
    left, right = _folded(node.left), _folded(node.right)
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    if isinstance(node.op, ast.Mult):
        return left * right
    if isinstance(node.op, ast.Div):
        return left / right
    raise ValueError("no calculation")
