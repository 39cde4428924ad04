"""What backends send: notifications, one or many, events; what would become of one, and taking one back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from hub.domain.access import ApiKey
from hub.domain.drafts import Draft, IdempotencyKey
from hub.domain.errors import Invalid, Refusal
from hub.services.explain import START, Place
from hub.services.wire import dumps
from hub.web import bodies, idempotency
from hub.web.answers import answer_bytes, answer_json
from hub.web.context import HUB, Services, WebOptions
from hub.web.credentials import known_backend, tenant_for, tenant_named
from hub.web.fields import Faults
from hub.web.parameters import notification_id
from hub.web.problems import problem
from hub.web.reading import parse, read_json
from hub.web.selections import answer_rows, limit_of

# What a fingerprint begins with, so that equal bodies of different routes differ.
_NOTIFICATION, _EVENT = "notification", "event"
_PLACE = re.compile(r"([0-9]{1,4})\.([^\s/,]{0,128})")


async def send(request: web.Request, key: ApiKey) -> web.Response:
    """Store one notification with every delivery it causes, and send it."""
    body = bodies.require_object(await read_json(request))
    once = idempotency.key_of(request, _NOTIFICATION, body)
    options = request.app[HUB].options
    draft = bodies.notification(body, tenant=tenant_for(request, key, body), options=options)
    return await _accept(request, draft, once)


def read(hub: Services, fields: Mapping[str, str], text: bytes) -> tuple[Draft, IdempotencyKey | None] | None:
    """What `send` would accept, by a key that is known already. Raises a `Refusal`, or returns None."""
    key = known_backend(fields, "notify", hub.tokens)
    name = fields.get("idempotency-key")
    if key is None or not (name is None or idempotency.is_key(name)):
        return None
    options = hub.options
    body = bodies.require_object(parse(text, max_depth=options.max_json_depth))
    once = None if name is None else IdempotencyKey(name, idempotency.fingerprint(_NOTIFICATION, body))
    tenant = tenant_named(fields.get("x-tenant-id"), key, body)
    return bodies.notification(body, tenant=tenant, options=options), once


async def send_event(request: web.Request, key: ApiKey) -> web.Response:
    """Realtime only: an event that stands in no inbox; not in the log either when `durable` is false."""
    body = bodies.require_object(await read_json(request))
    once = idempotency.key_of(request, _EVENT, body)
    options = request.app[HUB].options
    draft = bodies.event(body, tenant=tenant_for(request, key, body), options=options)
    if not draft.durable:
        idempotency.refuse_key(request, "an event that is not stored cannot be remembered")
    return await _accept(request, draft, once)


async def send_batch(request: web.Request, key: ApiKey) -> web.Response:
    """Many notifications, answered in order, each with its own status; 207 unless all were accepted."""
    hub = request.app[HUB]
    idempotency.refuse_key(request, "a batch has none: give each notification its idempotencyKey")
    body = await read_json(request)
    results: list[bytes | Refusal] = []
    good: dict[int, tuple[Draft, IdempotencyKey | None]] = {}
    tenant = _Tenant(request, key, body)
    for place, item in enumerate(bodies.entries(body, "notifications", hub.options)):
        try:
            good[place] = _entry(tenant, item, hub.options)
            results.append(b"")
        except Refusal as refusal:
            results.append(refusal)
    for place, answer in zip(good, await hub.ingest.accept_many(list(good.values())), strict=True):
        results[place] = answer if isinstance(answer, Refusal) else _result(answer.body, answer.replayed)
    refused = [result for result in results if isinstance(result, Refusal)]
    if len(refused) == len(results) and all(refusal.retryable for refusal in refused):
        raise refused[0]  # nothing was stored: the whole request can simply be sent again
    shown = [dumps(problem(result)) if isinstance(result, Refusal) else result for result in results]
    return answer_bytes(b'{"results":[%b]}' % b",".join(shown), status=207 if refused else 200)


async def explain(request: web.Request, key: ApiKey) -> web.Response:
    """Who would get what of a notification, and why not; nothing is stored."""
    idempotency.refuse_key(request, "nothing is stored, so nothing can be remembered")
    hub = request.app[HUB]
    after = START
    if text := request.query.get("after"):
        found = _PLACE.fullmatch(text)
        if found is None:
            raise Invalid("'after' is what the link to the next page says")
        after = Place(int(found[1]), found[2])
    limit = limit_of(request)
    body = bodies.require_object(await read_json(request))
    draft = bodies.notification(body, tenant=tenant_for(request, key, body), options=hub.options)
    return answer_rows(request, await hub.explain.page(draft, limit=limit, after=after))


async def cancel_pending(request: web.Request, key: ApiKey) -> web.Response:
    """Cancel what has not been sent: the scheduled notification, or its open deliveries."""
    id, tenant = notification_id(request), tenant_for(request, key)
    cancelled = await request.app[HUB].deliveries.cancel_pending(tenant, id, datetime.now(UTC))
    return answer_json({"id": id, "cancelled": cancelled})


class _Tenant:
    """Whose the notifications of a batch are: what the batch says, unless one of them says it itself."""

    def __init__(self, request: web.Request, key: ApiKey, body: Any) -> None:
        self._request, self._key = request, key
        self._body = body if isinstance(body, Mapping) else None
        self._common: str | None = None  # judged when the first one needs it

    def of(self, entry: Mapping[str, Any]) -> str:
        """Raises `ValidationFailed` or `TenantForbidden`."""
        if "tenantId" in entry:
            return tenant_for(self._request, self._key, entry)
        if self._common is None:
            self._common = tenant_for(self._request, self._key, self._body)
        return self._common


def _entry(tenant: _Tenant, item: Any, options: WebOptions) -> tuple[Draft, IdempotencyKey | None]:
    """One notification of a batch. Raises `ValidationFailed` or `TenantForbidden`."""
    entry = dict(bodies.require_object(item))
    name = entry.pop("idempotencyKey", None)
    if name is not None and not idempotency.is_key(name):
        faults = Faults()
        faults.add("idempotencyKey", "must be 1 to 255 printable ASCII characters")
        faults.require_none()
    draft = bodies.notification(entry, tenant=tenant.of(entry), options=options)
    once = None if name is None else IdempotencyKey(name, idempotency.fingerprint(_NOTIFICATION, entry))
    return draft, once


async def _accept(request: web.Request, draft: Draft, once: IdempotencyKey | None) -> web.Response:
    accepted = await request.app[HUB].ingest.accept(draft, once)
    headers = {idempotency.REPLAYED: "true"} if accepted.replayed else None
    return answer_bytes(accepted.body, status=202, headers=headers)


def _result(body: bytes, replayed: bool) -> bytes:
    """The answer to one of a batch: the object in `body` with its status."""
    return b'{"status":202,%b%b}' % (body[1:-1], b',"idempotencyReplayed":true' if replayed else b"")
