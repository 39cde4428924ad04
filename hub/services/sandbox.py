"""Where templates run: what they may do, how much of it, and how what they print is made harmless.

The templates that come with the hub run in Jinja's sandbox. A tenant's own run in a narrower one: only the
statements of `_ALLOWED`, only the filters and methods listed here, no files, and a bounded number of steps
and of characters, whatever is nested in what. Three ways of printing: as text, as HTML (escaped), and as
Discord's markdown (escaped). Data is never read as a template. Knows no types and no channels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from types import BuiltinMethodType
from typing import Any, Literal

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    TemplateSyntaxError,
    Undefined,
    nodes,
    pass_context,
)
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from hub.services import formats

Mode = Literal["text", "html", "markdown"]
MAX_RANGE = 1000
MAX_NUMBER_BITS = 4096
BUDGET = "_budget"  # under which a context holds its `Budget`
_URL = re.compile(r"(https?://[^\s<>\[\]()*`|\"]+)")
_MARKDOWN = re.compile(r"([\\*_~`|\[\]<>])")
_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "groupby"),
    *("int", "items", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr"),
    *("reverse", "select", "selectattr", "sort", "string", "striptags", "title", "trim"),
    *("truncate", "unique", "upper", "urlencode"),
)
_METHODS = frozenset(
    {
        *("upper", "lower", "title", "capitalize", "strip", "lstrip", "rstrip", "split", "startswith"),
        *("endswith", "isdigit", "get", "items", "keys", "values"),
    }
)
_ALLOWED: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Block, nodes.If, nodes.For, nodes.With),
    *(nodes.Assign, nodes.AssignBlock, nodes.FilterBlock, nodes.Name, nodes.NSRef, nodes.Const, nodes.Tuple),
    *(
        nodes.List,
        nodes.Dict,
        nodes.Pair,
        nodes.Keyword,
        nodes.CondExpr,
        nodes.Filter,
        nodes.Test,
        nodes.Call,
    ),
    *(nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.BinExpr),
    nodes.UnaryExpr,
)
_STATEMENTS: dict[type[nodes.Node], str] = {
    nodes.FromImport: "from",
    nodes.CallBlock: "call",
    nodes.EvalContextModifier: "autoescape",
    nodes.ScopedEvalContextModifier: "autoescape",
}


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


def shipped(loader: BaseLoader, mode: Mode, public_url: str | None) -> Environment:
    """For the hub's own templates."""
    return _set_up(
        ImmutableSandboxedEnvironment(
            loader=loader,
            undefined=Missing,
            autoescape=mode == "html",
            finalize=_finalize(mode),
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        ),
        public_url,
    )


def bounded(mode: Mode, public_url: str | None) -> Environment:
    """For a tenant's templates, one after the other by `from_string`. Contexts hold a `Budget`."""
    environment = Bounded(
        undefined=Missing,
        autoescape=mode == "html",
        finalize=_finalize(mode),
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
    )
    given = environment.filters
    environment.filters = {name: given[name] for name in _FILTERS} | {
        "join": _join,
        "round": _round,
        "_iterate": _iterate,
        "_measure": _measure,
        "_flat": _flat,
    }
    environment.globals = {"range": _range}
    return _set_up(environment, public_url)


def _set_up(environment: Environment, public_url: str | None) -> Environment:
    environment.filters |= {
        "money": formats.money,
        "date": formats.day,
        "time": formats.clock,
        "datetime": formats.moment,
        "plural": formats.plural,
        "cut": formats.cut,
        "code": code,
        "url": formats.url_filter(public_url),
    }
    return environment


class Bounded(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with a count of everything that can be made to grow."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for node in chain([tree], tree.find_all(nodes.Node)):
            _require_allowed(node)
        return _measured(tree)

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        _budget(context).step()
        name = getattr(function, "__name__", "")
        if isinstance(function, BuiltinMethodType) and name not in _METHODS:
            raise SecurityError(f"{name}() is not available")
        return super().call(context, function, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        _budget(context).step()
        if operator == "**":
            raise SecurityError("** is not available")
        if isinstance(left, int | float) and isinstance(right, int | float):
            if operator == "*" and max(_bits(left), _bits(right)) > MAX_NUMBER_BITS:
                raise SecurityError("the number is too large")
        elif operator in "*%":
            raise SecurityError(f"{operator} is for numbers")
        elif operator == "+":
            _budget(context).print(_size(left) + _size(right))
        return super().call_binop(context, operator, left, right)


def _require_allowed(node: nodes.Node) -> None:
    """Raises `TemplateSyntaxError` for what a tenant's template may not hold."""
    line = getattr(node, "lineno", 1) or 1
    if not isinstance(node, _ALLOWED):
        raise TemplateSyntaxError(
            f"'{_STATEMENTS.get(type(node), type(node).__name__.lower())}' is not available here", line
        )
    if isinstance(node, nodes.For) and node.recursive:
        raise TemplateSyntaxError("a loop may not be recursive here", line)
    if isinstance(node, nodes.Filter) and node.name.startswith("_"):
        raise TemplateSyntaxError(f"No filter named {node.name!r}.", line)
    if isinstance(node, nodes.Name) and node.name.startswith("_"):
        raise TemplateSyntaxError(f"{node.name!r} is not available here", line)


def _measured(tree: nodes.Template) -> nodes.Template:
    """The same, with every loop counting its rounds and every `~` its length; no list holds another one."""
    for loop in tree.find_all(nodes.For):
        fixed = sum(len(data.data) for part in loop.body for data in _texts(part))
        cost = nodes.Const(fixed, lineno=loop.lineno)
        loop.iter = nodes.Filter(loop.iter, "_iterate", [cost], [], None, None, lineno=loop.lineno)
    _measure_in(tree)
    return tree


def _texts(part: nodes.Node) -> Iterator[nodes.TemplateData]:
    if isinstance(part, nodes.TemplateData):
        yield part
    yield from part.find_all(nodes.TemplateData)


def _measure_in(node: nodes.Node) -> None:
    for name, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, name, [_measure_one(item) for item in value])
        else:
            setattr(node, name, _measure_one(value))


def _measure_one(value: Any) -> Any:
    if isinstance(value, nodes.Node):
        _measure_in(value)
    if isinstance(value, nodes.Concat):
        return nodes.Filter(value, "_measure", [], [], None, None, lineno=value.lineno)
    if isinstance(value, nodes.List | nodes.Dict) or (isinstance(value, nodes.Tuple) and value.ctx == "load"):
        return nodes.Filter(value, "_flat", [], [], None, None, lineno=value.lineno)
    return value


# -- what a bounded template counts ----------------------------------------------------------------------
def _budget(context: Context) -> Budget:
    budget: Budget = context[BUDGET]
    return budget


@pass_context
def _iterate(context: Context, items: Iterable[Any], fixed: int) -> Iterator[Any]:
    budget = _budget(context)
    for item in items:
        budget.step(fixed)
        yield item


@pass_context
def _measure(context: Context, text: str) -> str:
    _budget(context).step(len(text))
    return text


@pass_context
def _flat(context: Context, made: Any) -> Any:
    """A list made in a template. In one that held others, a few lines could hide more than memory holds."""
    _budget(context).step()
    for value in made.values() if isinstance(made, dict) else made:
        if isinstance(value, list | tuple | dict):
            raise SecurityError("a list may not hold lists here")
    return made


@pass_context
def _join(context: Context, items: Iterable[Any], separator: str = "") -> str:
    budget, parts = _budget(context), []
    escape = context.eval_ctx.autoescape
    for item in items:
        text = str(Markup.escape(item) if escape else item)
        budget.step(len(text) + len(separator))
        parts.append(text)
    between = str(Markup.escape(separator)) if escape else separator
    whole = between.join(parts)
    return Markup(whole) if escape else whole  # noqa: S704  (every part was escaped)


def _round(value: float, precision: int = 0) -> float:
    """To so many places, at most 20."""
    return round(float(value), min(precision, 20))


def _range(*given: int) -> range:
    rounds = range(*given)
    if len(rounds) > MAX_RANGE:
        raise SecurityError(f"range() is for at most {MAX_RANGE} rounds")
    return rounds


def _size(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 1


def _bits(value: int | float) -> int:
    return value.bit_length() if isinstance(value, int) else 64


# -- printing --------------------------------------------------------------------------------------------
def _finalize(mode: Mode) -> Callable[..., Any]:
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


def line_of(error: BaseException) -> int | None:
    """The line of a template in which an error arose."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    line, trace = None, error.__traceback__
    while trace is not None:
        frame = trace.tb_frame.f_globals
        template = frame.get("__jinja_template__")
        if template is not None and not str(template.name).startswith("_parts"):
            line = template.get_corresponding_lineno(trace.tb_lineno)
        elif "__jinja_exception__" in frame:  # Jinja has put its own lines there
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
