"""Who a request is for: every form of `to`, as room names of one tenant and at most one contact.

A room is `user:42`, `role:ADMIN`, `tenant:acme`, `session:s1` or `topic:jobs`. A person may be given as an
object instead, with the addresses to remember. Faults are collected, so that a sender sees them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.domain.access import Room
from hub.domain.drafts import Contact
from hub.domain.errors import RoomInvalid
from hub.web.fields import Addressee, Faults, read

_FORMS = "must be a room, a list of rooms, or a user object with an id"


class Audience:
    """What `to` came to: `rooms`, each once and in order, and the `contact` that was given with them."""

    def __init__(self, tenant: str, faults: Faults, *, max_rooms: int) -> None:
        self.contact: Contact | None = None
        self._tenant = tenant
        self._faults = faults
        self._max_rooms = max_rooms
        self._rooms: dict[str, None] = {}

    @property
    def rooms(self) -> tuple[str, ...]:
        return tuple(self._rooms)

    def add(self, to: Any, field: str = "to") -> None:
        """Take in the value of `to`: one, or a list."""
        if not isinstance(to, list):
            self._add_one(to, field)
        elif not to:
            self._faults.add(field, "must name at least one room")
        elif len(to) > self._max_rooms:
            self._faults.add(field, f"may name at most {self._max_rooms} rooms, not {len(to)}")
        else:
            for place, item in enumerate(to):
                self._add_one(item, f"{field}.{place}")

    def add_person(self, person: Addressee, field: str) -> None:
        """Take in a user object; its addresses are remembered."""
        if self.contact is not None and self.contact.user != person.id:
            self._faults.add(field, "is a second user object: use PUT /users/batch for the others")
            return
        self.contact = Contact(user=person.id, email=person.email, phone=person.phone)
        self._add_room(f"user:{person.id}", field)

    def _add_one(self, item: Any, field: str) -> None:
        if isinstance(item, str):
            self._add_room(item, field)
        elif not isinstance(item, Mapping):
            self._faults.add(field, _FORMS)
        elif "near" in item:
            self._faults.add(f"{field}.near", "is not supported: audiences are rooms and users, not places")
        elif (person := read(Addressee, item, self._faults, prefix=field)) is not None:
            self.add_person(person, field)

    def _add_room(self, name: str, field: str) -> None:
        try:
            self._rooms[str(Room.parse(self._tenant, name))] = None
        except RoomInvalid as fault:
            self._faults.add(field, f"is {fault.detail}")


def rooms(names: Any, field: str, tenant: str, faults: Faults, *, max_rooms: int) -> tuple[str, ...]:
    """A list of rooms where persons and places make no sense (`exclude`, the `to` of `POST /events`)."""
    found = names if isinstance(names, list) else [names]
    audience = Audience(tenant, faults, max_rooms=max_rooms)
    wrong = [place for place, name in enumerate(found) if not isinstance(name, str)]
    for place in wrong:
        faults.add(
            f"{field}.{place}" if isinstance(names, list) else field, "must be a room, such as user:42"
        )
    if not wrong:
        audience.add(names, field)
    return audience.rooms
