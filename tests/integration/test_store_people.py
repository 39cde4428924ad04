"""People, API keys and scheduled drafts: small tables, each with one promise that matters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import pytest
import pytest_asyncio
from sqlalchemy import select

from hub.domain.access import ApiKey
from hub.domain.drafts import Contact, Draft, IdempotencyKey
from hub.domain.errors import IdempotencyConflict, StateConflict, ValidationFailed
from hub.domain.geo import Near
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.keys import ApiKeys
from hub.store.people import People
from hub.store.scheduled import Scheduled
from hub.store.tables import api_keys
from hub.store.trips import Found, Statement
from tests.appends import NOW, an_append, an_event, new_id

LATER = NOW + timedelta(hours=1)

ANA = Contact(
    user="ana",
    email="ana@example.com",
    phone="+351910000000",
    locale="pt-PT",
    timezone="Europe/Lisbon",
    roles=("STAFF", "ADMIN"),
    discord_webhook="https://discord.example/hook",
)


@pytest.fixture
def people(database: Database) -> People:
    return People(database)


# -- people ------------------------------------------------------------------------------------------


async def test_a_person_comes_back_as_put(people: People) -> None:
    person = await people.put("acme", ANA, now=NOW)
    assert person == await people.get("acme", "ana")
    assert (person.tenant, person.id, person.email, person.phone) == ("acme", "ana", ANA.email, ANA.phone)
    assert (person.locale, person.timezone) == ("pt-PT", "Europe/Lisbon")
    assert (person.discord_webhook, person.roles) == (ANA.discord_webhook, ("ADMIN", "STAFF"))
    assert (person.created_at, person.updated_at) == (NOW, NOW)


async def test_what_is_not_mentioned_stays_as_it_is(people: People) -> None:
    before = await people.put("acme", ANA, now=NOW)
    after = await people.put("acme", Contact(user="ana", phone="+1"), now=LATER)
    assert after == replace(before, phone="+1", updated_at=LATER)


async def test_an_empty_field_is_removed(people: People) -> None:
    await people.put("acme", ANA, now=NOW)
    person = await people.put("acme", Contact(user="ana", email="", roles=()), now=NOW)
    assert (person.email, person.roles, person.phone) == (None, (), ANA.phone)


async def test_people_are_their_tenants_own(people: People) -> None:
    await people.put("acme", ANA, now=NOW)
    assert await people.get("globex", "ana") is None
    assert not await people.delete("globex", "ana")
    assert await people.with_role("globex", "ADMIN", after="", limit=10) == []


async def test_many_are_put_in_the_order_they_are_named(people: People) -> None:
    contacts = [
        Contact(user="zoe", email="1@x"),
        Contact(user="bob"),
        Contact(user="zoe", email="2@x", phone="5"),
    ]
    found = await people.put_many("acme", contacts, now=NOW)
    assert [(person.id, person.email, person.phone) for person in found] == [
        ("zoe", "2@x", "5"),
        ("bob", None, None),
        ("zoe", "2@x", "5"),
    ]
    assert set(await people.get_many("acme", ["zoe", "bob", "nobody"])) == {"zoe", "bob"}
    assert await people.put_many("acme", [], now=NOW) == []
    assert await people.get_many("acme", []) == {}


async def test_addresses_are_those_of_the_users_that_are_known(people: People) -> None:
    await people.put_many(
        "acme",
        [Contact(user="zoe", email="z@x", phone=""), Contact(user="bob", discord_webhook="w")],
        now=NOW,
    )
    await people.put("globex", Contact(user="zoe", email="other@x"), now=NOW)
    found = await people.addresses("acme", ["zoe", "bob", "nobody"])
    nothing = ((), None, None, None)  # no browser, and nothing said of when and whether
    assert found == {"zoe": ("z@x", None, None, *nothing), "bob": (None, None, "w", *nothing)}
    assert await people.addresses("acme", []) == {}


async def test_many_who_ask_for_addresses_at_once_share_reads(
    people: People, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"u{number}" for number in range(50)]
    await people.put_many("acme", [Contact(user=name, email=f"{name}@x") for name in names], now=NOW)
    reads = 0
    fetch = database.fetch

    async def counted(statements: Sequence[Statement], *, timeout: float | None = None) -> list[Found]:
        nonlocal reads
        reads += 1
        return await fetch(statements, timeout=timeout)

    monkeypatch.setattr(database, "fetch", counted)
    found = await asyncio.gather(*(people.addresses("acme", [name]) for name in names))
    assert [each[name].email for each, name in zip(found, names, strict=True)] == [f"{n}@x" for n in names]
    assert reads <= 2


async def test_pages_of_people_cover_everyone_once(people: People) -> None:
    contacts = [
        Contact(user=f"u{number:02}", roles=("STAFF",) if number % 2 else ("STAFF", "ADMIN"))
        for number in range(23)
    ]
    await people.put_many("acme", contacts, now=NOW)
    seen, after = [], ""
    while page := await people.everyone("acme", after=after, limit=5):
        seen += [person.id for person in page]
        after = page[-1].id
    assert seen == [contact.user for contact in contacts]
    admins = await people.with_role("acme", "ADMIN", after="u04", limit=3)
    assert [person.id for person in admins] == ["u06", "u08", "u10"]
    assert admins[0].roles == ("ADMIN", "STAFF")


async def test_a_forgotten_person_has_no_role_any_more(people: People) -> None:
    await people.put("acme", ANA, now=NOW)
    assert await people.delete("acme", "ana")
    assert not await people.delete("acme", "ana")
    assert await people.with_role("acme", "ADMIN", after="", limit=10) == []
    assert (await people.put("acme", Contact(user="ana"), now=NOW)).roles == ()


async def test_the_same_people_put_at_once_do_not_block_each_other(people: People) -> None:
    contacts = [Contact(user=f"u{number}", email=f"{number}@x", roles=("A",)) for number in range(20)]
    await asyncio.gather(
        *(people.put_many("acme", contacts[:: 1 if turn % 2 else -1], now=NOW) for turn in range(8))
    )
    assert len(await people.with_role("acme", "A", after="", limit=100)) == 20


# -- keys --------------------------------------------------------------------------------------------


async def test_a_key_is_found_by_its_secret_alone(database: Database) -> None:
    keys = ApiKeys(database)
    key, secret = await keys.create("acme", ["notify", "read"], "billing", now=NOW)
    assert await keys.find(secret) == key == ApiKey(key.id, "acme", frozenset({"notify", "read"}))
    assert secret.startswith("hub_")
    assert len(secret) > 40
    for wrong in ("", "hub_", secret[:-1], secret + "a", secret.upper(), "\ud800"):
        assert await keys.find(wrong) is None


async def test_no_column_holds_the_secret(database: Database) -> None:
    _, secret = await ApiKeys(database).create(None, ["admin"], None, now=NOW)
    async with database.read() as conn:
        [row] = (await conn.execute(select(api_keys))).all()
    assert not any(secret[12:] in str(value) for value in row)
    assert secret.startswith(row.prefix)


async def test_a_revoked_key_is_not_found_but_listed(database: Database) -> None:
    keys = ApiKeys(database)
    key, secret = await keys.create("acme", ["notify"], "billing", now=NOW)
    assert not await keys.revoke("globex", key.id, now=NOW)
    assert not await keys.revoke(None, key.id, now=NOW)
    assert await keys.revoke("acme", key.id, now=NOW)
    assert not await keys.revoke("acme", key.id, now=LATER)
    assert await keys.find(secret) is None
    [entry] = await keys.list("acme")
    assert (entry.key, entry.name, entry.revoked_at, entry.shown) == (key, "billing", NOW, secret[:12])


async def test_lists_hold_one_tenants_keys_or_the_platforms(database: Database) -> None:
    keys = ApiKeys(database)
    made = {
        tenant: (await keys.create(tenant, ["read"], None, now=NOW))[0] for tenant in ("acme", "globex", None)
    }
    for tenant, key in made.items():
        assert [entry.key for entry in await keys.list(tenant)] == [key]


async def test_a_known_secret_is_ensured_once(database: Database) -> None:
    keys = ApiKeys(database)
    for name in ("first", "second"):
        await keys.ensure("hub_development", "acme", ["notify"], name, now=NOW)
    [entry] = await keys.list("acme")
    assert entry.name == "first"
    assert await keys.find("hub_development") == entry.key


# -- scheduled drafts --------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def log(database: Database) -> AsyncIterator[EventLog]:
    log = EventLog(database, clock=lambda: NOW)
    await log.open()
    await log.tenant("acme", create=True)
    yield log
    await log.close()


DRAFT = Draft(
    tenant="acme",
    type="booking.reminder",
    to=("user:7", "role:ADMIN"),
    contact=ANA,
    title="Tomorrow",
    data=MappingProxyType({"bookingId": "17", "nights": [1, 2]}),
    channels=("inApp", "email"),
    send_at=LATER,
    expires_at=LATER + timedelta(days=1),
    exclude=("user:9",),
    actor="user:9",
)


async def test_a_draft_comes_back_as_it_was_accepted(log: EventLog, database: Database) -> None:
    scheduled, id, plain, there = Scheduled(database), new_id(), new_id(), new_id()
    near = Near(21.0285, 105.8542, 500, "PROFESSIONAL")
    simple = Draft(tenant="acme", type="test", to=("user:7",), send_at=LATER, contact=Contact(user="7"))
    assert await scheduled.add(id, DRAFT, key=None, answer=b"{}", now=NOW) == (b"{}", False)
    await scheduled.add(plain, simple, key=None, answer=b"{}", now=NOW)
    await scheduled.add(there, replace(simple, near=near), key=None, answer=b"{}", now=NOW)
    waiting = await scheduled.get(id, tenant="acme")
    assert waiting is not None
    assert (waiting.id, waiting.send_at, waiting.created_at) == (id, LATER, NOW)
    assert waiting.draft == replace(DRAFT, data=dict(DRAFT.data))
    found = await scheduled.get(plain, tenant="acme")
    assert found is not None
    assert found.draft == simple
    placed = await scheduled.get(there, tenant="acme")
    assert placed is not None
    assert placed.draft == replace(simple, near=near)
    assert await scheduled.get(id, tenant="globex") is None


async def test_drafts_are_due_in_order_and_stay_until_removed(log: EventLog, database: Database) -> None:
    scheduled, made = Scheduled(database), [new_id() for _ in range(4)]
    for id, hours in zip(made, (3, 1, 2, 9), strict=True):
        draft = replace(DRAFT, send_at=NOW + timedelta(hours=hours))
        await scheduled.add(id, draft, key=None, answer=b"", now=NOW)
    now = NOW + timedelta(hours=3)
    for _ in range(2):
        due = await scheduled.take_due(now, limit=10)
        assert [waiting.id for waiting in due] == [made[1], made[2], made[0]]
    assert [waiting.id for waiting in await scheduled.take_due(now, limit=1)] == [made[1]]
    assert not await scheduled.remove(made[1], tenant="globex")
    assert await scheduled.remove(made[1], tenant="acme")
    assert not await scheduled.remove(made[1], tenant="acme")
    assert [waiting.id for waiting in await scheduled.take_due(now, limit=10)] == [made[2], made[0]]


async def test_a_draft_that_is_sent_twice_is_one_event(log: EventLog, database: Database) -> None:
    id = new_id()
    await log.append(an_append(an_event(id=id)))
    with pytest.raises(StateConflict):
        await log.append(an_append(an_event(id=id)))
    assert len(await log.range("acme", 0, 10, limit=10)) == 1


async def test_of_drafts_with_one_collapse_key_one_stays_and_others_for_whom_they_alone_reach(
    log: EventLog, database: Database
) -> None:
    scheduled, place = Scheduled(database), new_id()
    plain = Draft(tenant="acme", type="test", to=("user:7",), send_at=LATER, collapse_key="k")
    there = replace(plain, near=Near(21.0285, 105.8542, 500))
    await scheduled.add(place, there, key=None, answer=b"", now=NOW)
    await asyncio.gather(*(scheduled.add(new_id(), plain, key=None, answer=b"", now=NOW) for _ in range(10)))
    waiting = {one.id: one.draft for one in await scheduled.take_due(LATER, limit=100)}
    assert waiting.pop(place).to == ()
    assert [draft.to for draft in waiting.values()] == [("user:7",)]


async def test_a_key_schedules_once_and_is_the_logs_key_too(log: EventLog, database: Database) -> None:
    scheduled, key = Scheduled(database), IdempotencyKey("k", "print")
    answers = await asyncio.gather(
        *(scheduled.add(new_id(), DRAFT, key=key, answer=f"{n}".encode(), now=NOW) for n in range(20))
    )
    assert len({answer for answer, _ in answers}) == 1
    assert [replayed for _, replayed in answers].count(False) == 1
    assert len(await scheduled.take_due(LATER, limit=100)) == 1
    with pytest.raises(IdempotencyConflict):
        await scheduled.add(new_id(), DRAFT, key=IdempotencyKey("k", "other"), answer=b"", now=NOW)
    again = await log.append(an_append(key=key))
    assert (again.replayed, again.answer) == (True, answers[0][0])


async def test_one_key_at_two_doors_at_once_gives_one_answer(log: EventLog, database: Database) -> None:
    scheduled = Scheduled(database)
    for number in range(10):
        key = IdempotencyKey(f"k{number}", "print")
        (answer, _), appended = await asyncio.gather(
            scheduled.add(new_id(), DRAFT, key=key, answer=b"later", now=NOW), log.append(an_append(key=key))
        )
        assert answer == appended.answer


async def test_a_draft_that_cannot_be_kept_is_refused(log: EventLog, database: Database) -> None:
    scheduled = Scheduled(database)
    with pytest.raises(ValidationFailed):
        await scheduled.add(new_id(), replace(DRAFT, data={"x": object()}), key=None, answer=b"", now=NOW)
    with pytest.raises(ValueError, match="send_at"):
        await scheduled.add(new_id(), replace(DRAFT, send_at=None), key=None, answer=b"", now=NOW)
    assert await scheduled.take_due(LATER, limit=10) == []
