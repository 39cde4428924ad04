"""The templates that come with the hub: files `<type>/<channel>[.<locale>].j2`, in `hub/templates`.

A type without a template of its own on a channel uses that of `default`. The nearest language is chosen, and
English is what has no language in its name. Knows no tenants.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from babel import Locale
from jinja2 import Environment, FileSystemLoader, Template

from hub.services.printing import Mode
from hub.services.sandbox import shipped

TEMPLATES = Path(__file__).parents[1] / "templates"
DEFAULT = "default"
DIGEST = "_digest"  # no event has such a type
ENGLISH = "en"
_PARTS: Mapping[Mode, str] = {
    "html": "_parts/html.j2",
    "text": "_parts/text.j2",
    "markdown": "_parts/text.j2",
}


class Found(NamedTuple):
    """A template's name, and the language it is written in."""

    name: str
    language: str


class Shipped:
    """`public_url` is put before links that are paths."""

    def __init__(self, *, public_url: str | None = None, directory: Path = TEMPLATES) -> None:
        loader = FileSystemLoader(directory)
        self._directory = directory
        self._environments: dict[Mode, Environment] = {}
        for mode, parts in _PARTS.items():
            environment = self._environments[mode] = shipped(loader, mode, public_url)
            environment.globals |= self.parts(mode, parts)
        self._names = frozenset(loader.list_templates())
        self.find = lru_cache(maxsize=2048)(self._find)
        self.template = lru_cache(maxsize=2048)(self._template)
        catalogue = tomllib.loads((directory / "_words.toml").read_text(encoding="utf-8"))
        self._words: dict[str, Mapping[str, str]] = {
            language: catalogue[ENGLISH] | words for language, words in catalogue.items()
        }

    def parts(self, mode: Mode, name: str = "") -> dict[str, object]:
        """What templates of this mode are made of: `facts` and `button`."""
        module = self._environments[mode].get_template(name or _PARTS[mode]).module
        return {"facts": module.facts, "button": module.button}  # type: ignore[attr-defined]

    def _template(self, mode: Mode, name: str) -> Template:
        return self._environments[mode].get_template(name)

    def source(self, name: str) -> str:
        return (self._directory / name).read_text(encoding="utf-8")

    def words(self, language: str) -> Mapping[str, str]:
        """What frames say in a language, or in English."""
        return (
            self._words.get(language) or self._words.get(language.partition("-")[0]) or self._words[ENGLISH]
        )

    def languages(self, type: str, channel: str) -> list[str]:
        """The languages besides English in which a type has words of its own on a channel."""
        start = f"{type}/{channel}."
        found = [
            name.removeprefix(start).removesuffix("j2") for name in self._names if name.startswith(start)
        ]
        return sorted(name.removesuffix(".") for name in found if name)

    def has(self, type: str, channel: str) -> bool:
        return f"{type}/{channel}.j2" in self._names

    def _find(self, type: str, channel: str, locale: Locale) -> Found | None:
        """A type's own template in the nearest language."""
        for tag in tags(locale):
            name = f"{type}/{channel}.{tag}.j2" if tag else f"{type}/{channel}.j2"
            if name in self._names:
                return Found(name, tag or ENGLISH)
        return None


def tags(locale: Locale) -> Iterator[str]:
    """The names under which words for a reader may stand, the nearest first: pt-BR, pt, and none."""
    tag = str(locale).replace("_", "-")
    yield tag
    if tag != locale.language:
        yield locale.language
    yield ""
