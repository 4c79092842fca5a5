"""What `scale` found, as tables for a terminal, and its recommendation in words."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from .scale import Choice, Estimate, Scale, groups

__all__ = ["advice", "family_table", "scale_table"]


def scale_table(scale: Scale, title: str) -> Table:
    """Tabulate strategies in the order given: accuracy, verdicts and tokens per case, and how far the accuracy is apart
    from the reference's.

    A star marks those that none beats at the same cost or less.
    """
    heads = ("all", "95 %", "tied", "unread", "asked", "tokens", "apart", "95 %")
    table = _table(title, ["", *heads])
    for arm in scale.arms:
        means, apart = arm.means(), arm.against(scale.reference)
        star = "* " if arm in scale.frontier else "  "
        own = "", ""
        table.add_row(
            star + arm.text,
            _percent(means.accuracy.mean),
            _range(means.accuracy),
            _percent(means.tied),
            _percent(means.unread),
            f"{means.verdicts:.1f}",
            f"{means.completion_tokens:,.0f}",
            *(own if arm is scale.reference else (_signed(apart.mean), _range(apart, signed=True))),
        )
    return table


def family_table(scale: Scale, tag: str) -> Table:
    """Tabulate accuracy by the values of a tag, and what the most expensive vote gains on one verdict."""
    values = groups(scale.cases, tag)
    table = _table(f"accuracy by {tag}", ["", *(f"{value} ({int(of_C.sum())})" for value, of_C in values.items())])
    for arm in scale.arms:
        table.add_row(arm.text, *(_percent(float(arm.right_C[of_C].mean())) for of_C in values.values()))
    cheapest = min(scale.arms, key=scale.cost)
    if cheapest is not scale.reference:
        gains = [scale.reference.against(cheapest, of_C) for of_C in values.values()]
        table.add_row(f"{scale.reference.text} - {cheapest.text}", *(_signed(gain.mean) for gain in gains))
        table.add_row("95 %", *(_range(gain, signed=True) for gain in gains))
    return table


def advice(choice: Choice, want: float | None, tokens: float | None, unit: str) -> Iterator[str]:
    """Say which setting to take, or plainly that none does what is wanted."""
    wishes = [] if want is None else [f"an accuracy of {_percent(want)} %"]
    wishes += [] if tokens is None else [f"at most {tokens:,.0f} {unit} per case"]
    wish, found = " with ".join(wishes), choice.means
    told = f"{_percent(found.accuracy.mean)} % ({_range(found.accuracy)})"
    if choice.arm is None:
        yield f"no setting gives {wish}; closest is {choice.closest.text}"
    else:
        yield f"for {wish} take {choice.arm.text}"
    yield (
        f"chosen on {choice.chosen_on:,} cases; on the {choice.reported_on:,} others it has an accuracy of {told} and "
        f"takes {found.completion_tokens:,.0f} tokens in {found.verdicts:.1f} verdicts per case"
    )


def _table(title: str, heads: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(heads[0], style="cyan", overflow="fold")
    for head in heads[1:]:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _signed(share: float) -> str:
    return f"{round(100 * share, 1) + 0.0:+.1f}"  # no minus before a zero


def _range(found: Estimate, signed: bool = False) -> str:
    if signed:
        return f"{_signed(found.low)} {_signed(found.high)}"
    return f"{100 * found.low:.0f}-{100 * found.high:.0f}"
