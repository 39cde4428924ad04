"""Tenants on one installation: how they ask, connect, leave and come back, and who is online.

A step checks its own answer: what is the tenant's own is there. What nobody may ever see is for the
`Lookout`, which reads everything that comes back. What is sent is in `posts`, and what one tries with what
is another's in `trespasses`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from itertools import chain, cycle
from typing import Any, NamedTuple
from urllib.parse import quote

from hub.settings import DEVELOPMENT_KEY
from tests.buses import eventually
from tests.chaos.callers import line
from tests.chaos.lines import Line
from tests.chaos.tenants import Lookout, Person, Tenant, tenants
from tests.living import Living

LINES = 5  # that a tenant has open at once
FRESH = 5.0  # seconds after which a count is surely not an old one
Headers = dict[str, str]


class Answer(NamedTuple):
    status: int
    text: str
    headers: Headers

    @property
    def json(self) -> Any:
        return json.loads(self.text) if self.text else None

    @property
    def refused(self) -> tuple[int, str]:
        return self.status, self.json["code"] if self.status >= 400 else ""


class Neighbours:
    """Some tenants that live on the same processes, and their open lines. Whatever they do, they do at one
    after the other."""

    def __init__(self, hubs: Sequence[Living], lookout: Lookout, most: int = 3) -> None:
        self.hubs = hubs
        self._next = cycle(hubs)
        self.lookout = lookout
        self.tenants = tenants(most)
        self.lines: dict[str, list[Line]] = {tenant.name: [] for tenant in self.tenants}
        self._tokens = 0

    @property
    def hub(self) -> Living:
        """Whose turn it is."""
        return next(self._next)

    # -- who asks ------------------------------------------------------------------------------------
    def token(self, who: Person) -> str:
        """Each has an id of its own, by which another tenant will try to revoke it."""
        self._tokens += 1
        return self.hub.token(
            who.id, *who.roles, tenant=who.tenant, sid=who.session, topics=["jobs.*"], jti=f"j{self._tokens}"
        )

    def person(self, who: Person) -> Headers:
        return {"Authorization": f"Bearer {self.token(who)}"}

    def key(self, tenant: Tenant) -> Headers:
        return {"X-API-Key": tenant.key}

    def platform(self, tenant: Tenant) -> Headers:
        return {"X-API-Key": DEVELOPMENT_KEY, "X-Tenant-Id": tenant.name}

    def backends(self, tenant: Tenant) -> Sequence[Headers]:
        return self.key(tenant), self.platform(tenant)

    def admins(self, tenant: Tenant) -> Sequence[Headers]:
        return self.person(tenant.admin), *self.backends(tenant)

    async def call(
        self, tenant: Tenant, method: str, path: str, headers: Headers, body: Any = None
    ) -> Answer:
        """Somebody of the tenant asks; what comes back is theirs alone."""
        async with self.hub.http.request(method, path, json=body, headers=headers) as answer:
            found = Answer(answer.status, await answer.text(), dict(answer.headers))
        self.lookout.look(tenant.name, f"{method} {path}", found.text, repr(found.headers))
        assert found.status < 500, f"{method} {path}: {found.text}"
        return found

    # -- lines ---------------------------------------------------------------------------------------
    async def connect(
        self,
        tenant: Tenant,
        who: Person,
        kind: str,
        *,
        namespace: str = "/",
        cursor: str | None = None,
        foreign: str | None = None,
        format: str = "",
        named: str = "",
        topics: tuple[str, ...] = (),
        ticket: bool = False,
        back: Collection[str] = (),
        **auth: Any,
    ) -> Line:
        """`foreign` is another tenant's cursor: it is good for nothing. `back` are the rooms it comes back
        to, from the place `auth` names."""
        mine = self.lines[tenant.name]
        if len(mine) >= LINES:
            await self.drop(tenant, 0)
        token = self.token(who)
        made = line(
            self.hub.http,
            self.lookout,
            who,
            kind,
            token,
            namespace=namespace,
            cursor=foreign or cursor,
            topics=topics,
            format=format,
            named=named,
            **auth,
        )
        made.rooms |= {f"topic:{topic}" for topic in topics} | set(back)
        made.token_id = f"j{self._tokens}"
        if ticket:
            bearer = {"Authorization": f"Bearer {token}"}
            given = await self.call(tenant, "POST", "/auth/ticket", bearer)
            made.present_ticket(given.json["ticket"])
        since = auth["offset"] if back else cursor
        await made.open()
        mine.append(made)
        await self._until_known(tenant)
        if made.greeting is not None:
            said = made.greeting
            assert (said["tenantId"], said["userId"]) == (who.tenant, who.id)
            assert set(said["rooms"]) == made.rooms
            assert said["unreadCount"] == tenant.unread(who)
            assert said["recovered"] == (since is not None), said
            assert (said["recoveryReason"] == "epoch") == (foreign is not None), said
        if since is not None:
            made.due |= tenant.missed(made.rooms, since, made.only)
            for number in sorted(made.due):
                await made.sees(number)
        return made

    async def drop(self, tenant: Tenant, place: int) -> Line | None:
        mine = self.lines[tenant.name]
        if not mine:
            return None
        gone = mine.pop(place % len(mine))
        await gone.drop()
        await self._until_known(tenant)
        return gone

    async def _until_known(self, tenant: Tenant) -> None:
        expected = len(self.lines[tenant.name])

        def known() -> int:
            everywhere = chain.from_iterable(hub.hub.sessions.all() for hub in self.hubs)
            return sum(one.who.tenant == tenant.name for one in everywhere)

        await eventually(lambda: known() == expected)

    def speaking(self, tenant: Tenant, place: int) -> Line | None:
        """One that can send something."""
        able = [one for one in self.lines[tenant.name] if one.speaks]
        return able[place % len(able)] if able else None

    async def joins(self, tenant: Tenant, place: int, topic: str, *, leaves: bool) -> None:
        """A room of its own that every tenant has."""
        if (one := self.speaking(tenant, place)) is None:
            return
        room = f"topic:{topic}"
        answer = await one.ask("leaveRoom" if leaves else "joinRoom", {"room": room})
        assert answer == {"room": room}
        one.rooms = one.rooms - {room} if leaves else one.rooms | {room}

    async def counts(self, tenant: Tenant, place: int, name: str | None) -> None:
        """Who is online: the tenant's own, all of them and nobody else."""
        if (one := self.speaking(tenant, place)) is None:
            return
        room = tenant.room(name or "tenant")
        there = [other for other in self.lines[tenant.name] if room in other.rooms]
        expected = len({other.who.id for other in there}), len(there)
        path = f"/admin/presence?room={quote(room)}"

        async def told() -> None:
            answer = await one.ask("getPresence", {} if name is None else {"room": room})
            if one.who.is_admin or room in one.rooms or room.startswith("topic:jobs."):
                found.append((answer["totalOnline"], answer["connections"]))
            else:
                assert answer["code"] == "room_forbidden"
            seen = (await self.call(tenant, "GET", path, self.key(tenant))).json
            found.append((seen["totalOnline"], seen["connections"]))

        loop = asyncio.get_running_loop()
        until = loop.time() + FRESH
        while True:  # a count may be some milliseconds old
            found: list[tuple[int, int]] = []
            await told()
            if set(found) == {expected}:
                return
            assert loop.time() < until, f"{expected} are in {room}, not {found}"

    async def unharmed(self, tenant: Tenant) -> None:
        """Its lines are open and its key is good."""
        for one in self.lines[tenant.name]:
            assert not one.over.is_set() and one.closed is None, one.closed
            if one.speaks:
                assert "timestamp" in await one.ask("ping", {})
        answer = await self.call(tenant, "GET", "/users/nobody", self.key(tenant))
        assert answer.refused == (404, "person_unknown")

    async def move_out(self) -> None:
        for lines in self.lines.values():
            for one in lines:
                await one.drop()
