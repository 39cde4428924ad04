"""Who a request is for: every form of `to`, as room names of one tenant, at most one contact and one circle.

A room is `user:42`, `role:ADMIN`, `tenant:acme`, `session:s1` or `topic:jobs`. A person may be given as an
object instead, with the addresses to remember; and whoever is near a place, who is looked for later. Faults
are collected, so that a sender sees them all.
"""

from __future__ import annotations

from typing import Any

from hub.domain.access import require_room
from hub.domain.drafts import Contact
from hub.domain.errors import RoomInvalid
from hub.domain.geo import Near
from hub.web.fields import Addressee, Faults, read
from hub.web.places import near

_FORMS = "must be a room, a list of rooms, a user object with an id, or an object with near"
_NO_PERSONS = "must be a room, such as user:42, or an object with near"


class Audience:
    """What `to` came to: `rooms`, each once and in order, and the `contact` and the circle `near` given with
    them. `persons` False: a user object makes no sense here.
    """

    def __init__(
        self, tenant: str, faults: Faults, *, max_rooms: int, max_radius: float = 0, persons: bool = True
    ) -> None:
        self.contact: Contact | None = None
        self.near: Near | None = None
        self._tenant = tenant
        self._faults = faults
        self._max_rooms = max_rooms
        self._max_radius = max_radius
        self._persons = persons
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
        elif isinstance(item, dict) and "near" in item:
            self._add_near(item, field)
        elif not isinstance(item, dict) or not self._persons:
            self._faults.add(field, _FORMS if self._persons else _NO_PERSONS)
        elif (person := read(Addressee, item, self._faults, prefix=field)) is not None:
            self.add_person(person, field)

    def _add_near(self, item: Any, field: str) -> None:
        if self.near is not None:
            self._faults.add(field, "is a second place: one request can be near one")
            return
        self.near = near(item, self._faults, field, max_radius=self._max_radius)

    def _add_room(self, name: str, field: str) -> None:
        try:
            self._rooms[require_room(self._tenant, name)] = None
        except RoomInvalid as fault:
            self._faults.add(field, f"is {fault.detail}")


def rooms(names: Any, field: str, tenant: str, faults: Faults, *, max_rooms: int) -> tuple[str, ...]:
    """A list of rooms where persons and places make no sense (`exclude`)."""
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
