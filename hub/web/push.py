"""The caller's browsers that get web push. A subscription comes as the browser itself writes it."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from aiohttp import hdrs, web
from pydantic import AfterValidator, Field, StringConstraints

from hub.domain.access import Principal
from hub.domain.errors import SubscriptionUnknown
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.fields import Faults, Form, read, refuse, shown
from hub.web.reading import read_json
from hub.web.selections import require_ulid

POINT, SECRET = 65, 16  # bytes: an uncompressed point of P-256, and RFC 8291's authentication secret


def _bytes(value: str, count: int) -> str:
    try:
        raw = base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != count:
        raise refuse(f"must be {count} bytes in base64url")
    return value.rstrip("=")


def _point(value: str) -> str:
    return _bytes(value, POINT)


def _secret(value: str) -> str:
    return _bytes(value, SECRET)


class PushKeys(Form):
    """`keys` of a subscription."""

    p256dh: Annotated[str, StringConstraints(max_length=100), AfterValidator(_point)] = Field(alias="p256dh")
    auth: Annotated[str, StringConstraints(max_length=40), AfterValidator(_secret)]


class PushSubscription(Form):
    """What `PushSubscription.toJSON()` gives."""

    endpoint: Annotated[str, StringConstraints(max_length=2048), shown(None, "https://push.example.com/a1")]
    expiration_time: float | None = None
    keys: PushKeys


def require_subscription(body: Any) -> PushSubscription:
    """Raises `ValidationFailed` with every fault."""
    faults = Faults()
    form = read(PushSubscription, body, faults)
    faults.require_none()
    assert form is not None
    return form


async def subscribe(request: web.Request, who: Principal) -> web.Response:
    """Keep a browser's subscription; an endpoint belongs to whoever subscribed last."""
    form = require_subscription(await read_json(request))
    id = await request.app[HUB].push.subscribe(
        who,
        form.endpoint,
        p256dh=form.keys.p256dh,
        auth=form.keys.auth,
        user_agent=_printable(request.headers.get(hdrs.USER_AGENT, "")),
    )
    return answer_json({"id": id}, status=201)


async def subscriptions(request: web.Request, who: Principal) -> web.Response:
    """The caller's browsers."""
    return answer_json(await request.app[HUB].push.list(who))


async def key(request: web.Request, who: Principal) -> web.Response:
    """The public key that browsers subscribe with."""
    return answer_json({"publicKey": request.app[HUB].push.key()})


async def unsubscribe(request: web.Request, who: Principal) -> web.Response:
    """Forget a browser."""
    id = require_ulid(request.match_info["id"], SubscriptionUnknown, "push subscription")
    await request.app[HUB].push.unsubscribe(who, id)
    return web.Response(status=204)


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
