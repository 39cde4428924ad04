"""A tenant's own words by REST on real hubs: in force everywhere, tried before they are, and never fatal."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.domain.delivery import Status
from hub.store.audit import Audit, Note
from hub.store.engine import Database
from hub.store.templates import Stored, TemplateRows
from tests.living import Living, Start

IN_APP = "/admin/templates/booking.created/inApp"
SMS = "/admin/templates/booking.created/sms"
WORDS = "{% block title %}Fresh booking{% endblock %}{% block message %}By {{ guestName }}{% endblock %}"


Answer = tuple[int, Any]


async def ask(hub: Living, method: str, path: str, *, tenant: str = "acme", **options: Any) -> Answer:
    headers = {"Authorization": f"Bearer {hub.token('1', 'ADMIN', tenant=tenant)}"}
    async with hub.http.request(method, path, headers=headers, **options) as answer:
        return answer.status, await answer.json(content_type=None)


async def put(hub: Living, path: str, source: str, **more: Any) -> dict[str, Any]:
    status, shape = await ask(hub, "PUT", path, json={"source": source, **more})
    assert status == 200, shape
    assert isinstance(shape, dict)
    return shape


async def title(hub: Living, tenant: str = "acme") -> tuple[str, str]:
    """What the in-app words of a booking are now."""
    answer = await hub.notify("booking.created", "user:42", tenant=tenant, data={"guestName": "Ana"})
    token = hub.token("42", tenant=tenant)
    _, shape = await hub.user("GET", f"/notifications/{answer['id']}", token)
    return shape["title"], shape["message"]


async def fault(hub: Living, source: str, path: str = SMS, **more: Any) -> str:
    status, problem = await ask(hub, "PUT", path, json={"source": source, **more})
    assert (status, problem["code"]) == (422, "validation_failed"), problem
    [found] = problem["errors"]
    assert found["field"] == "source"
    message: str = found["message"]
    return message


async def test_a_tenants_words_are_put_in_force_and_taken_back(living: Start) -> None:
    hub = await living()
    before = await title(hub)
    shape = await put(hub, IN_APP, WORDS)
    assert (shape["source"], shape["overridden"], shape["override"]["updatedBy"]) == (WORDS, True, "user:1")
    assert "guestName" in shape["default"]
    assert shape["warnings"] == ["without data: line 1: 'guestName' is undefined"]
    assert await title(hub) == ("Fresh booking", "By Ana")
    assert await title(hub, "globex") == before

    _, rows = await ask(hub, "GET", "/admin/templates")
    assert [(row["type"], row["channel"]) for row in rows if row["overridden"]] == [
        ("booking.created", "inApp")
    ]
    _, rows = await ask(hub, "GET", "/admin/templates", tenant="globex")
    assert not any(row["overridden"] for row in rows)

    assert (await ask(hub, "DELETE", IN_APP))[0] == 204
    assert await title(hub) == before
    status, problem = await ask(hub, "DELETE", IN_APP)
    assert (status, problem["code"]) == (404, "template_unknown")
    _, notes = await ask(hub, "GET", "/admin/audit")
    assert [(note["action"], note["target"]) for note in notes] == [
        ("template.delete", "booking.created/inApp"),
        ("template.put", "booking.created/inApp"),
    ]


@pytest.mark.parametrize("redis", [True, False], ids=["told", "found out"])
async def test_another_process_has_them_within_two_seconds(living: Start, redis: bool) -> None:
    settings: dict[str, Any] = {} if redis else {"redis_url": "redis://127.0.0.1:1/0"}
    here, there = await living(**settings), await living(**settings)
    for wanted in ("Fresh booking", "New booking"):
        if wanted == "Fresh booking":
            await put(here, IN_APP, WORDS)
        else:
            await ask(here, "DELETE", IN_APP)
        async with asyncio.timeout(20):
            while (await title(there))[0] != wanted:
                await asyncio.sleep(0.05)


async def test_the_nearest_language_is_shown_and_changed(living: Start) -> None:
    hub = await living()
    _, english = await ask(hub, "GET", "/admin/templates/checkin.reminder/sms")
    assert english["defaultName"] == "checkin.reminder/sms.j2"
    source = "{% block text %}Morgen {{ propertyName }}{% endblock %}"
    await put(hub, "/admin/templates/CHECKIN_REMINDER/sms", source, locale="de")
    _, german = await ask(hub, "GET", "/admin/templates/checkin.reminder/sms?locale=de-AT")
    assert (german["source"], german["defaultName"]) == (source, "checkin.reminder/sms.de.j2")
    _, vietnamese = await ask(hub, "GET", "/admin/templates/checkin.reminder/sms?locale=vi")
    assert (vietnamese["overridden"], vietnamese["defaultName"]) == (False, "checkin.reminder/sms.vi.j2")


async def test_what_cannot_work_is_refused_with_its_line(living: Start) -> None:
    hub = await living()
    good = "{% block text %}T{% endblock %}"
    assert await fault(hub, f"{good}\n\n{{% if %}}") == (
        "line 3: Expected an expression, got 'end of statement block'"
    )
    assert await fault(hub, "{% block txt %}{% endblock %}") == "needs the blocks text; there is no text"
    assert await fault(hub, "{% block text %}\n{{ nights }}{% endblock %}") == "line 2: 'nights' is undefined"
    assert "larger than" in await fault(hub, good + "x" * (32 << 10))
    assert "is empty" in await fault(hub, "  ")
    assert "'include' is not available" in await fault(hub, "{% block text %}{% include 'x' %}{% endblock %}")
    assert "subject, html, text" in await fault(hub, good, "/admin/templates/default/email")
    for path, code in (("/no type/sms", "type_unknown"), ("/test/pigeon", "validation_failed")):
        status, problem = await ask(hub, "PUT", f"/admin/templates{path}", json={"source": good})
        assert (status, problem["code"]) == (422, code)
    status, problem = await ask(hub, "PUT", SMS, json={"source": good, "locale": "xx"})
    assert (status, problem["errors"][0]["field"]) == (422, "locale")
    assert (await ask(hub, "GET", "/admin/templates"))[1][0]["overridden"] is False


async def test_a_tenant_has_only_so_many(living: Start) -> None:
    hub = await living(templates_per_tenant=1)
    await put(hub, IN_APP, WORDS)
    await put(hub, IN_APP, WORDS + "\n")
    body = {"source": "{% block text %}T{% endblock %}"}
    status, problem = await ask(hub, "PUT", SMS, json=body)
    assert (status, problem["code"]) == (409, "state_conflict")
    assert (await ask(hub, "DELETE", IN_APP))[0] == 204
    assert (await ask(hub, "PUT", SMS, json=body))[0] == 200


async def test_a_preview_shows_what_a_reader_would_get(living: Start) -> None:
    hub = await living()

    async def preview(status: int = 200, **body: Any) -> dict[str, Any]:
        found, shape = await ask(hub, "POST", "/admin/templates/preview", json=body)
        assert found == status, shape
        assert isinstance(shape, dict)
        return shape

    mail = await preview(type="booking.confirmed", channel="email", locale="de")
    assert mail["subject"] == "Ihre Buchung ist bestätigt!"
    assert "Anreise: 10. August 2015" in mail["text"]
    assert mail["html"].startswith("<!DOCTYPE html>")
    embed = (await preview(type="payment.failed", channel="discord"))["embed"]
    assert (embed["title"], embed["color"]) == ("Payment Failed", 0xFF0000)
    push = await preview(type="_digest", channel="webpush")
    assert push["title"] == "3 new notifications"
    source = WORDS.replace("guestName", "n")
    own = await preview(type="a.b", channel="inApp", data={"n": 3}, source=source)
    assert (own["title"], own["message"]) == ("Fresh booking", "By 3")
    wrong = await preview(422, type="a.b", channel="inApp", data={}, source=WORDS)
    assert wrong["errors"] == [{"field": "source", "message": "line 1: 'guestName' is undefined"}]
    assert (await title(hub))[0] == "New booking"


async def test_own_words_that_do_not_fit_an_event_give_way_to_the_hubs(
    living: Start, log_lines: io.StringIO
) -> None:
    hub = await living()
    blocks = {"subject": "For {{ guestName }}", "html": "<p>{{ guestName }}</p>", "text": "T"}
    source = "".join(f"{{% block {name} %}}{text}{{% endblock %}}" for name, text in blocks.items())
    await put(hub, "/admin/templates/booking.confirmed/email", source)
    for data in ({"guestName": "Ana"}, {"propertyName": "Sea Inn"}):
        answer = await hub.notify(
            "booking.confirmed", {"id": "42", "email": "ana@example.com"}, channels=["email"], data=data
        )
        [delivery] = answer["deliveries"]
        assert await hub.hub.deliver.send(delivery["id"]) is Status.SENT
    newest, older = await hub.hub.outbox.recent(limit=2)
    assert {newest.subject, older.subject} == {"For Ana", "Your Booking is Confirmed!"}
    [told] = [line for line in log_lines.getvalue().splitlines() if "template.passed_over" in line]
    assert "UndefinedError, line 1" in told
    assert "Sea Inn" not in told


async def test_both_databases_keep_them_in_order(database: Database) -> None:
    rows = TemplateRows(database)
    now = datetime(2026, 11, 20, 10, tzinfo=UTC)
    note = Note(tenant="acme", actor="user:1", action="template.put", at=now)

    def row(locale: str, source: str) -> Stored:
        named = {"tenant": "acme", "type": "t", "channel": "sms", "locale": locale}
        return Stored(**named, source=source, updated_at=now, updated_by="user:1")

    assert await rows.put(row("", ""), note=note) is None
    made = await asyncio.gather(*(rows.put(row(f"l{place}", "s"), note=note, most=5) for place in range(8)))
    assert sorted(stored.version for stored in made if stored) == [1, 2, 3, 4, 5]
    kept = [stored for stored in made if stored]
    again = await rows.put(row(kept[0].locale, ""), note=note)
    assert again is not None
    assert [(item.version, item.source) for item in await rows.since(4, limit=10)][-1] == (6, "")
    assert [item.version for item in await rows.since(5, limit=10)] == [6]
    assert len(await Audit(database).page("acme", limit=20)) == 6
