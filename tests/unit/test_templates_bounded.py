"""A tenant's template may word things and nothing else: it reaches nothing, and it ends soon and small."""

from __future__ import annotations

import resource
import time

import pytest
from jinja2 import TemplateError

from hub.services.page import Chosen, Page, TemplateFailed
from hub.services.printing import Budget, Mode
from hub.services.sandbox import bounded
from hub.services.shipped import Shipped

ENVIRONMENTS = {mode: bounded(mode, "https://app.example.org") for mode in ("text", "html", "markdown")}
for _mode, _environment in ENVIRONMENTS.items():
    _environment.globals |= Shipped().parts(_mode)  # type: ignore[arg-type]
DATA = {"name": "Ana", "items_": [{"n": 1}, {"n": 2}], "price": 12.5, "html": "<b>", "x": {"y": "z"}}


def say(source: str, mode: Mode = "text", *, steps: int = 10_000, characters: int = 100_000) -> str:
    """What the block of this source says."""
    chosen = Chosen(
        "own",
        "en",
        lambda mode: ENVIRONMENTS[mode].from_string(f"{{% block b %}}{source}{{% endblock %}}"),
        lambda: Budget(steps=steps, characters=characters),
    )
    return Page(chosen, {**DATA, "data": DATA}).block(mode, "b")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("Hello {{ name | upper }}", "Hello ANA"),
        ("{% for item in items_ %}{{ loop.index }}:{{ item.n }} {% endfor %}", "1:1 2:2 "),
        ("{% set whole = name ~ '!' %}{{ whole }}", "Ana!"),
        ("{{ items_ | map(attribute='n') | join(', ') }}", "1, 2"),
        ("{{ price * 2 + 1 }} {{ 7 % 4 }} {{ (price / 3) | round(2) }}", "26.0 3 4.17"),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{{ name.lower() }} {{ x.get('y') }} {{ 'a,b'.split(',')[1] }}", "ana z b"),
        ("{{ 'yes' if missing else 'no' }}", "no"),
        ("{{ facts(['Name', name], ['None', missing]) }}", "- Name: Ana\n"),
        ("{{ '/b/1' | url }}", "https://app.example.org/b/1"),
    ],
)
def test_what_templates_are_for_works(source: str, said: str) -> None:
    assert say(source) == said


REACHING = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ name|attr('__class__') }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum() }}",
    "{{ namespace(a=1).a }}",
    "{{ joiner() }}",
    "{{ _budget.steps }}",
    "{{ range.__globals__ }}",
    "{{ facts.__globals__ }}",
    "{{ facts._func.__globals__ }}",
    "{{ loop }}",
    "{{ '%s' % name }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ name.format_map(x) }}",
    "{{ html | safe }}",
    "{{ x | tojson }}",
    "{{ x | xmlattr }}",
    "{{ name | format }}",
    "{{ x | pprint }}",
    "{{ data.update({'a': 1}) }}",
    "{{ items_.append(1) }}",
    "{% include '_words.toml' %}",
    "{% import '_parts/html.j2' as parts %}",
    "{% from '_parts/html.j2' import facts %}",
    "{% extends 'default/email.j2' %}",
    "{% autoescape false %}{{ html }}{% endautoescape %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% call facts() %}{% endcall %}",
    "{% do 1 %}",
    "{{ undefined_function() }}",
    "{{ missing }}",
    "{{ missing.name }}",
]


@pytest.mark.parametrize("source", REACHING)
@pytest.mark.parametrize("mode", ["text", "html", "markdown"])
def test_a_template_reaches_nothing_but_its_data(source: str, mode: Mode) -> None:
    with pytest.raises((TemplateFailed, TemplateError)):
        say(source, mode)


DOUBLING = "".join("{% set x = @ %}" for _ in range(60))
GREEDY = {
    "many rounds": "{% for a in range(900) %}{% for b in range(900) %}{% for c in range(900) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "a long range": "{% for a in range(10 ** 9) %}{% endfor %}",
    "a longer range": "{% for a in range(1000000000) %}{% endfor %}",
    "fixed text": "{% for a in range(900) %}{% for b in range(900) %}"
    + "x" * 999
    + "{% endfor %}{% endfor %}",
    "fixed text kept": "{% set s %}{% for a in range(900) %}" + "x" * 999 + "{% endfor %}{% endset %}{{ s }}",
    "a doubled text": "{% set x = 'ab' %}" + DOUBLING.replace("@", "x ~ x"),
    "an added text": "{% set x = 'ab' %}" + DOUBLING.replace("@", "x + x"),
    "a printed text": "{% set x = 'ab' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60,
    "a filtered text": "{% set x = 'ab' %}"
    + "{% set x %}{% filter upper %}{{ x }}{{ x }}{% endfilter %}{% endset %}" * 60,
    "a doubled list": "{% set x = [1] %}" + DOUBLING.replace("@", "x + x"),
    "lists in lists": "{% set x = [1] %}" + DOUBLING.replace("@", "[x, x]") + "{{ x }}",
    "tuples in tuples": "{% set x = 1, 2 %}" + DOUBLING.replace("@", "(x, x)") + "{{ x }}",
    "objects in objects": "{% set x = {} %}" + DOUBLING.replace("@", "{'a': x, 'b': x}") + "{{ x }}",
    "joined": "{% set x = 'ab' %}" + DOUBLING.replace("@", "[x, x, x] | join(x)"),
    "repeated": "{{ 'x' * 1000000000 }}",
    "a repeated list": "{{ ([1] * 1000000000) | length }}",
    "powers": "{{ 9 ** 9 ** 9 }}",
    "products": "{% set x = 99999999999999999999 %}" + DOUBLING.replace("@", "x * x"),
    "formatted by a method": "{{ '{:>1000000000}'.format(1) }}",
    "formatted markup": "{{ ('{:>1000000000}' | e).format(1) }}",
    "padded markup": "{{ ('x' | e).ljust(1000000000) }}",
    "padded": "{{ 'x'.ljust(1000000000) }}",
    "centered": "{{ 'x' | center(1000000000) }}",
    "formatted": "{{ '%1000000000d' % 1 }}",
    "indented": "{{ 'x' | indent(1000000000) }}",
    "batched": "{{ [1] | batch(1000000000, 0) | list }}",
    "rounded": "{{ 1.5 | round(1000000000, 'ceil') }}",
    "itself": "{{ self.b() }}",
    "itself twice": "{{ self.b() }}{{ self.b() }}",
    "a deep expression": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "a long sum": "{{ 1" + " + 1" * 8000 + " }}",
    "deep blocks": "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "a recursive loop": "{% for a in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
}


@pytest.mark.parametrize("name", GREEDY)
@pytest.mark.parametrize("mode", ["text", "html"])
def test_a_template_that_wants_too_much_is_stopped(name: str, mode: Mode) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises((TemplateFailed, TemplateError, RecursionError, SyntaxError, MemoryError)):
        say(GREEDY[name], mode)
    # What one of these would take if nobody stopped it is more than there is of both.
    assert time.process_time() - started < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_data_is_escaped_where_it_is_shown() -> None:
    assert say("{{ html }}{{ [html, html] | join('<i>') }}", "html") == "&lt;b&gt;&lt;b&gt;&lt;i&gt;&lt;b&gt;"
    assert say("{{ html ~ '<i>' }}", "html") == "&lt;b&gt;&lt;i&gt;"
    assert say("{{ html }}", "markdown") == r"\<b\>"
    assert say("{{ facts([html, html]) }}", "html").count("&lt;b&gt;") == 2


def test_the_line_of_a_fault_is_the_templates() -> None:
    with pytest.raises(TemplateFailed) as found:
        say("one\ntwo\n{{ name }}\n{{ missing }}\n")
    assert found.value.line == 4
    assert found.value.kind == "UndefinedError, line 4"
