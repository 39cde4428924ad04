"""Tenants' own templates in memory, in every process within two seconds.

SQL holds them; each process reads what is new every second, and at once when another says that there is
something. So finding one costs a look-up, and a tenant without any costs nothing. They are compiled when they
are first used. While the database is away what is known stays in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from babel import Locale
from jinja2 import Environment, Template

from hub.services.page import Chosen
from hub.services.printing import Budget, Mode
from hub.services.publish import Publish
from hub.services.sandbox import bounded
from hub.services.shipped import Shipped, tags
from hub.services.watching import Newest
from hub.store.templates import Stored, TemplateRows

ORDER = "templates"  # what processes tell each other
MODES: tuple[Mode, ...] = ("text", "html", "markdown")

Place = tuple[str, str, str]  # type, channel, locale


class Bounds(NamedTuple):
    """What one rendering of a tenant's template may use up."""

    steps: int = 10_000
    characters: int = 256 << 10


class Overrides:
    def __init__(
        self,
        rows: TemplateRows,
        publish: Publish,
        shipped: Shipped,
        *,
        public_url: str | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._bounds = bounds or Bounds()
        self._known: dict[str, dict[Place, Stored]] = {}
        self.news: Newest[Stored] = Newest(rows, self._put, publish, ORDER)
        self._environments: dict[Mode, Environment] = {}
        for mode in MODES:
            environment = self._environments[mode] = bounded(mode, public_url)
            environment.globals |= shipped.parts(mode)
        self._compiled = lru_cache(maxsize=2048)(self._compile)

    # -- reading -------------------------------------------------------------------------------------
    def find(self, tenant: str, type: str, channel: str, locale: Locale) -> Chosen | None:
        """The tenant's own template of a type that is nearest to a reader's language."""
        stored = self.stored(tenant, type, channel, locale)
        if stored is None:
            return None
        return self.chosen(f"{type}/{channel}", stored.source, stored.locale or str(locale).replace("_", "-"))

    def stored(self, tenant: str, type: str, channel: str, locale: Locale) -> Stored | None:
        """The same as it is stored."""
        own = self._known.get(tenant)
        if own is None:
            return None
        return next((own[place] for tag in tags(locale) if (place := (type, channel, tag)) in own), None)

    def of(self, tenant: str) -> Mapping[Place, Stored]:
        """All that a tenant has."""
        return self._known.get(tenant, {})

    def chosen(self, name: str, source: str, language: str) -> Chosen:
        """A template of this source, to be rendered within the bounds. Compiling it may raise later."""
        return Chosen(name, language, lambda mode: self._compiled(mode, source), self.budget)

    def budget(self) -> Budget:
        return Budget(steps=self._bounds.steps, characters=self._bounds.characters)

    def _compile(self, mode: Mode, source: str) -> Template:
        return self._environments[mode].from_string(source)

    # -- keeping up ----------------------------------------------------------------------------------
    def _put(self, stored: Stored) -> None:
        place = (stored.type, stored.channel, stored.locale)
        own = self._known.setdefault(stored.tenant, {})
        before = own.get(place)
        if before is not None and before.version > stored.version:
            return
        if stored.source:
            own[place] = stored
        else:
            own.pop(place, None)
        if not own:
            del self._known[stored.tenant]
