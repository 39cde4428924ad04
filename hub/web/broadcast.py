"""`POST /api/sse/broadcast`: a notification to everyone of a tenant, in the shape of older programs.

They send the row that their own database holds, so fields which are not known here are no fault: they go
into `data`, where the reader finds them again. Nothing is mailed to a whole tenant because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from pydantic import ConfigDict

from hub.domain.access import ApiKey
from hub.domain.drafts import Draft
from hub.services.wire import dumps
from hub.web import idempotency
from hub.web.answers import answer_bytes
from hub.web.bodies import Severity, require_object
from hub.web.context import HUB, WebOptions
from hub.web.credentials import tenant_for
from hub.web.fields import Faults, Form, Line, Lines, Link, TenantId, TypeName, read
from hub.web.reading import read_json


class StoredNotification(Form):
    """A notification as older programs keep it. `description` and `actionUrl` are older names."""

    model_config = ConfigDict(extra="allow")

    type: TypeName
    title: Line | None = None
    message: Lines | None = None
    description: Lines | None = None
    link: Link | None = None
    action_url: Link | None = None
    severity: Severity | None = None
    data: dict[str, Any] | None = None


class BroadcastBody(Form):
    """`POST /api/sse/broadcast`."""

    notification: StoredNotification
    tenant_id: TenantId | None = None


async def send(request: web.Request, key: ApiKey) -> web.Response:
    """Store one notification for the whole tenant, and show it."""
    body = require_object(await read_json(request))
    once = idempotency.key_of(request, "sse.broadcast", body)
    hub = request.app[HUB]
    draft = draft_of(body, tenant=tenant_for(request, key, body), options=hub.options)
    accepted = await hub.ingest.accept(draft, once)
    headers = {idempotency.REPLAYED: "true"} if accepted.replayed else None
    return answer_bytes(accepted.body, status=202, headers=headers)


def draft_of(body: Mapping[str, Any], *, tenant: str, options: WebOptions) -> Draft:
    """Raises `ValidationFailed` with every fault."""
    faults = Faults()
    form = read(BroadcastBody, body, faults)
    data: dict[str, Any] = {}
    if form is not None:
        data = {**(form.notification.model_extra or {}), **(form.notification.data or {})}
        if (size := len(dumps(data))) > options.max_data_bytes:
            most = options.max_data_bytes
            faults.add("notification", f"may have at most {most} bytes of data as JSON, not {size}")
    faults.require_none()
    assert form is not None
    given = form.notification
    return Draft(
        tenant=tenant,
        type=given.type,
        to=(f"tenant:{tenant}",),
        title=given.title,
        message=given.message or given.description,
        link=given.link or given.action_url,
        data=data,
        severity=given.severity,
        channels=("inApp",),
    )
