"""What tenants are sent, by every door that takes it; and that it arrives with them, all of it.

`move_in` gives each of them a key, a wish, somebody who listens, and a past. In the end `settle` says whether
each line and each inbox has what its tenant was sent, and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hub.domain.delivery import DeliveryUpdate
from hub.web.openapi.examples import PUSH_SUBSCRIPTION
from tests.chaos.neighbours import Neighbours
from tests.chaos.tenants import Sent, Tenant


async def move_in(near: Neighbours) -> None:
    """Each has a key, a wish, words, rules, a browser, somebody who listens, and a past."""
    for tenant in near.tenants:
        body = {"scopes": ["admin"], "name": tenant.canary("key")}
        made = await near.call(tenant, "POST", "/admin/api-keys", near.platform(tenant), body)
        tenant.key, tenant.key_id = made.json["secret"], made.json["id"]
        await near.call(tenant, "POST", "/admin/revoke", near.key(tenant), {"jti": tenant.canary("jti")})
        wishes = {"types": {tenant.canary("wish"): {"email": False}}}
        said = await near.call(tenant, "PUT", "/admin/preferences", near.key(tenant), wishes)
        assert said.status == 200, said
        source = f"{{% block title %}}{tenant.canary('words')}{{% endblock %}}"
        source += "{% block message %}x{% endblock %}"
        path = "/admin/templates/review.created/inApp"
        said = await near.call(tenant, "PUT", path, near.key(tenant), {"source": source})
        assert said.status == 200, said
        said = await near.call(
            tenant,
            "PUT",
            "/admin/types/customer.created",
            near.key(tenant),
            {"digest": {"window": 60, "key": tenant.canary("rule")}},
        )
        assert said.status == 200, said
        endpoint = f"https://push.example.com/{tenant.canary('push')}"
        own = near.person(tenant.people[0]) | {"User-Agent": tenant.canary("browser")}
        body = {**PUSH_SUBSCRIPTION, "endpoint": endpoint}
        said = await near.call(tenant, "POST", "/me/push-subscriptions", own, body)
        assert said.status == 201, said
        await near.connect(tenant, tenant.people[0], "websocket", recovery=True)
    for number, how in enumerate(("mail", "notification", "event", "row")):
        for tenant in near.tenants:
            await send(near, tenant, how, ["user:42", "role:ADMIN"], [], "booking.created", number)


async def send(
    near: Neighbours,
    tenant: Tenant,
    how: str,
    to: Sequence[str],
    exclude: Sequence[str],
    type: str,
    door: int,
) -> None:
    """Every entitled line sees it."""
    number = tenant.number()
    canary = tenant.canary(f"e{number}")
    rooms = [tenant.room(name) for name in to]
    shut = [tenant.room(name) for name in exclude]
    body: dict[str, Any] = {"type": type, "data": {"text": canary}}
    by = near.backends(tenant)[door % 2]
    if how == "row":
        rooms, shut = [tenant.room("tenant")], []
        row = {"type": type, "title": canary, "text": canary}
        answer = await near.call(tenant, "POST", "/api/sse/broadcast", by, {"notification": row})
    elif how == "broadcast":
        rooms, shut = [tenant.room("tenant")], []
        by = near.admins(tenant)[door % 3]
        answer = await near.call(
            tenant, "POST", "/admin/notifications/broadcast", by, body | {"title": canary}
        )
    elif how == "batch":
        body |= {"to": rooms, "exclude": shut, "title": canary}
        answer = await near.call(tenant, "POST", "/notifications/batch", by, [body])
    elif how == "mail":
        rooms = ["user:42"]
        tenant.contact = f"{canary}@example.com"
        body |= {"to": {"id": "42", "email": tenant.contact}, "channels": ["inApp", "email"]}
        answer = await near.call(tenant, "POST", "/notifications", by, body | {"exclude": shut})
    elif how == "notification":
        body |= {"to": rooms, "exclude": shut, "title": canary, "link": f"/{canary}"}
        answer = await near.call(tenant, "POST", "/notifications", by, body)
    else:
        body |= {"to": rooms, "exclude": shut, "durable": how == "event"}
        answer = await near.call(tenant, "POST", "/events", by, body)
    assert answer.status in (200, 202), answer.text
    accepted = answer.json["results"][0] if how == "batch" else answer.json
    inbox = how not in ("event", "volatile")
    sent = tenant.accepted(
        accepted, number, type=type, inbox=inbox, rooms=frozenset(rooms), exclude=frozenset(shut)
    )
    tenant.mailed |= {delivery["id"]: sent.id for delivery in accepted["deliveries"]}
    await arrives(near, tenant, sent)


async def arrives(near: Neighbours, tenant: Tenant, sent: Sent) -> None:
    due = [one for one in near.lines[tenant.name] if sent.is_for(one.rooms) and sent.is_shown(one.only)]
    for one in due:
        one.due.add(sent.number)
        await one.sees(sent.number)


async def schedule(near: Neighbours, tenant: Tenant, other: Tenant) -> None:
    """What waits in another tenant is not there to be cancelled; in its own it is."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"type": "reminder", "to": "user:42", "title": other.canary("later"), "sendAt": later}
    waiting = await near.call(other, "POST", "/notifications", near.key(other), body)
    path = f"/notifications/{waiting.json['id']}/pending"
    for by in near.backends(tenant):
        answer = await near.call(tenant, "DELETE", path, by)
        assert answer.refused == (404, "notification_unknown")
    answer = await near.call(other, "DELETE", path, near.key(other))
    assert answer.json == {"id": waiting.json["id"], "cancelled": 1}


async def same_key(near: Neighbours, tenant: Tenant, other: Tenant) -> None:
    """One Idempotency-Key and one body, in two tenants: two notifications."""
    body = {"type": "system", "to": "user:42", "data": {}}
    name = secrets.token_hex(8)
    ids = set()
    for one in (tenant, other):
        by = near.key(one) | {"Idempotency-Key": name}
        answer = await near.call(one, "POST", "/notifications", by, body)
        assert answer.status == 202 and "Idempotency-Replayed" not in answer.headers, answer
        rooms = frozenset({"user:42"})
        one.accepted(answer.json, 0, type="system", inbox=True, rooms=rooms, exclude=frozenset())
        ids.add(answer.json["id"])
    assert len(ids) == 2


async def looks_up(near: Neighbours, tenant: Tenant, place: int) -> None:
    """The same id is another person in each tenant."""
    answer = await near.call(tenant, "GET", "/users/42", near.backends(tenant)[place % 2])
    assert answer.status == (200 if tenant.contact else 404)
    assert tenant.contact in answer.text


async def delivers(near: Neighbours, tenant: Tenant) -> None:
    """What a worker tells of a delivery is heard by the person and the admins of its tenant."""
    number = tenant.number()
    update = DeliveryUpdate(
        id=f"d{number}",
        notification=f"n{number}",
        tenant=tenant.name,
        user="42",
        channel="email",
        status="dead",
        attempts=1,
        error=tenant.canary(f"u{number}"),
        provider=None,
        at=datetime.now(UTC),
    )
    near.hub.hub.publish.announce([update])
    for one in near.lines[tenant.name]:
        if one.speaks and (one.who.id == "42" or one.who.is_admin):
            await one.until(lambda one=one: number in one.told, f"its delivery {number}")


async def settle(near: Neighbours) -> None:
    """In the end each line has seen what it should, and nothing else."""
    for tenant in near.tenants:
        await send(near, tenant, "notification", ["tenant"], [], "booking.created", 0)
    for tenant in near.tenants:
        for one in near.lines[tenant.name]:
            seen = set(one.seen)
            assert one.due <= seen and seen - one.due <= one.shown_again, f"{one.kind} of {one.who}"
        for who in tenant.people:
            answer = await near.call(tenant, "GET", "/notifications?limit=100", near.person(who))
            stands = tenant.inbox(who)
            assert [item["id"] for item in answer.json] == stands[:100]
            assert answer.headers["X-Total-Count"] == str(len(stands))
            assert answer.headers["X-Unread-Count"] == str(tenant.unread(who))
