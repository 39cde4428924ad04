"""One template on its way to one reader: the context it sees, and its blocks one by one.

A template may ask whether something is there; printing what is not there is an error, as is anything else
that goes wrong in one, and the error says where. What the hub calls its own (`facts`, `range`) no data can
replace. Knows no channels and no types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from jinja2 import Template
from jinja2.runtime import Context

from hub.services.printing import BUDGET, Budget, Mode
from hub.services.sandbox import line_of

_functions: WeakKeyDictionary[Template, dict[str, Any]] = WeakKeyDictionary()


class TemplateFailed(Exception):
    """A template and its data do not fit. Trying again cannot help.

    `str()` says where and why, and may quote the data; `kind` says it without. `line` is the template's.
    """

    def __init__(self, name: str, reason: str, *, line: int | None = None, kind: str | None = None) -> None:
        super().__init__(f"{name}{f', line {line}' if line else ''}: {reason}")
        self.reason = reason
        self.line = line
        self.kind = kind or reason


@dataclass(frozen=True, slots=True)
class Chosen:
    """A template for one message. `budget` is what a tenant's own may use up; None: the hub's own."""

    name: str
    language: str
    template: Callable[[Mode], Template]
    budget: Callable[[], Budget] | None = None


class Page:
    """One template on its way to one reader."""

    def __init__(self, chosen: Chosen, context: dict[str, Any]) -> None:
        self.chosen = chosen
        self._contexts: dict[Mode, Context] = {}
        budget = None if chosen.budget is None else chosen.budget()
        self.context = context | {"language": chosen.language, BUDGET: budget}

    def line(self, name: str) -> str:
        """A block as one line of text."""
        return " ".join(self.block("text", name).split())

    def block(self, mode: Mode, name: str, *, needed: bool = True) -> str:
        """One block; nothing where there is none and none is needed. Raises `TemplateFailed`."""
        chosen = self.chosen
        try:
            template = chosen.template(mode)
            block = template.blocks.get(name)
            if block is None:
                if needed:
                    raise TemplateFailed(chosen.name, f"no block {name!r}")
                return ""
            context = self._contexts.get(mode)
            if context is None:
                context = self._contexts[mode] = _context(template, self.context)
            return "".join(block(context))
        except TemplateFailed:
            raise
        except Exception as error:  # whatever a template does with the data it is given
            raise _failed(chosen.name, error) from error


def whole(template: Template, context: dict[str, Any]) -> str:
    """A whole template of the hub's own. Raises `TemplateFailed`."""
    try:
        return "".join(template.root_render_func(_context(template, context)))
    except Exception as error:
        raise _failed(template.name or "", error) from error


def _context(template: Template, context: dict[str, Any]) -> Context:
    """What a template sees: the context, and over it the template's own functions, which nothing may hide.

    Jinja's own way of making one puts the functions below, and costs as much as a small template.
    """
    own = _functions.get(template)
    if own is None:
        own = _functions[template] = dict(template.globals)
    return Context(template.environment, {**context, **own}, template.name, template.blocks)


def _failed(name: str, error: Exception) -> TemplateFailed:
    line = line_of(error)
    kind = f"{type(error).__name__}, line {line or '?'}"
    return TemplateFailed(name, str(error), line=line, kind=kind)
