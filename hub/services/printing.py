"""What templates print, made harmless: as text, as HTML (which Jinja escapes) or as Discord's markdown.

In a bounded rendering every character is counted. Knows no templates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context

Mode = Literal["text", "html", "markdown"]
BUDGET = "_budget"  # under which a context holds its `Budget`
_URL = re.compile(r"(https?://[^\s<>\[\]()*`|\"]+)")
_MARKDOWN = re.compile(r"([\\*_~`|\[\]<>])")


class Missing(StrictUndefined):
    """What the data does not hold: false when asked, an error when printed."""

    __slots__ = ()

    def __bool__(self) -> bool:  # type: ignore[override]  # the parent's never returns
        return False


class Raw(str):
    """Markdown that is meant as such."""

    __slots__ = ()


class Budget:
    """What one rendering may still use: steps (of loops, calls) and characters."""

    __slots__ = ("characters", "steps")

    def __init__(self, *, steps: int, characters: int) -> None:
        self.steps = steps
        self.characters = characters

    def step(self, characters: int = 0) -> None:
        """One more step that prints so much fixed text. Raises `SecurityError`."""
        self.steps -= 1
        if self.steps < 0:
            raise SecurityError("the template takes too many steps")
        self.print(characters)

    def print(self, characters: int) -> None:
        self.characters -= characters
        if self.characters < 0:
            raise SecurityError("the template makes too much text")


def finalize_for(mode: Mode) -> Callable[..., Any]:
    """What happens to each value that is printed: it is counted, and escaped where Jinja does not do so."""

    @pass_context
    def finalize(context: Context, value: Any) -> Any:
        if isinstance(value, Undefined):
            return value  # fails where it is printed
        if mode == "markdown":
            value = markdown(value)
        budget: Budget | None = context.get(BUDGET)
        if budget is not None:
            budget.print(len(value) if isinstance(value, str) else len(str(value)))
        return value

    return finalize


def markdown(value: Any) -> str:
    """A value as Discord shows it letter by letter; links stay links."""
    if isinstance(value, Raw):
        return value
    parts = _URL.split(str(value))
    return "".join(part if place % 2 else _MARKDOWN.sub(r"\\\1", part) for place, part in enumerate(parts))


def code(value: object, most: int = 500) -> Raw:
    """At most `most` characters of a text as a block of code, which nothing inside can end."""
    return Raw("```\n" + str(value)[:most].replace("```", "'''") + "\n```")
