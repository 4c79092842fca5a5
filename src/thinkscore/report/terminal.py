"""Tables of results and single judgments, for a terminal of 80 columns or more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..types import Case

__all__ = ["accuracy", "case_view", "results_table"]

Row = Mapping[str, Any]


def accuracy(tally: Row) -> str:
    """Write an accuracy in percent; a dash for an empty tally."""
    return "-" if tally["accuracy_all"] is None else f"{100 * tally['accuracy_all']:.1f}"


def results_table(title: str, results: Mapping[str, Row], tags: Sequence[str] = ()) -> Table:
    """Tabulate runs: one row per name, accuracy over all cases with its 95 % interval, then by the given tags."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("", style="cyan", no_wrap=True)
    heads = ["all", "95 %"]
    values = {tag: list(next(iter(results.values()))["by"].get(tag, {})) for tag in tags}
    heads += [value for tag in tags for value in values[tag]]
    for head in [*heads, "no verdict", "tokens"]:
        table.add_column(head, justify="right", no_wrap=True)
    for name, result in results.items():
        tally, calls = result["tally"], max(1, result["usage"]["calls"])
        cells = [accuracy(tally), _interval(tally)]
        cells += [accuracy(result["by"][tag][value]) for tag in tags for value in values[tag]]
        unread = (tally["unparsed"] + tally["errored"]) / max(1, tally["n"])
        table.add_row(name, *cells, f"{100 * unread:.1f}", f"{result['usage']['completion_tokens'] / calls:.0f}")
    return table


def _interval(tally: Row) -> str:
    low, high = tally["interval"] or (0, 0)
    return f"{100 * low:.0f}-{100 * high:.0f}"


def case_view(row: Row, case: Case | None = None, traces: int = 1) -> Group:
    """Show one judged case: what was asked and answered, the judgment, the votes, and `traces` texts in full."""
    parts: list[RenderableType] = []
    if case is not None:
        asked = "\n\n".join(f"{message.role}: {message.content}" for message in case.messages)
        parts.append(Panel(Text(asked), title=f"case {case.id}", title_align="left"))
        for i, candidate in enumerate(case.candidates):
            gold = "" if case.gold is None else f", gold {case.gold[i]:g}"
            mark = " (judged best)" if row["winner"] == i else ""
            parts.append(Panel(Text(candidate), title=f"candidate {i}{gold}{mark}", title_align="left"))
    parts.append(Text.assemble(("judgment  ", "bold"), _judgment(row)))
    votes = Text.assemble(("votes     ", "bold"))
    for i, verdict in enumerate(row["verdicts"]):
        votes.append(f"{', ' if i else ''}{_vote(verdict)}")
    parts.append(votes)
    for i, verdict in enumerate(row["verdicts"][:traces]):
        shown = ", ".join(map(str, verdict["order"]))
        title = f"vote {i + 1} in full (candidates shown in the order {shown})"
        parts.append(Panel(Text(verdict["text"] or "(no text)"), title=title, title_align="left"))
    return Group(*parts)


def _judgment(row: Row) -> Text:
    if row["failure"] is not None:
        return Text(f"none: {_failure(row['failure'])}", style="red")
    winner = "a tie" if row["winner"] is None else f"candidate {row['winner']}"
    scores = ", ".join(f"{score:g}" for score in row["scores"])
    text = Text(f"{winner}, scores {scores}, confidence {row['confidence']:.2f}")
    if row["correct"] is not None:
        text.append(", right" if row["correct"] else ", wrong", style="green" if row["correct"] else "red")
    return text


def _vote(verdict: Row) -> str:
    if verdict["failure"] is not None:
        return _failure(verdict["failure"])
    if verdict["scores"] is not None:
        return "(" + ", ".join("-" if score is None else f"{score:g}" for score in verdict["scores"]) + ")"
    return "tie" if verdict["winner"] is None else str(verdict["winner"])


def _failure(failure: Row | str) -> str:
    return failure if isinstance(failure, str) else f"{failure['kind']} ({failure['detail']})"


def console(stderr: bool = False) -> Console:
    """Return a console; plain and 100 columns wide where there is no terminal."""
    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=100)
