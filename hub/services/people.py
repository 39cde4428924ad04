"""What backends tell the hub about people: where they can be reached, and in which words.

A contact is partial: what is not said stays as it is. This file does not know who is online.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from hub.domain.drafts import Contact
from hub.domain.errors import PersonUnknown
from hub.services.wire import iso
from hub.store.people import People, Person


def shape(person: Person) -> dict[str, Any]:
    """A person as REST shows it."""
    return {
        "id": person.id,
        "email": person.email,
        "phone": person.phone,
        "locale": person.locale,
        "timezone": person.timezone,
        "roles": list(person.roles),
        "discordWebhook": person.discord_webhook,
        "createdAt": iso(person.created_at),
        "updatedAt": iso(person.updated_at),
    }


class PeopleService:
    def __init__(
        self,
        people: People,
        *,
        tenant: Callable[[str], Awaitable[None]],
        forget: Callable[[str, str], Awaitable[None]],
        clock: Callable[[], datetime],
    ) -> None:
        self._people = people
        self._require_tenant = tenant
        self._forget = forget
        self._clock = clock

    async def put(self, tenant: str, contact: Contact) -> dict[str, Any]:
        """Create or change one person; the person as it stands now."""
        return (await self.put_many(tenant, [contact]))[0]

    async def put_many(self, tenant: str, contacts: Sequence[Contact]) -> list[dict[str, Any]]:
        """All of them, in one transaction."""
        await self._require_tenant(tenant)
        people = await self._people.put_many(tenant, contacts, now=self._clock())
        return [shape(person) for person in people]

    async def get(self, tenant: str, user: str) -> dict[str, Any]:
        """Raises `PersonUnknown`."""
        person = await self._people.get(tenant, user)
        if person is None:
            raise PersonUnknown(f"nobody with the id {user[:128]!r}")
        return shape(person)

    async def delete(self, tenant: str, user: str) -> None:
        """Forget the contact and where the person is. Raises `PersonUnknown`."""
        await self._forget(tenant, user)
        if not await self._people.delete(tenant, user):
            raise PersonUnknown(f"nobody with the id {user[:128]!r}")
