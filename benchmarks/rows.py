"""A line of the result: what was measured, the peer beside it, the ratio, the goal, and if it was met."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit for the ratio to the peer, or for our `own` figure: it must be at least, or at `most`, that."""

    limit: float
    most: bool = False
    own: bool = False

    def met(self, row: Row) -> bool:
        value = row.ours if self.own else row.ratio
        return value is not None and (value <= self.limit if self.most else value >= self.limit)

    def __str__(self) -> str:
        return f"{'<=' if self.most else '>='} {_number(self.limit)}{'' if self.own else 'x'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    what: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    goal: Goal | None = None
    cost: str = ""


def compared(
    what: str,
    unit: str,
    figures: Mapping[str, Sequence[float]],
    goals: Mapping[str, Goal],
    *,
    costs: Mapping[str, float] | None = None,
) -> list[Row]:
    """A row for each peer of the hub's. `figures`: by server, one for each round; the ratio is the median of
    the rounds', without those in which a peer on a busy machine got nothing done. `costs`: by server,
    microseconds of its CPU for each."""
    return [
        Row(
            what=what,
            unit=unit,
            ours=median(figures["hub"]),
            peer=peer,
            theirs=median(theirs),
            ratio=_ratio(figures["hub"], theirs),
            goal=goals.get(peer),
            cost=f"{costs['hub']:.1f} / {costs[peer]:.1f}" if costs else "",
        )
        for peer, theirs in figures.items()
        if peer != "hub"
    ]


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    rounds = [one / other for one, other in zip(ours, theirs, strict=True) if other]
    return median(rounds) if rounds else None


def alone(what: str, unit: str, figures: Sequence[float], goal: Goal | None = None, cost: str = "") -> Row:
    """A row without a peer."""
    return Row(what=what, unit=unit, ours=median(figures), goal=goal, cost=cost)


HEAD = ("", "hub", "peer", "", "ratio", "goal", "", "us CPU each")


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of the table, its head first; good Markdown as well."""
    cells = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(HEAD))]
    lines = [_line(line, widths) for line in cells]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]


def _line(line: Sequence[str], widths: Sequence[int]) -> str:
    left = {0, 2}
    words = [
        word.ljust(width) if place in left else word.rjust(width)
        for place, (word, width) in enumerate(zip(line, widths, strict=True))
    ]
    return "| " + " | ".join(words) + " |"


def _cells(row: Row) -> tuple[str, ...]:
    met = "" if row.goal is None else "met" if row.goal.met(row) else "NOT MET"
    return (
        row.what,
        f"{_number(row.ours)} {row.unit}",
        row.peer,
        "" if row.theirs is None else _number(row.theirs),
        "" if row.ratio is None else f"{row.ratio:.2f}x",
        "" if row.goal is None else str(row.goal),
        met,
        row.cost,
    )


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
