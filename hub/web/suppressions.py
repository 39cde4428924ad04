"""Addresses that get nothing any more: listed, added and removed by admins."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import StringConstraints, TypeAdapter, ValidationError

from hub.domain.access import Admin
from hub.domain.errors import Invalid, SuppressionUnknown, ValidationFailed
from hub.domain.events import CHANNELS
from hub.store.suppressions import Place
from hub.web.admin import by
from hub.web.answers import answer_json
from hub.web.bodies import require_object
from hub.web.context import HUB
from hub.web.credentials import tenant_for
from hub.web.fields import DiscordWebhook, Email, Faults, Form, Phone, TenantId, read
from hub.web.reading import read_json
from hub.web.selections import answer_rows, limit_of

_PLACE = re.compile(r"([0-9]{1,17})\.([a-z]{1,16})\.([0-9a-f]{64})")
_ID = re.compile(r"[0-9a-f]{64}")
_ADDRESSES: dict[str, TypeAdapter[str]] = {
    "email": TypeAdapter(Email),
    "sms": TypeAdapter(Phone),
    "discord": TypeAdapter(DiscordWebhook),
}


class SuppressionBody(Form):
    """`POST /admin/suppressions`."""

    channel: Literal["email", "sms", "discord"]
    address: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    tenant_id: TenantId | None = None


def require_entry(body: Any) -> SuppressionBody:
    """Raises `ValidationFailed`."""
    faults = Faults()
    form = read(SuppressionBody, body, faults)
    if form is not None:
        try:
            _ADDRESSES[form.channel].validate_python(form.address)
        except ValidationError as wrong:
            faults.add("address", wrong.errors()[0]["msg"])
    faults.require_none()
    assert form is not None
    return form


async def page(request: web.Request, who: Admin) -> web.Response:
    """A page of the list, the newest first."""
    channel = request.query.get("channel") or None
    if channel is not None and channel not in CHANNELS:
        message = f"must be one of {', '.join(CHANNELS)}"
        raise ValidationFailed(f"channel {message}", errors=[{"field": "channel", "message": message}])
    after = None
    if text := request.query.get("after"):
        found = _PLACE.fullmatch(text)
        if found is None:
            raise Invalid("'after' is what the link to the next page says")
        after = Place(int(found[1]), found[2], found[3])
    rows = await request.app[HUB].suppressions.page(
        tenant_for(request, who), channel=channel, limit=limit_of(request), after=after
    )
    return answer_rows(request, rows, "channel")


async def add(request: web.Request, who: Admin) -> web.Response:
    """Suppress an address by hand; 201 when it is new."""
    body = require_object(await read_json(request))
    form = require_entry(body)
    entry, is_new = await request.app[HUB].suppressions.add(
        by(request, who), tenant_for(request, who, body), form.channel, form.address
    )
    return answer_json(entry, status=201 if is_new else 200)


async def remove(request: web.Request, who: Admin) -> web.Response:
    """Take an entry from the list."""
    channel, id = request.match_info["channel"], request.match_info["id"]
    if channel not in CHANNELS or not _ID.fullmatch(id):
        raise SuppressionUnknown("no such entry")
    await request.app[HUB].suppressions.remove(by(request, who), tenant_for(request, who), channel, id)
    return web.Response(status=204)
