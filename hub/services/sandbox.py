"""Where templates run: what they may do, how much of it, and how what they print is made harmless.

The templates that come with the hub run in Jinja's sandbox. A tenant's own run in a narrower one: only the
statements of `_ALLOWED`, only the filters and methods listed here, no files, and a bounded number of steps
and of characters, whatever is nested in what. Data is never read as a template. Knows no types and no
channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from types import BuiltinMethodType
from typing import Any

from jinja2 import (
    BaseLoader,
    Environment,
    TemplateSyntaxError,
    nodes,
    pass_context,
)
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from hub.services import formats
from hub.services.printing import BUDGET, Budget, Missing, Mode, code, finalize_for

MAX_RANGE = 1000
MAX_NUMBER_BITS = 4096
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
    *(nodes.Assign, nodes.AssignBlock, nodes.FilterBlock, nodes.Name, nodes.Const, nodes.Tuple),
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


def shipped(loader: BaseLoader, mode: Mode, public_url: str | None) -> Environment:
    """For the hub's own templates."""
    return _set_up(
        ImmutableSandboxedEnvironment(
            loader=loader,
            undefined=Missing,
            autoescape=mode == "html",
            finalize=finalize_for(mode) if mode == "markdown" else None,  # nothing is counted here
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
        finalize=finalize_for(mode),
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
        of_data = isinstance(
            getattr(function, "__self__", None), str | bytes | list | tuple | dict | int | float
        )
        if (of_data or isinstance(function, BuiltinMethodType)) and name not in _METHODS:
            raise SecurityError(f"{name}() is not available")
        return super().call(context, function, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> None:
        """Nothing stands in for `format`, so `call` sees what it is."""

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
