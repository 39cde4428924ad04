"""Request bodies into drafts and contacts.

A notification may come in two shapes: the hub's own, with `to`, and an older one with `recipientId`. Both
become the same draft. Everything wrong with a body is reported at once, and then nothing is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from hub.domain.drafts import Contact, Draft
from hub.domain.errors import ValidationFailed
from hub.services.wire import dumps
from hub.web.audience import Audience, rooms
from hub.web.context import WebOptions
from hub.web.fields import (
    Actor,
    Addressee,
    CollapseKey,
    DiscordWebhook,
    Email,
    Faults,
    Form,
    Line,
    Lines,
    Link,
    Locale,
    Moment,
    Phone,
    Role,
    TenantId,
    Timezone,
    TypeName,
    UserId,
    read,
)
from hub.web.usual import usual

Channel = Literal["inApp", "email", "sms", "discord", "webpush"]
OldChannel = Literal["inApp", "email", "sms", "discord", "webpush", "push"]
Severity = Literal["info", "success", "warning", "error", "critical"]
_RECIPIENT = frozenset({"recipientId", "recipientEmail", "recipientPhone"})
# How many rooms there may be is for the settings to say: hub.web.openapi.requests puts these shapes in.
EventTo = Annotated[Any, WithJsonSchema({"shape": "EventAudience"})]
Excluded = Annotated[Any, WithJsonSchema({"shape": "Excluded"})]
To = Annotated[Any, WithJsonSchema({"shape": "Audience"})]


class Common(Form):
    """What every request to notify may say."""

    type: TypeName
    data: dict[str, Any] | None = None
    title: Line | None = None
    message: Lines | None = None
    link: Link | None = None
    severity: Severity | None = None
    send_at: Moment | None = None
    expires_at: Moment | None = None
    collapse_key: CollapseKey | None = None
    exclude: Excluded | None = None
    actor: Actor | None = None
    tenant_id: TenantId | None = None


class NotificationBody(Common):
    """`POST /notifications`."""

    to: To
    channels: Annotated[list[Channel], Field(min_length=1, max_length=5)] | None = None


class RecipientBody(Common):
    """The same in the shape of older programs: one recipient with its addresses."""

    recipient_id: UserId
    recipient_email: Email | None = None
    recipient_phone: Phone | None = None
    channels: Annotated[list[OldChannel], Field(min_length=1, max_length=6)] | None = None


class EventBody(Form):
    """`POST /events`."""

    type: TypeName
    to: EventTo
    data: dict[str, Any] | None = None
    durable: bool = True
    exclude: Excluded | None = None
    tenant_id: TenantId | None = None


class PersonFields(Form):
    """What may be said of a person. What is left out stays as it is; null removes it."""

    email: Email | None = None
    phone: Phone | None = None
    locale: Locale | None = None
    timezone: Timezone | None = None
    roles: Annotated[list[Role], Field(max_length=64)] | None = None
    discord_webhook: DiscordWebhook | None = None


class PersonBody(PersonFields):
    """`PUT /users/{id}`."""

    id: UserId | None = None
    tenant_id: TenantId | None = None


class PersonEntry(PersonFields):
    """One of `PUT /users/batch`; the batch names the tenant of all of them."""

    id: UserId


def notification(body: Any, *, tenant: str, options: WebOptions) -> Draft:
    """The draft of one notification. Raises `ValidationFailed` with every fault."""
    draft = usual(body, tenant=tenant, options=options) if isinstance(body, dict) else None
    return by_form(body, tenant=tenant, options=options) if draft is None else draft


def by_form(body: Any, *, tenant: str, options: WebOptions) -> Draft:
    """The same, whatever the body is: what `usual` must not differ from."""
    faults = Faults()
    audience = Audience(tenant, faults, max_rooms=options.max_rooms, max_radius=options.near_radius)
    form: NotificationBody | RecipientBody | None
    if _is_older(body):
        form = older = read(RecipientBody, body, faults)
        if older is not None:
            person = Addressee(
                id=older.recipient_id, email=older.recipient_email, phone=older.recipient_phone
            )
            audience.add_person(person, "recipientId")
    else:
        form = read(NotificationBody, body, faults)
        if isinstance(body, dict) and "to" in body:
            audience.add(body["to"])
    if form is not None and form.send_at and form.expires_at and form.expires_at <= form.send_at:
        faults.add("expiresAt", "must be later than sendAt")
    data, exclude = _data(body, faults, options), _exclude(body, tenant, faults, options)
    faults.require_none()
    assert form is not None
    channels = None if form.channels is None else dict.fromkeys(map(_channel, form.channels))
    return Draft(
        tenant=tenant,
        type=form.type,
        to=audience.rooms,
        near=audience.near,
        contact=audience.contact,
        title=form.title,
        message=form.message,
        link=form.link,
        data=data,
        severity=form.severity,
        channels=None if channels is None else tuple(channels),
        send_at=form.send_at,
        expires_at=form.expires_at,
        exclude=exclude,
        actor=form.actor,
        collapse_key=form.collapse_key,
    )


def event(body: Any, *, tenant: str, options: WebOptions) -> Draft:
    """The draft of an event that stands in no inbox. Raises `ValidationFailed` with every fault."""
    faults = Faults()
    form = read(EventBody, body, faults)
    audience = Audience(
        tenant, faults, max_rooms=options.max_rooms, max_radius=options.near_radius, persons=False
    )
    if isinstance(body, dict) and "to" in body:
        audience.add(body["to"])
    data, exclude = _data(body, faults, options), _exclude(body, tenant, faults, options)
    faults.require_none()
    assert form is not None
    return Draft(
        tenant=tenant,
        type=form.type,
        to=audience.rooms,
        near=audience.near,
        data=data,
        exclude=exclude,
        inbox=False,
        durable=form.durable,
    )


def person(body: Any, *, user: str) -> Contact:
    """The contact of `PUT /users/{id}`. Raises `ValidationFailed`."""
    faults = Faults()
    form = read(PersonBody, body, faults)
    if form is not None and form.id not in (None, user):
        faults.add("id", "differs from the id in the path")
    faults.require_none()
    assert form is not None
    return _contact(form, user)


def people(body: Any, *, options: WebOptions) -> list[Contact]:
    """The contacts of `PUT /users/batch`. Raises `ValidationFailed`; then none is stored."""
    faults = Faults()
    items = entries(body, "users", options)
    forms = [read(PersonEntry, item, faults, prefix=f"users.{place}") for place, item in enumerate(items)]
    faults.require_none()
    return [_contact(form, form.id) for form in forms if form is not None]


def entries(body: Any, name: str, options: WebOptions) -> list[Any]:
    """The entries of a batch: the body itself, or its field `name`. Raises `ValidationFailed`."""
    faults = Faults()
    items = body
    if isinstance(body, dict):
        items = body.get(name)
        for unknown in body.keys() - {name, "tenantId"}:
            faults.add(unknown[:200], "is not a known field")
    if not isinstance(items, list):
        faults.add(name, "must be a list")
    elif not 1 <= len(items) <= options.max_batch:
        faults.add(name, f"must have 1 to {options.max_batch} entries, not {len(items)}")
    faults.require_none()
    return list(items)


def require_object(body: Any) -> Mapping[str, Any]:
    """Raises `ValidationFailed`."""
    if not isinstance(body, dict):
        message = "must be an object"
        raise ValidationFailed(f"the body {message}", errors=[{"field": "body", "message": message}])
    return body


def _contact(form: PersonFields, user: str) -> Contact:
    def said(name: str) -> str | None:
        """None: left out. Empty: null was said."""
        return (getattr(form, name) or "") if name in form.model_fields_set else None

    return Contact(
        user=user,
        email=said("email"),
        phone=said("phone"),
        locale=said("locale"),
        timezone=said("timezone"),
        roles=tuple(dict.fromkeys(form.roles or ())) if "roles" in form.model_fields_set else None,
        discord_webhook=said("discord_webhook"),
    )


def _is_older(body: Any) -> bool:
    return isinstance(body, dict) and "to" not in body and not _RECIPIENT.isdisjoint(body)


def _channel(name: str) -> str:
    return "webpush" if name == "push" else name


def _data(body: Any, faults: Faults, options: WebOptions) -> Mapping[str, Any]:
    data = (body.get("data") if isinstance(body, dict) else None) or {}
    if data and (size := len(dumps(data))) > options.max_data_bytes:
        faults.add("data", f"may have at most {options.max_data_bytes} bytes as JSON, not {size}")
    return data if isinstance(data, dict) else {}


def _exclude(body: Any, tenant: str, faults: Faults, options: WebOptions) -> tuple[str, ...]:
    names = body.get("exclude") if isinstance(body, dict) else None
    if names is None or names == []:
        return ()
    return rooms(names, "exclude", tenant, faults, max_rooms=options.max_rooms)
