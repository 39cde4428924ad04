"""Rules of event types: a tenant's own by REST, in force everywhere; an operator's own from a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hub.app import build
from hub.choices import registry
from hub.domain.delivery import Status
from hub.settings import Settings, SettingsRefused
from tests.deliverers import World
from tests.integration.test_templates_own import ask
from tests.living import Ear, Living, Start

TYPE = "/admin/types/NEW_BOOKING"  # an alias of booking.created
RULES = {
    "channels": ["inApp"],
    "severity": "warning",
    "ttlDays": 3,
    "throttle": {"most": 2, "seconds": 600},
    "escalate": {"email": 600},
}


async def say(hub: Living, path: str = TYPE, *, tenant: str = "acme", **said: Any) -> Any:
    status, shape = await ask(hub, "PUT", path, tenant=tenant, json=said)
    assert status == 200, shape
    return shape


async def deliveries(hub: Living, type: str = "booking.created", **more: Any) -> list[tuple[str, str, Any]]:
    answer = await hub.notify(type, "user:42", **more)
    return [(one["channel"], one["status"], one.get("reason")) for one in answer["deliveries"]]


async def explained(hub: Living) -> list[tuple[str, str]]:
    """What would go outside."""
    rows = await hub.post("/notifications/explain", {"type": "booking.created", "to": "user:42", "data": {}})
    return [(row["channel"], row["status"]) for row in rows if row["channel"] != "inApp"]


async def known(hub: Living, tenant: str = "acme", **more: Any) -> None:
    await hub.post("/notifications", {"type": "test", "to": "user:1", "data": {}}, tenant=tenant)
    headers = {"X-API-Key": "hub_development_key_never_for_production", "X-Tenant-Id": tenant}
    async with hub.http.put(
        "/users/42", json={"email": "ana@example.org", **more}, headers=headers
    ) as answer:
        assert answer.status in (200, 201)


async def test_a_tenants_rules_are_put_in_force_and_taken_back(living: Start, url: str) -> None:
    hub = await living(database_url=url)
    await known(hub)
    await known(hub, "globex")
    assert await deliveries(hub) == []
    shape = await say(hub, **RULES)
    assert (shape["type"], shape["override"], shape["updatedBy"]) == ("booking.created", RULES, "user:1")
    assert shape["rules"] == {**shape["default"], **RULES}
    assert {name for name, who in shape["sources"].items() if who == "tenant"} == RULES.keys()
    assert await deliveries(hub) == [("email", "planned", None)]
    assert await deliveries(hub, tenant="globex") == []
    assert await explained(hub) == [("email", "planned")]
    _, [newest, *_] = await hub.user("GET", "/notifications", hub.token("42"))
    assert newest["severity"] == "warning"
    _, rows = await ask(hub, "GET", "/admin/types")
    assert [row["type"] for row in rows if row["overridden"]] == ["booking.created"]
    assert not any(row["overridden"] for row in (await ask(hub, "GET", "/admin/types", tenant="globex"))[1])
    # What is said anew is all that is said.
    shape = await say(hub, digest={"window": 60, "key": "hotel"})
    assert (shape["rules"]["severity"], shape["rules"]["digest"]["key"]) == ("info", "hotel")
    assert await deliveries(hub) == []
    assert (await ask(hub, "DELETE", TYPE))[0] == 204
    assert (await ask(hub, "GET", TYPE))[1]["rules"] == shape["default"]
    status, problem = await ask(hub, "DELETE", TYPE)
    assert (status, problem["code"]) == (404, "rules_unknown")
    _, notes = await ask(hub, "GET", "/admin/audit")
    assert [(note["action"], note["target"], note["details"]) for note in notes] == [
        ("type.delete", "booking.created", {}),
        ("type.put", "booking.created", {"fields": ["digest"]}),
        ("type.put", "booking.created", {"fields": sorted(RULES)}),
    ]


async def test_a_type_of_the_tenants_own_may_have_rules(living: Start) -> None:
    hub = await living()
    await known(hub)
    await say(hub, "/admin/types/shift.open", channels=["inApp", "email"], severity="critical")
    assert await deliveries(hub, "shift.open") == [("email", "planned", None)]
    _, rows = await ask(hub, "GET", "/admin/types")
    assert (rows[-1]["type"], rows[-1]["registered"], rows[-1]["default"]["channels"]) == (
        *("shift.open", False),
        ["inApp"],
    )
    strict = await living(custom_types=False)
    status, problem = await ask(strict, "PUT", "/admin/types/shift.close", json={"severity": "error"})
    assert (status, problem["code"]) == (422, "type_unknown")
    async with strict.http.post(
        "/notifications",
        json={"type": "shift.open", "to": "user:42", "data": {}},
        headers={"X-API-Key": "hub_development_key_never_for_production", "X-Tenant-Id": "acme"},
    ) as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (422, "type_unknown")


async def test_rules_hold_in_every_process_soon_and_for_a_new_one_at_once(living: Start, prefix: str) -> None:
    one, two = (
        await living(),
        await living(redis_prefix=f"{prefix}-apart"),
    )  # the second hears nothing of the first
    await known(one)
    await say(one, **RULES)
    async with asyncio.timeout(2.5):
        while not await explained(two):
            await asyncio.sleep(0.05)
    three = await living()
    assert await explained(three)
    assert (await ask(one, "DELETE", TYPE))[0] == 204
    async with asyncio.timeout(2.5):
        while await explained(two):
            await asyncio.sleep(0.05)


async def test_what_a_tenant_says_cannot_be_muted_is_shown_to_who_has_muted_it(living: Start) -> None:
    hub = await living()
    token, mute = hub.token("42"), {"types": {"booking.created": {"inApp": False, "email": False}}}
    path = "/notifications/preferences"
    await known(hub)
    assert (await hub.user("PATCH", path, token, json=mute))[0] == 200
    async with Ear(hub.url, token) as ear:
        await hub.notify("booking.created", "tenant:acme")
        await say(hub, mutable=False, channels=["inApp", "email"])
        assert await deliveries(hub) == [("email", "planned", None)]
        await ear.wait("booking.created")
        assert len(ear.all("notification:new")) == 1
        status, problem = await hub.user("PATCH", path, token, json=mute)
        assert (status, problem["errors"][0]["message"]) == (422, "cannot be muted")
        assert (await hub.user("PATCH", path, hub.token("42", tenant="globex"), json=mute))[0] == 200
        # And what a tenant lets be muted that the registry does not.
        await say(hub, "/admin/types/system.maintenance", mutable=True)
        off = {"types": {"system.maintenance": {"inApp": False}}}
        assert (await hub.user("PATCH", path, token, json=off))[0] == 200
        await hub.notify("system.maintenance", "tenant:acme")
        await hub.notify("system", "tenant:acme")
        await ear.wait("system")
        assert ear.all("system.maintenance") == []


async def test_a_rule_that_cannot_be_kept_is_refused_by_its_field(living: Start) -> None:
    hub = await living()
    said: Any
    for said, field in (
        ({"channels": ["fax"]}, "channels.0"),
        ({"channels": ["email", "email"]}, "channels"),
        ({"channels": None}, "channels"),
        ({"severity": "loud"}, "severity"),
        ({"mutable": "no"}, "mutable"),
        ({"ttlDays": 0}, "ttlDays"),
        ({"digest": {"window": 0}}, "digest.window"),
        ({"digest": {"key": "hotel"}}, "digest.window"),
        ({"throttle": {"most": 3}}, "throttle.seconds"),
        ({"escalate": {"inApp": 5}}, "escalate.inApp"),
        ({"escalate": {"email": 86_400_000}}, "escalate.email"),
        ({"wire": "booking"}, "wire"),
    ):
        status, problem = await ask(hub, "PUT", TYPE, json=said)
        assert (status, [one["field"] for one in problem["errors"]]) == (422, [field]), said
    assert (await ask(hub, "GET", TYPE))[1]["overridden"] is False


async def test_names_and_numbers_are_bounded(living: Start) -> None:
    hub = await living(types_per_tenant=1)
    await say(hub, severity="error")
    await say(hub, severity="info")
    status, problem = await ask(hub, "PUT", "/admin/types/system", json={"severity": "error"})
    assert (status, problem["code"]) == (409, "state_conflict")
    status, problem = await ask(hub, "PUT", "/admin/types/no%20name", json={"severity": "error"})
    assert (status, problem["code"]) == (422, "type_unknown")


async def test_a_tenants_rules_hold_when_something_is_about_to_leave(world: World) -> None:
    ids = [(await world.put("42"))[0] for _ in range(3)]
    await world.preferences.change("acme", "42", lambda _: {"email": False}, now=world.now)
    world.types.say("acme", "booking.confirmed", {"mutable": False, "throttle": {"most": 1, "seconds": 600}})
    for id in ids[:2]:
        await world.deliver().send(id)
    world.types.say("acme", "booking.confirmed", None)
    await world.deliver().send(ids[2])
    ends = [(one.status, (one.reason or "").partition(":")[0]) for one in await world.all(*ids)]
    assert ends == [(Status.SENT, ""), (Status.SKIPPED, "throttled"), (Status.SKIPPED, "muted")]


async def test_a_crowd_is_written_out_by_its_tenants_rules(living: Start) -> None:
    hub = await living()
    await known(hub, roles=["GUEST"])
    off = {"types": {"booking.created": {"email": False}}}
    assert (await hub.user("PATCH", "/notifications/preferences", hub.token("42"), json=off))[0] == 200
    await say(hub, mutable=False, channels=["inApp", "email"])
    await hub.notify("booking.created", "role:GUEST")
    await hub.hub.timers.sweep()
    _, rows = await ask(hub, "GET", "/admin/deliveries")
    assert [(row["userId"], row["status"] != "skipped", row["reason"]) for row in rows] == [
        ("42", True, None)
    ]


# -- an operator's file ----------------------------------------------------------------------------------
async def test_an_operators_file_adds_types_and_changes_those_that_come_along(
    living: Start, tmp_path: Path
) -> None:
    file = tmp_path / "types.toml"
    file.write_text(
        """
        ["room.cleaned"]
        aliases = ["ROOM_CLEANED"]
        channels = ["inApp", "email"]
        ttl_days = 2
        ["booking.created"]
        escalate = {email = 300}
        ["report.daily"]
        ttl_days = false
        """
    )
    hub = await living(types_file=str(file))
    await known(hub)
    assert await deliveries(hub, "ROOM_CLEANED") == [("email", "planned", None)]
    assert await deliveries(hub) == [("email", "planned", None)]
    await say(hub, "/admin/types/report.daily", severity="warning")
    for name, who in (
        ("booking.created", {"escalate": "file"}),
        ("report.daily", {"ttlDays": "file", "severity": "tenant"}),
        ("room.cleaned", {"channels": "file", "ttlDays": "file"}),
    ):
        _, shape = await ask(hub, "GET", f"/admin/types/{name}")
        assert {rule: by for rule, by in shape["sources"].items() if by != "hub"} == who
    types = registry(str(file))
    before = registry()
    assert types.types["booking.created"].aliases == before.types["booking.created"].aliases
    assert (types.types["report.daily"].ttl_days, types.types["room.cleaned"].ttl_days) == (None, 2)
    assert [*types.types] == [*before.types, "room.cleaned"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('["a.b"]\nescalate = {inApp = 3}', r"type 'a\.b': escalate\.inApp "),
        ('["a.b"]\ndigest = {window = "soon"}', r"type 'a\.b': digest\.window "),
        ('["a.b"]\nttl_days = 0', r"type 'a\.b': ttl_days "),
        ('["a.b"]\nchannel = ["email"]', r"type 'a\.b': channel "),
        ('["a b"]\nseverity = "info"', r"type 'a b': is not the name"),
        ('["disconnect"]\nseverity = "info"', r"type 'disconnect': is not the name"),
        ('["a.b"]\naliases = ["NEW_BOOKING"]', r"'booking\.created' and 'a\.b' share the name 'NEW_BOOKING'"),
        ("severity = 3", r"type 'severity': must be a table"),
        ("[", "cannot be read"),
    ],
)
async def test_a_file_that_cannot_be_followed_is_refused_at_the_start(
    tmp_path: Path, sqlite_url: str, text: str, said: str
) -> None:
    file = tmp_path / "types.toml"
    file.write_text(text)
    with pytest.raises(SettingsRefused, match=rf"HUB_TYPES_FILE: .*types\.toml: .*{said}"):
        await build(Settings(env="test", database_url=sqlite_url, types_file=str(file)))
    with pytest.raises(SettingsRefused, match=r"HUB_TYPES_FILE: .*nothing\.toml: cannot be read"):
        registry(str(tmp_path / "nothing.toml"))
