"""What people want of which type on which channel, and when.

Preferences are the JSON of the contract, and only what was said: a person's own, and a tenant's defaults
for those who have said nothing. A person's word for a type wins over their word for a channel, that over
the tenant's words in the same order; what nobody has spoken about is wanted. Preferences only take away:
nobody gets a channel by them that the sender did not mean. Pure; knows no notification, no SQL and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from hub.domain.errors import ValidationFailed
from hub.domain.events import CHANNELS
from hub.domain.timing import Daily, next_hour, next_time

MAX_TYPES = 200  # that one set of preferences may speak of
TYPES, QUIET, DIGEST, LOCALE = "types", "quietHours", "digest", "locale"
OFF, HOURLY, DAILY = "off", "hourly", "daily"
DIGEST_PATTERN = r"off|hourly|daily(@([01][0-9]|2[0-3]):[0-5][0-9])?"
DIGEST_AT = time(8)  # when a day's digest goes out that names no time
EVERYTHING = "*"
EXCEPT = "!"
# Left by whoever has muted something once: what was kept from them is not in their past either.
ONCE = ""
_UTC = ZoneInfo("UTC")

Said = Mapping[str, Any]


def merged(said: Said, change: Said) -> dict[str, Any]:
    """What is said after a change: types into types, null removes; quiet hours are said as a whole."""
    result = dict(said)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and name != QUIET:
            before = result.get(name)
            inner = merged(before if isinstance(before, Mapping) else {}, value)
            result.pop(name, None)
            if inner:
                result[name] = inner
        else:
            result[name] = value
    return result


def require_bounded(said: Said) -> None:
    """Raises `ValidationFailed` when too much has come together."""
    if len(said.get(TYPES, ())) > MAX_TYPES:
        message = f"may name at most {MAX_TYPES} types"
        raise ValidationFailed(f"{TYPES} {message}", errors=[{"field": TYPES, "message": message}])


@dataclass(frozen=True, slots=True)
class Wishes:
    """What holds for one person. `types` holds only what differs from the channels."""

    channels: Mapping[str, bool] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    quiet: Daily | None = None
    zone: str | None = None  # of the quiet hours, when they name one
    digest: str | None = None
    locale: str | None = None

    @classmethod
    def of(cls, person: Said | None, tenant: Said | None) -> Wishes:
        """A person's words over a tenant's."""
        if not person and not tenant:
            return NONE
        own, default = person or {}, tenant or {}
        channels = {**_channels(default), **_channels(own)}
        types: dict[str, dict[str, bool]] = {}
        for name, wanted in default.get(TYPES, {}).items():
            # A person who speaks of the channel as a whole speaks of the tenant's types, too.
            types[name] = {channel: yes for channel, yes in wanted.items() if channel not in own}
        for name, wanted in own.get(TYPES, {}).items():
            types.setdefault(name, {}).update(wanted)
        quiet = own.get(QUIET) or default.get(QUIET)
        return cls(
            channels=channels,
            types={name: wanted for name, wanted in types.items() if wanted},
            quiet=Daily(time.fromisoformat(quiet["start"]), time.fromisoformat(quiet["end"]))
            if quiet
            else None,
            zone=quiet.get("timezone") if quiet else None,
            digest=own.get(DIGEST) or default.get(DIGEST),
            locale=own.get(LOCALE) or default.get(LOCALE),
        )

    def wants(self, channel: str, type: str) -> bool:
        if not self.channels and not self.types:
            return True
        wanted = self.types.get(type)
        if wanted is not None and channel in wanted:
            return wanted[channel]
        return self.channels.get(channel, True)

    def gathered(self, zone: tzinfo, now: datetime) -> datetime | None:
        """When the person's digest goes out next; None: they want none, or have not said."""
        if self.digest is None or self.digest == OFF:
            return None
        if self.digest == HOURLY:
            return next_hour(now)
        _, _, at = self.digest.partition("@")
        return next_time(time.fromisoformat(at) if at else DIGEST_AT, zone, now)


NONE = Wishes()


def zone_of(*names: str | None) -> tzinfo:
    """The first of these time zones that is named and known; else UTC."""
    for name in names:
        if name:
            try:
                return ZoneInfo(name)
            except (KeyError, ValueError, OSError):
                continue
    return _UTC


def shown(person: Said | None, tenant: Said | None) -> dict[str, Any]:
    """What holds for a person, as REST shows it: every field, whoever has spoken."""
    own, default = person or {}, tenant or {}
    wishes = Wishes.of(own, default)
    return {
        **{channel: wishes.channels.get(channel, True) for channel in CHANNELS},
        TYPES: {name: dict(wanted) for name, wanted in sorted(wishes.types.items())},
        QUIET: _quiet(own.get(QUIET) or default.get(QUIET)),
        DIGEST: wishes.digest,
        LOCALE: wishes.locale,
    }


def mutes(said: Said) -> frozenset[str]:
    """What a person wants nothing of in the app: names of types; `*` for all, then `!x` for all but x."""
    channel = "inApp"
    wanted = {name: types[channel] for name, types in said.get(TYPES, {}).items() if channel in types}
    if said.get(channel, True):
        return frozenset(name for name, yes in wanted.items() if not yes)
    return frozenset({EVERYTHING, *(f"{EXCEPT}{name}" for name, yes in wanted.items() if yes)})


@dataclass(frozen=True, slots=True)
class Mute:
    """What is kept from somebody's connections. `never`: what cannot be muted."""

    rows: frozenset[str]
    never: Container[str]

    @property
    def active(self) -> bool:
        """Whether anything is kept from them now."""
        return bool(self.rows - {ONCE})

    def hides(self, type: str) -> bool:
        if type in self.never:
            return False
        return type in self.rows or (EVERYTHING in self.rows and f"{EXCEPT}{type}" not in self.rows)


def mute_of(rows: Iterable[str], never: Container[str]) -> Mute | None:
    """None: they have never muted anything."""
    found = frozenset(rows)
    return Mute(found, never) if found else None


def canonical(change: Said, name_of: Callable[[str], str], fixed: Container[str]) -> dict[str, Any]:
    """The change with its types by their own names; `fixed` ones cannot be muted.

    Raises `ValidationFailed`.
    """
    wanted = change.get(TYPES)
    if not wanted:
        return dict(change)
    types: dict[str, Any] = {}
    errors = []
    for said, channels in wanted.items():
        name = name_of(said)
        if name in types and types[name] != channels:
            errors.append({"field": f"{TYPES}.{said}", "message": f"is {name}, which stands there too"})
        if name in fixed and channels is not None and any(yes is False for yes in channels.values()):
            errors.append({"field": f"{TYPES}.{said}", "message": "cannot be muted"})
        types[name] = channels
    if errors:
        detail = "; ".join(f"{error['field']} {error['message']}" for error in errors)
        raise ValidationFailed(detail, errors=errors)
    return {**change, TYPES: types}


def _channels(said: Said) -> dict[str, bool]:
    return {channel: said[channel] for channel in CHANNELS if channel in said}


def _quiet(said: Said | None) -> dict[str, Any] | None:
    if not said:
        return None
    return {"start": said["start"], "end": said["end"], "timezone": said.get("timezone")}
