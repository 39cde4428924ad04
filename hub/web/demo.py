"""What the demo page needs in development: two hotels, people to be, and a booking at a press of a button.

The people and their mail addresses are made up. The table of routes keeps both handlers out of
production, because the first hands out tokens to whoever asks.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from aiohttp import web

from hub.domain.access import ADMIN, Principal
from hub.domain.drafts import Contact, Draft
from hub.domain.errors import ValidationFailed
from hub.web.answers import answer_bytes, answer_json
from hub.web.context import HUB
from hub.web.reading import read_json

TOKEN_SECONDS = 12 * 3600
GUEST = "CUSTOMER"
ROOMS = ("Room 4", "Room 12", "Room 17", "Suite 2", "Garden room", "Sea view 8")


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    role: str

    @property
    def email(self) -> str:
        return f"{self.id}@example.com"


@dataclass(frozen=True, slots=True)
class Hotel:
    id: str
    name: str
    people: tuple[Person, ...]

    @property
    def guests(self) -> tuple[Person, ...]:
        return tuple(person for person in self.people if person.role == GUEST)


HOTELS = (
    Hotel(
        "city-hotel",
        "City Hotel",
        (
            Person("marta", "Marta at the desk", ADMIN),
            Person("ana", "Ana Lopes", GUEST),
            Person("bruno", "Bruno Costa", GUEST),
        ),
    ),
    Hotel(
        "resort-hotel",
        "Resort Hotel",
        (
            Person("joao", "Joao at the desk", ADMIN),
            Person("clara", "Clara Nunes", GUEST),
            Person("david", "David Moss", GUEST),
        ),
    ),
)


async def demo(request: web.Request) -> web.Response:
    """`GET /dev/demo`: who one can be, with a token for each, and the key of a backend."""
    hub = request.app[HUB]
    tenants = [
        {
            "id": hotel.id,
            "name": hotel.name,
            "users": [
                {
                    "id": person.id,
                    "name": person.name,
                    "role": person.role,
                    "token": hub.tokens.issue(
                        Principal(tenant=hotel.id, user=person.id, roles=(person.role,)), TOKEN_SECONDS
                    ),
                }
                for person in hotel.people
            ],
        }
        for hotel in HOTELS
    ]
    return answer_json({"tenants": tenants, "apiKey": hub.options.development_key})


async def demo_booking(request: web.Request) -> web.Response:
    """`POST /dev/demo/booking` with `{tenant, type?, guest?}`: something happens to a made-up booking."""
    draft = draft_of(await read_json(request), chance=random.Random(), today=datetime.now(UTC).date())
    accepted = await request.app[HUB].ingest.accept(draft)
    return answer_bytes(accepted.body, status=202)


def draft_of(body: Any, *, chance: random.Random, today: date) -> Draft:
    """A booking of the named hotel and guest, sent to the guest and the desk. Raises `ValidationFailed`."""
    asked = body if isinstance(body, dict) else {}
    hotel = next((hotel for hotel in HOTELS if hotel.id == asked.get("tenant")), None)
    if hotel is None:
        raise _wrong("tenant", f"one of {', '.join(hotel.id for hotel in HOTELS)}")
    name = asked.get("guest", hotel.guests[0].id)
    guest = next((guest for guest in hotel.guests if guest.id == name), None)
    if guest is None:
        raise _wrong("guest", f"one of {', '.join(guest.id for guest in hotel.guests)}")
    kind = asked.get("type", "booking.created")
    if not isinstance(kind, str):
        raise _wrong("type", "the name of an event type")
    return Draft(
        tenant=hotel.id,
        type=kind,
        to=(f"user:{guest.id}", f"role:{ADMIN}"),
        contact=Contact(user=guest.id, email=guest.email),
        data=_booking(hotel, guest, kind, chance, today),
        channels=("inApp", "email"),
    )


def _booking(hotel: Hotel, guest: Person, kind: str, chance: random.Random, today: date) -> dict[str, Any]:
    days = 1 if kind == "checkin.reminder" else chance.randint(2, 60)
    arrival, nights = today + timedelta(days=days), chance.randint(1, 7)
    price = nights * chance.randint(60, 180)
    return {
        "bookingId": f"{chance.randrange(16**8):08x}",
        "guestName": guest.name,
        "propertyName": hotel.name,
        "roomName": chance.choice(ROOMS),
        "checkIn": arrival.isoformat(),
        "checkOut": (arrival + timedelta(days=nights)).isoformat(),
        "totalPrice": price,
        "amount": price,
        "currency": "EUR",
        "method": "card",
    }


def _wrong(field: str, expected: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"field": field, "message": f"must be {expected}"}])
