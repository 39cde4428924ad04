"""Tenants that are alike in everything but their secret text, and what each of them has been sent.

Every tenant has the same users, roles, sessions and topics. Whatever one of them owns holds its canary, a
text that nobody else may ever see; `Lookout` reads everything that is shown to anybody. `Tenant.sent` is what
the hub has accepted, so a test knows who should see what. Knows no transport.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import count
from typing import Any

TOPICS = ("jobs.hanoi", "jobs.hue")
_CANARY = re.compile(r"canary-([a-z0-9]+)-")


@dataclass(frozen=True)
class Person:
    """A user of one tenant; `id` `own` stands for somebody whose very name is the tenant's secret."""

    tenant: str
    id: str
    roles: tuple[str, ...]
    session: str

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms it is in wherever it comes."""
        roles = {f"role:{role}" for role in self.roles}
        return frozenset({f"user:{self.id}", f"tenant:{self.tenant}", f"session:{self.session}", *roles})

    @property
    def is_admin(self) -> bool:
        return "ADMIN" in self.roles


PEOPLE = (("42", ("CUSTOMER",), "s1"), ("1", ("ADMIN",), "s2"), ("7", ("CUSTOMER", "ADMIN"), "s1"))


@dataclass(frozen=True)
class Sent:
    """One event as it was accepted. `number` 0: its text holds none. `offset` 0: it is in no log."""

    number: int
    id: str
    offset: int
    type: str
    inbox: bool
    rooms: frozenset[str]
    exclude: frozenset[str]

    def is_for(self, rooms: Collection[str]) -> bool:
        return not self.rooms.isdisjoint(rooms) and self.exclude.isdisjoint(rooms)

    def is_shown(self, only: str) -> bool:
        """Whether a connection shows it that shows only this."""
        return self.inbox if only == "notifications" else not only or fnmatchcase(self.type, only)


@dataclass
class Tenant:
    """`cursors` are places in its log, oldest first; `mailed` says which notification a delivery is of."""

    name: str
    key: str = ""
    key_id: str = ""
    sent: list[Sent] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)
    mailed: dict[str, str] = field(default_factory=dict)
    removed: set[tuple[str, str]] = field(default_factory=set)  # user, notification
    read: set[tuple[str, str]] = field(default_factory=set)
    archived: set[tuple[str, str]] = field(default_factory=set)
    contact: str = ""
    _numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        own = Person(self.name, self.canary("zoe"), ("CUSTOMER",), "s1")
        self.people = (*(Person(self.name, *about) for about in PEOPLE), own)

    @property
    def admin(self) -> Person:
        return self.people[1]

    def canary(self, what: object) -> str:
        return f"canary-{self.name}-{what}"

    def number(self) -> int:
        return next(self._numbers)

    def room(self, name: str) -> str:
        """A room of this tenant by what it is called in all of them."""
        return {"tenant": f"tenant:{self.name}", "own": f"user:{self.people[3].id}"}.get(name, name)

    def accepted(self, answer: Any, number: int, **about: Any) -> Sent:
        """A 2xx was given."""
        offset = int(answer["cursor"].partition(":")[2]) if answer.get("cursor") else 0
        sent = Sent(number=number, id=answer["id"], offset=offset, **about)
        self.sent.append(sent)
        if offset:
            self.cursors.append(answer["cursor"])
        return sent

    def double(self, who: Person, other: Tenant) -> Person:
        """Who is in this tenant what `who` is in another."""
        return self.people[other.people.index(who)]

    def inbox(self, who: Person) -> list[str]:
        """What stands in a person's inbox, newest first."""
        stands = [one for one in self.sent if one.inbox and one.is_for(who.rooms)]
        return [one.id for one in reversed(stands) if (who.id, one.id) not in self.removed]

    def unread(self, who: Person) -> int:
        return sum((who.id, id) not in self.read | self.archived for id in self.inbox(who))

    def mark(self, who: Person, id: str, verb: str) -> None:
        """What the person has done with it."""
        one = {(who.id, id)}
        match verb:
            case "remove":
                self.removed |= one
            case "read":
                self.read |= one
            case "unread":
                self.read -= one
            case "archive":
                self.archived |= one
            case "unarchive":
                self.archived -= one

    def missed(self, rooms: Collection[str], cursor: str, only: str) -> set[int]:
        """The numbers of what somebody in these rooms has missed since."""
        after = int(cursor.partition(":")[2])
        missed = (one for one in self.sent if one.offset > after)
        return {one.number for one in missed if one.number and one.is_for(rooms) and one.is_shown(only)}


class Lookout:
    """Reads what is shown to somebody of a tenant, and writes down each secret of another one."""

    def __init__(self) -> None:
        self.leaks: list[str] = []
        self.looks = 0

    def look(self, tenant: str, where: str, *texts: str) -> None:
        """`tenant` empty: nobody's secret belongs there."""
        self.looks += 1
        for text in texts:
            for found in _CANARY.finditer(text):
                if found[1] != tenant:
                    around = text[max(0, found.start() - 200) : found.end() + 40]
                    self.leaks.append(
                        f"{where} of {tenant or 'nobody'} shows a secret of {found[1]}: {around!r}"
                    )

    def require_none(self) -> None:
        assert not self.leaks, "\n".join(self.leaks[:3])


def tenants(most: int) -> list[Tenant]:
    """So many, with names that no test has had before."""
    family = secrets.token_hex(3)
    return [Tenant(f"t{family}{letter}") for letter in "abcdefgh"[:most]]


def numbers(tenant: str, text: str, of: str) -> Iterable[int]:
    """The numbers in the tenant's canaries of one kind."""
    return map(int, re.findall(rf"canary-{tenant}-{of}(\d+)\b", text))
