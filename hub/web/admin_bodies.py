"""The bodies of what admins ask for, and what they come to. Every fault of a body is reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, StringConstraints

from hub.domain import revocation
from hub.domain.access import TENANT_PATTERN, Room
from hub.domain.drafts import Draft
from hub.domain.errors import RoomInvalid
from hub.store.tenants import MAX_DAYS
from hub.web import bodies
from hub.web.context import WebOptions
from hub.web.fields import (
    NAMED,
    Faults,
    Form,
    Line,
    Locale,
    Model,
    Moment,
    Role,
    TenantId,
    Timezone,
    TypeName,
    UserId,
    read,
    refuse,
    shown,
)

BROADCAST_TYPE = "system.maintenance"
CLOCK = timedelta(seconds=30)  # what an admin's clock may be ahead
Source = Annotated[str, StringConstraints(max_length=1 << 20)]


def _session(value: str) -> str:
    try:
        return Room.parse("any", f"session:{value}").name
    except RoomInvalid:
        raise refuse("must be 1 to 128 characters without spaces, slashes and commas") from None


def _tenant(value: str) -> str:
    if not TENANT_PATTERN.fullmatch(value):
        raise refuse("must be 1 to 64 letters, digits, '.', '_' and '-'")
    return value


class RevokeBody(Form):
    """`POST /admin/revoke`: one of the four."""

    user_id: UserId | None = None
    session_id: Annotated[str, AfterValidator(_session), shown(NAMED)] | None = None
    jti: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    issued_before: Moment | None = None
    tenant_id: TenantId | None = None


class BroadcastBody(bodies.Common):
    """`POST /admin/notifications/broadcast`: to everybody of the tenant, or of a role."""

    type: TypeName = BROADCAST_TYPE
    role: Role | None = None
    channels: Annotated[list[bodies.Channel], Field(min_length=1, max_length=5)] | None = None


class KeyBody(Form):
    """`POST /admin/api-keys`."""

    scopes: Annotated[list[Literal["notify", "admin", "read"]], Field(min_length=1, max_length=3)]
    name: Line | None = None
    tenant_id: TenantId | None = None


class TenantBody(Form):
    """`POST /admin/tenants`."""

    id: Annotated[str, AfterValidator(_tenant), shown(f"^{TENANT_PATTERN.pattern}$", "acme")]


class TenantChange(Form):
    """`PATCH /admin/tenants/{id}`: null is as the installation does."""

    retention_days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | None


class TemplateBody(Form):
    """`PUT /admin/templates/{type}/{channel}`."""

    source: Source
    locale: Locale | None = None
    data: dict[str, Any] | None = None
    tenant_id: TenantId | None = None


class PreviewBody(Form):
    """`POST /admin/templates/preview`."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    channel: bodies.Channel
    locale: Locale | None = None
    timezone: Timezone | None = None
    data: dict[str, Any] | None = None
    source: Source | None = None
    tenant_id: TenantId | None = None


class Revoke(NamedTuple):
    """What is called back; `before` None: up to now."""

    kind: str
    value: str
    before: datetime | None


def revoke(body: Any, *, now: datetime) -> Revoke:
    """Raises `ValidationFailed`."""
    faults = Faults()
    form = read(RevokeBody, body, faults)
    found = []
    if form is not None:
        named = {
            revocation.USER: form.user_id,
            revocation.SESSION: form.session_id,
            revocation.TOKEN: form.jti,
        }
        found = [Revoke(kind, value, None) for kind, value in named.items() if value is not None]
        if form.issued_before is not None:
            found.append(Revoke(revocation.ALL, "", form.issued_before))
            if form.issued_before > now + CLOCK:
                faults.add("issuedBefore", "lies in the future")
        if len(found) != 1:
            faults.add("body", "must name one of userId, sessionId, jti and issuedBefore")
    faults.require_none()
    return found[0]


def broadcast(body: Any, *, tenant: str, options: WebOptions) -> Draft:
    """Raises `ValidationFailed`."""
    given = dict(bodies.require_object(body))
    meant = given.pop("to", None) is not None
    faults = Faults()
    form = read(BroadcastBody, given, faults)
    if meant:
        faults.add("to", "is not a known field: a broadcast goes to the tenant, or to a role")
    faults.require_none()
    assert form is not None
    to = f"role:{form.role}" if form.role is not None else f"tenant:{tenant}"
    given.pop("role", None)
    return bodies.notification({"type": BROADCAST_TYPE, **given, "to": to}, tenant=tenant, options=options)


def key(body: Mapping[str, Any]) -> KeyBody:
    """Raises `ValidationFailed`."""
    return _form(KeyBody, body)


def tenant(body: Mapping[str, Any]) -> str:
    """Raises `ValidationFailed`."""
    return _form(TenantBody, body).id


def retention(body: Mapping[str, Any]) -> int | None:
    """The days. Raises `ValidationFailed`."""
    return _form(TenantChange, body).retention_days


def template(body: Any) -> TemplateBody:
    """Raises `ValidationFailed`."""
    return _form(TemplateBody, body)


def preview(body: Any) -> PreviewBody:
    """Raises `ValidationFailed`."""
    return _form(PreviewBody, body)


def _form(kind: type[Model], body: Any) -> Model:
    faults = Faults()
    form = read(kind, body, faults)
    faults.require_none()
    assert form is not None
    return form
