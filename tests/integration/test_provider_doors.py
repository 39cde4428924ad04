"""The doors at which providers knock, over HTTP: what is signed is told live, the rest to nobody."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from hub.domain.delivery import Call, Status, Step
from hub.simulator import resend, sendgrid, signing, twilio
from hub.simulator.twin import Callback
from hub.store.deliveries import Deliveries
from hub.store.tables import deliveries
from tests.living import Ear, Living, Start

PUBLIC = "https://hub.example.com/base"
KEYS = {
    "public_url": PUBLIC,
    "twilio_auth_token": twilio.TOKEN,
    "sendgrid_webhook_key": signing.SENDGRID_PUBLIC_KEY,
    "resend_webhook_secret": signing.RESEND_SECRET,
}


async def delivery(
    hub: Living, provider: str, channel: str = "email", tenant: str = "acme"
) -> tuple[str, str]:
    """One that `provider` took as `its-id`; its id and the notification's."""
    contact = {"id": "42", "email": "ana@example.com", "phone": "+15005550010"}
    made = await hub.notify("system", contact, channels=["email"], tenant=tenant)
    [planned] = made["deliveries"]
    id, work, now = planned["id"], Deliveries(hub.hub.db), datetime.now(UTC)
    async with hub.hub.db.write() as conn:
        await conn.execute(update(deliveries).where(deliveries.c.id == id).values(channel=channel))
    claim = await work.claim(id, now=datetime.now(UTC), lease=30)
    assert claim is not None
    await work.start_call(id, claim.fence, provider=provider, now=now)
    call = Call(number=1, outcome="sent", duration_ms=1)
    await work.advance(id, claim.fence, Step(status=Status.SENT, provider_id="its-id", call=call), now=now)
    return id, made["id"]


async def knock(hub: Living, callback: Callback, **headers: str) -> tuple[int, str]:
    path = callback.url.removeprefix(PUBLIC)
    async with hub.http.post(path, data=callback.body, headers={**callback.headers, **headers}) as answer:
        shape = await answer.json(content_type=None) if answer.status != 204 else {}
        return answer.status, shape.get("code", "")


def from_twilio(id: str, state: str) -> Callback:
    fields = {"MessageSid": "its-id", "MessageStatus": state}
    return twilio.signed(f"{PUBLIC}/providers/twilio/status?delivery={id}", fields)


def from_sendgrid(id: str, event: str, at: float | None = None) -> Callback:
    now = time.time() if at is None else at
    said = {"event": event, "delivery": id, "timestamp": int(now), "sg_message_id": "its-id.filter"}
    return sendgrid.signed(f"{PUBLIC}/providers/sendgrid/events", [said], now)


def from_resend(id: str, event: str, at: float | None = None) -> Callback:
    now = time.time() if at is None else at
    said = {"type": event, "data": {"email_id": "its-id", "tags": {"delivery": id}}}
    return resend.signed(f"{PUBLIC}/providers/resend/events", "msg_1", said, now)


DOORS: list[tuple[str, str, Any, str, str]] = [
    ("twilio", "sms", from_twilio, "delivered", "read"),
    ("sendgrid", "email", from_sendgrid, "delivered", "open"),
    ("resend", "email", from_resend, "email.delivered", "email.opened"),
]


@pytest.mark.parametrize(("provider", "channel", "make", "delivered", "opened"), DOORS)
async def test_what_a_provider_says_is_live_on_the_persons_and_the_admins_screens(
    living: Start, provider: str, channel: str, make: Any, delivered: str, opened: str
) -> None:
    asked, told = await living(**KEYS), await living(**KEYS)  # one process hears of it, another one shows it
    id, notification = await delivery(asked, provider, channel)
    async with (
        Ear(told.url, told.token("42")) as person,
        Ear(told.url, told.token("1", "ADMIN")) as admin,
        Ear(told.url, told.token("43", "CUSTOMER")) as other,
        Ear(told.url, told.token("42", "ADMIN", tenant="globex")) as foreign,
    ):
        for number, word, status in ((1, delivered, "delivered"), (2, opened, "opened")):
            assert await knock(asked, make(id, word)) == (204, "")
            for ear in (person, admin):
                update = await ear.wait("delivery:update", count=number)
                assert update["status"] == status
                assert (update["id"], update["notificationId"], update["userId"]) == (id, notification, "42")
                assert (update["provider"], update["channel"], update["error"]) == (provider, channel, None)
        assert await knock(asked, make(id, delivered)) == (204, "")  # out of order, and a second time
        status, steps = await told.user("GET", f"/notifications/{notification}/timeline", told.token("42"))
        assert [step["step"] for step in steps] == ["planned", "attempt", "sent", "delivered", "opened"]
        await told.notify("system", "tenant:acme")
        await told.notify("system", "tenant:globex", tenant="globex")
        for ear in (other, foreign):
            await ear.wait("notification:new")
            assert ear.all("delivery:update") == []
        assert len(person.all("delivery:update")) == 2
    assert asked.hub.callbacks.counts == {
        (provider, "moved"): 2,
        (provider, "idle"): 1,
        (provider, "unknown"): 0,
    }


@pytest.mark.parametrize(("provider", "channel", "make", "delivered", "opened"), DOORS)
async def test_what_is_forged_or_old_is_not_believed(
    living: Start, provider: str, channel: str, make: Any, delivered: str, opened: str
) -> None:
    hub = await living(**KEYS)
    id, _ = await delivery(hub, provider, channel)
    other, _ = await delivery(hub, provider, channel, tenant="globex")
    good = make(id, delivered)
    signature = next(name for name in good.headers if name.lower().endswith("signature"))
    forged = [(good, {signature: "nonsense"}), (good, {signature: make(other, delivered).headers[signature]})]
    if provider != "twilio":
        forged.append((make(id, delivered, time.time() - 400), {}))
    for callback, headers in forged:
        assert await knock(hub, callback, **headers) == (403, "signature_invalid")
    async with hub.http.post(good.url.removeprefix(PUBLIC), data=b"") as answer:
        assert answer.status == 403
    async with hub.http.post(good.url.removeprefix(PUBLIC), data=io.BytesIO(b"x" * (2 << 20))) as answer:
        assert answer.status == 413
    found = [await status_of(hub, one) for one in (id, other)]
    assert found == [Status.SENT, Status.SENT]
    nobodys = make("01KQD5X7M4J8Y3T2R6W9P0ZBCD", delivered)
    assert (await knock(hub, make(other, opened)))[0] == 204  # of its own tenant, by its own id
    assert [await status_of(hub, one) for one in (id, other)] == [Status.SENT, Status.OPENED]
    assert hub.hub.callbacks.counts[provider, "refused"] == len(forged) + 1
    assert (await knock(hub, nobodys))[0] == 204
    page, _ = await hub.hub.metrics()
    assert f'hub_callbacks_received_total{{outcome="refused",provider="{provider}"}}'.encode() in page


async def status_of(hub: Living, id: str) -> Status:
    async with hub.hub.db.read() as conn:
        found = await conn.execute(deliveries.select().where(deliveries.c.id == id))
    return Status(found.one().status)


async def test_without_a_key_nothing_is_believed(living: Start) -> None:
    hub = await living()
    id, _ = await delivery(hub, "sendgrid")
    for make, word in ((from_twilio, "delivered"), (from_sendgrid, "delivered"), (from_resend, "email.sent")):
        assert await knock(hub, make(id, word)) == (404, "not_configured")
    assert await status_of(hub, id) is Status.SENT


async def test_a_key_that_is_none_is_refused_at_start(living: Start) -> None:
    from hub.settings import SettingsRefused

    with pytest.raises(SettingsRefused, match="HUB_SENDGRID_WEBHOOK_KEY"):
        await living(sendgrid_webhook_key="not a key")
