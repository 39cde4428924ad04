"""What somebody tries with what is another tenant's: names, ids, secrets, and every door that takes one.

Each of them is refused as if the foreign thing did not exist, or finds the caller's own under that name; and
what is the owner's stays as it was.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.chaos import posts
from tests.chaos.callers import line
from tests.chaos.lines import SOCKETS, STREAMS
from tests.chaos.neighbours import Neighbours
from tests.chaos.tenants import Person, Tenant

# How one could try to spell a room of another tenant; the first field is its name.
SPELLINGS = (
    "{0}/user:42",
    "{0}/tenant:{0}",
    "tenant:{0}",
    "TENANT:{0}",
    " tenant:{0}",
    "tenant:{0} ",
    "tenant:{0}\x00",
    "tenant:\u200b{0}",
    "\uff54enant:{0}",
    "tenant\uff1a{0}",
    "tenant:%74{0}",
    "user:{0}/42",
    "user:42/../../{0}/user:42",
    "../{0}/user:42",
    "%2e%2e%2f{0}%2fuser:42",
    "{0}%2Fuser:42",
    "topic:../{0}/topic:jobs.hanoi",
    "topic:{0}/jobs.hanoi",
    "topic:jobs.hanoi,{0}/topic:jobs.hanoi",
    "{0}:user:42",
    "role:ADMIN\n{0}",
)
# What else a client could send in place of a name.
SHAPES = ([], {}, {"tenant": "x"}, 7, True, "")
REFUSED = {"room_invalid", "room_forbidden", "invalid_request"}

MARKS = ("read", "unread", "seen", "archive", "unarchive", "remove")


async def asks_for_a_room(near: Neighbours, tenant: Tenant, other: Tenant, place: int, spelling: int) -> None:
    """Whatever a foreign room is called, nobody gets into it, out of it, or learns who is there."""
    await _comes_for_a_room(near, tenant, SPELLINGS[spelling % len(SPELLINGS)].format(other.name), place)
    if (one := near.speaking(tenant, place)) is None:
        return
    names: tuple[Any, ...] = (*(text.format(other.name) for text in SPELLINGS), *SHAPES)
    name = names[spelling % len(names)]
    for event in ("joinRoom", "leaveRoom", "getPresence"):
        answer = await one.ask(event, {"room": name})
        assert answer.get("code") in REFUSED, f"{event} {name!r}: {answer}"


async def _comes_for_a_room(near: Neighbours, tenant: Tenant, name: str, place: int) -> None:
    """The same for those who name it when they come."""
    who = tenant.people[place % 4]
    one = line(near.hub.http, near.lookout, who, SOCKETS[place % 2], near.token(who), rooms=[name])
    await one.open()
    assert one.refusal is not None and one.refusal["data"]["code"] in REFUSED
    await one.drop()
    for path in STREAMS:
        answer = await near.call(tenant, "GET", f"{path}?rooms={quote(name)}", near.person(who))
        assert answer.refused[1] in REFUSED, name
    answer = await near.call(tenant, "GET", f"/admin/presence?room={quote(name)}", near.key(tenant))
    assert answer.refused == (422, "room_invalid"), name


async def refreshes(near: Neighbours, tenant: Tenant, other: Tenant, place: int) -> None:
    """Another tenant's token is not this user's, be the user's id the same."""
    if (one := near.speaking(tenant, place)) is None:
        return
    answer = await one.ask("refresh", {"token": near.token(other.double(one.who, tenant))})
    assert answer.get("code") == "token_invalid", answer
    assert "expiresAt" in await one.ask("refresh", {"token": near.token(one.who)})


async def recovers(near: Neighbours, tenant: Tenant, other: Tenant, place: int, *, away: bool) -> None:
    """Another tenant's pid is worth nothing, and trying it harms nobody; its owner gets back by it."""
    able = [one for one in near.lines[other.name] if "pid" in one.reply]
    if not able:
        return
    mine = able[place % len(able)]
    auth = {"recovery": True, "pid": mine.reply["pid"], "namespace": getattr(mine, "namespace", "/")}
    assert mine.greeting is not None
    offset = other.cursors[-1] if other.cursors else mine.greeting["cursor"]
    if away:
        near.lines[other.name].remove(mine)
        await mine.drop()
    double = tenant.double(mine.who, other)
    thief = line(near.hub.http, near.lookout, double, mine.kind, near.token(double), offset=offset, **auth)
    await thief.open()
    assert thief.greeting is not None
    assert thief.greeting["recovered"] is False and thief.greeting["recoveryReason"] == "invalid"
    assert set(thief.greeting["rooms"]) == double.rooms
    assert thief.reply["pid"] != mine.reply["pid"] and thief.reply["sid"] != mine.reply["sid"]
    await thief.drop()
    if not away:
        await near.unharmed(other)
        near.lines[other.name].remove(mine)
        await mine.drop()
    await posts.send(near, other, "notification", ["user:42", "tenant"], [], "booking.created", place)
    back = await near.connect(other, mine.who, mine.kind, back=mine.rooms, offset=offset, **auth)
    assert back.reply == mine.reply


async def marks(
    near: Neighbours, tenant: Tenant, other: Tenant, who: Person, verb: str, number: int, place: int
) -> None:
    """What is foreign is in nobody's inbox here; what is one's own is changed, and nobody else's."""
    foreign = [one.id for one in other.sent]
    double = other.double(who, tenant)
    if foreign:
        before = await near.call(other, "GET", "/notifications?limit=100", near.person(double))
        id = foreign[-1 - number % len(foreign)]
        paths = [
            ("DELETE", f"/notifications/{id}")
            if verb == "remove"
            else ("PATCH", f"/notifications/{id}/{verb}")
        ]
        paths += [("GET", f"/notifications/{id}"), ("GET", f"/notifications/{id}/timeline")]
        for method, path in paths:
            answer = await near.call(tenant, method, path, near.person(who))
            assert answer.refused == (404, "notification_unknown"), path
        path = f"/admin/notifications/{id}/timeline?userId={who.id}"
        answer = await near.call(tenant, "GET", path, near.admins(tenant)[place % 3])
        assert answer.refused == (404, "notification_unknown"), path
        if (one := near.speaking(tenant, place)) is not None:
            for event, data in (("markNotificationRead", {"id": id}), ("markSeen", {"ids": [id]})):
                said = await one.ask(event, data)
                assert said.get("code") == "notification_unknown", said
        after = await near.call(other, "GET", "/notifications?limit=100", near.person(double))
        assert after.text == before.text
    own = tenant.inbox(who)
    if not own:
        return
    id = own[number % len(own)]
    again = {one.number for one in tenant.sent if one.id == id}
    for one in near.lines[tenant.name]:
        one.shown_again |= again if one.who == who else set()
    for method, path in (("GET", f"/notifications/{id}"), ("GET", f"/notifications/{id}/timeline")):
        answer = await near.call(tenant, method, path, near.person(who))
        assert answer.status == 200, answer
    if verb == "remove":
        answer = await near.call(tenant, "DELETE", f"/notifications/{id}", near.person(who))
    else:
        answer = await near.call(tenant, "PATCH", f"/notifications/{id}/{verb}", near.person(who))
        assert answer.json["id"] == id
    assert answer.status in (200, 204)
    tenant.mark(who, id, verb)


async def meddles(near: Neighbours, tenant: Tenant, other: Tenant, place: int) -> None:
    """An admin's ids and names of another tenant's things are unknown, and nothing happens to them."""
    by = near.admins(tenant)[place % 3]
    touched = [("DELETE", f"/admin/api-keys/{other.key_id}", None, (404, "key_unknown"))]
    if other.mailed:
        id = list(other.mailed)[place % len(other.mailed)]
        touched.append(("POST", f"/admin/deliveries/{id}/retry", None, (404, "delivery_unknown")))
    for one in near.lines[other.name]:
        if one.greeting is not None:
            path = f"/admin/connections/{one.greeting['sid']}/disconnect"
            touched.append(("POST", path, None, (404, "connection_unknown")))
    for method, path, body, refused in touched:
        assert (await near.call(tenant, method, path, by, body)).refused == refused, path
    for one in near.lines[other.name]:
        answer = await near.call(tenant, "POST", "/admin/revoke", by, {"jti": one.token_id})
        assert answer.status == 200
    await near.unharmed(other)


async def names_another(near: Neighbours, tenant: Tenant, other: Tenant, spelling: int) -> None:
    """A tenant's own key and admin cannot act for another one, however it is named."""
    named = {"type": "system", "title": tenant.canary("x")}
    room = SPELLINGS[spelling % len(SPELLINGS)].format(other.name)
    calls: tuple[tuple[str, str, Any], ...] = (
        ("POST", "/notifications", {**named, "to": "user:42"}),
        ("POST", "/notifications/explain", {**named, "to": "user:42"}),
        ("POST", "/events", {"type": "system", "to": "user:42"}),
        ("POST", "/api/sse/broadcast", {"notification": named}),
        ("PUT", "/users/42", {"locale": "en"}),
        ("PUT", "/users/batch", {"users": [{"id": "42"}]}),
        ("POST", "/admin/notifications/broadcast", named),
        ("POST", "/admin/revoke", {"userId": "42"}),
        ("POST", "/admin/api-keys", {"scopes": ["read"]}),
    )
    method, path, body = calls[spelling % len(calls)]
    by = near.key(tenant)
    for headers, more in (({"X-Tenant-Id": other.name}, {}), ({}, {"tenantId": other.name})):
        answer = await near.call(tenant, method, path, by | headers, body | more)
        assert answer.refused == (403, "tenant_forbidden"), path
    for to, exclude in ((room, []), ("user:42", [room])):
        body = {**named, "to": to, "exclude": exclude}
        answer = await near.call(tenant, "POST", "/notifications", by, body)
        assert answer.refused == (422, "validation_failed"), (to, exclude)
    entry = {**named, "to": "user:42", "tenantId": other.name}
    answer = await near.call(tenant, "POST", "/notifications/batch", by, [entry])
    assert answer.json["results"][0]["code"] == "tenant_forbidden"
