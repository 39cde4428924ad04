"""Preferences in requests: what a change may say. What is said together is judged in the domain."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, WithJsonSchema

from hub.domain.preferences import DIGEST_PATTERN, MAX_TYPES
from hub.web.fields import Faults, Form, Locale, Model, Timezone, read, refuse, shown

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DIGEST = re.compile(DIGEST_PATTERN)
TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,127}")


def _clock(value: str) -> str:
    if not _CLOCK.fullmatch(value):
        raise refuse("must be a time of day such as 22:30")
    return value


def _digest(value: str) -> str:
    if not _DIGEST.fullmatch(value):
        raise refuse("must be off, hourly, daily, or daily with a time of day such as daily@18:30")
    return value


def _type(value: str) -> str:
    if not TYPE.fullmatch(value):
        raise refuse("is not the name of a type: letters, digits, '.', '_', ':' and '-'")
    return value


Clock = Annotated[str, AfterValidator(_clock), shown(f"^{_CLOCK.pattern}$", "22:30")]
Digest = Annotated[str, AfterValidator(_digest), shown(f"^({DIGEST_PATTERN})$", "daily@18:30")]
Type = Annotated[str, AfterValidator(_type)]
MOST = Field(max_length=MAX_TYPES)


class OutsideWishes(Form):
    """Which outside channels are wanted."""

    email: bool | None = None
    sms: bool | None = None
    discord: bool | None = None
    webpush: bool | None = None


class ChannelWishes(OutsideWishes):
    """Which channels are wanted."""

    in_app: bool | None = None


class QuietHours(Form):
    """When nothing but what is critical may disturb."""

    start: Clock
    end: Clock
    timezone: Timezone | None = None


class PreferencesBody(ChannelWishes):
    """`PATCH /notifications/preferences`."""

    types: Annotated[dict[Type, ChannelWishes | None], MOST, WithJsonSchema({"shape": "ByType"})] | None = (
        None
    )
    quiet_hours: QuietHours | None = None
    digest: Digest | None = None
    locale: Locale | None = None


class DefaultsBody(OutsideWishes):
    """`PUT /admin/preferences`."""

    types: (
        Annotated[dict[Type, OutsideWishes | None], MOST, WithJsonSchema({"shape": "OutsideByType"})] | None
    ) = None
    quiet_hours: QuietHours | None = None
    digest: Digest | None = None
    locale: Locale | None = None


def change(body: Any) -> dict[str, Any]:
    """What a person changes: only what was said, null where it is taken back. Raises `ValidationFailed`."""
    return _said(PreferencesBody, body)


def defaults(body: Any) -> dict[str, Any]:
    """What a tenant wants by default. Raises `ValidationFailed`."""
    return _said(DefaultsBody, body)


def _said(kind: type[Model], body: Any) -> dict[str, Any]:
    faults = Faults()
    form = read(kind, body, faults)
    faults.require_none()
    assert form is not None
    return form.model_dump(by_alias=True, exclude_unset=True)
