"""`hub key`, `hub tenant`, `hub migrate`: what they store is what the hub reads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.domain.access import ApiKey
from hub.settings import Settings
from hub.store.engine import Database
from hub.store.events import EventLog
from hub.store.keys import ApiKeys
from hub.store.tenants import Tenants
from tests.commands import Command

PRODUCTION = {
    "HUB_ENV": "production",
    "JWT_SECRET": "x" * 32,
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "EMAIL_HOST": "localhost",
}


def found(secret: str) -> ApiKey | None:
    """The key that a hub with these settings would find."""

    async def find() -> ApiKey | None:
        database = await Database.open(Settings().database)
        try:
            return await ApiKeys(database).find(secret)
        finally:
            await database.close()

    return asyncio.run(find())


def has_tenant(name: str) -> bool:
    async def look() -> bool:
        database = await Database.open(Settings().database)
        try:
            return name in await EventLog(database).positions([name])
        finally:
            await database.close()

    return asyncio.run(look())


def retention_of(name: str) -> int | None:
    async def look() -> int | None:
        database = await Database.open(Settings().database)
        try:
            found = {one.id: one.retention_days for one in await Tenants(database).page(limit=9, after="")}
            return found[name]
        finally:
            await database.close()

    return asyncio.run(look())


def test_a_key_is_printed_once_and_found_by_the_hub(hub: Command) -> None:
    code, out, err = hub("key", "create", "--tenant", "acme", "--scope", "notify", "--scope", "read")
    secret = out.strip()
    assert (code, err) == (0, "")
    key = found(secret)
    assert key is not None
    assert (key.tenant, key.scopes) == ("acme", {"notify", "read"})
    assert secret not in hub("key", "list", "--tenant", "acme").out


def test_a_key_without_a_tenant_is_the_platforms(hub: Command) -> None:
    key = found(hub("key", "create", "--scope", "admin").out.strip())
    assert key is not None
    assert key.tenant is None


def test_keys_are_listed_for_their_tenant_only(hub: Command) -> None:
    hub("key", "create", "--tenant", "acme", "--scope", "notify", "--name", "billing")
    hub("key", "create", "--tenant", "other", "--scope", "read")
    (line,) = hub("key", "list", "--tenant", "acme").out.splitlines()
    id, shown, scopes, _, state, name = line.split("\t")
    assert (scopes, state, name) == ("notify", "active", "billing")
    assert shown.startswith("hub_")
    assert hub("key", "list").out == ""
    assert len(id) == 26


def test_a_revoked_key_opens_nothing(hub: Command) -> None:
    secret = hub("key", "create", "--tenant", "acme", "--scope", "notify").out.strip()
    id = hub("key", "list", "--tenant", "acme").out.split("\t")[0]
    assert hub("key", "revoke", id).code == 1  # it is not the platform's
    assert found(secret) is not None
    assert hub("key", "revoke", id, "--tenant", "acme") == (0, f"revoked {id}\n", "")
    assert found(secret) is None
    code, _, err = hub("key", "revoke", id, "--tenant", "acme")
    assert code == 1
    assert err == f"hub: no active key {id} of tenant acme\n"
    assert "\trevoked " in hub("key", "list", "--tenant", "acme").out


def test_a_scope_that_does_not_exist_is_refused(hub: Command, tmp_path: Path) -> None:
    code, out, err = hub("key", "create", "--scope", "notify", "--scope", "everything")
    assert (code, out) == (2, "")
    assert err == "hub: --scope everything: a scope is one of notify, admin, read\n"
    assert not (tmp_path / ".hub").exists()


def test_a_tenant_is_created_once(hub: Command) -> None:
    assert hub("tenant", "create", "acme") == (0, "acme\n", "")
    assert has_tenant("acme")
    assert hub("tenant", "create", "acme") == (0, "acme\n", "")
    code, _, err = hub("tenant", "create", "no/tenant")
    assert code == 1
    assert err == "hub: not a tenant id: 'no/tenant'\n"


def test_a_tenants_log_is_kept_for_its_own_days(hub: Command) -> None:
    for said, kept in ((("--retention-days", "90"), 90), ((), 90), (("--retention-days", "7"), 7)):
        assert hub("tenant", "create", "acme", *said).code == 0
        assert retention_of("acme") == kept
    for days in ("0", "3651"):
        code, out, err = hub("tenant", "create", "globex", "--retention-days", days)
        assert (code, out, err) == (2, "", f"hub: --retention-days {days}: from 1 to 3650\n")
    assert not has_tenant("globex")


def test_in_production_a_key_is_for_a_tenant_that_exists(hub: Command) -> None:
    assert hub("migrate", **PRODUCTION).code == 0
    code, out, err = hub("key", "create", "--tenant", "acme", "--scope", "notify")
    assert (code, out, err) == (1, "", "hub: no tenant 'acme'\n")
    assert hub("tenant", "create", "acme").code == 0
    assert hub("key", "create", "--tenant", "acme", "--scope", "notify").code == 0


def test_in_production_nothing_is_migrated_by_the_way(hub: Command, tmp_path: Path) -> None:
    code, _, err = hub("key", "list", **PRODUCTION)
    assert code == 1
    assert "hub migrate" in err
    assert not (tmp_path / ".hub").exists()
    hub("migrate")
    assert hub("key", "list").code == 0


def test_migrate_says_what_it_has_done(hub: Command) -> None:
    first, again = hub("migrate"), hub("migrate")
    assert first.code == again.code == 0
    assert first.out.splitlines()[0].startswith("applied 0001")
    assert again.out == "the database has this version's tables\n"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://canary:canary@127.0.0.1:1/hub", "cannot be used"),
        ("not a url", "not the URL of a database"),
        ("sqlite:////dev/null/hub.db", "cannot be used"),
    ],
)
@pytest.mark.parametrize("words", [["migrate"], ["key", "list"]])
def test_a_database_that_cannot_be_used_is_a_line(
    hub: Command, url: str, said: str, words: list[str]
) -> None:
    code, out, err = hub(*words, DATABASE_URL=url)
    assert code != 0
    assert out == ""
    assert said in err
    assert "DATABASE_URL" in err
    assert len(err.splitlines()) == 1
    assert "canary" not in err


def test_the_report_of_a_day_is_printed_and_a_wrong_day_is_said(hub: Command) -> None:
    assert hub("tenant", "create", "acme").code == 0
    answer = hub("report", "--tenant", "acme", "--day", "2026-11-25")
    assert answer.code == 0
    assert answer.out.startswith("Daily report of acme, 2026-11-25\n\nNotifications: 0\n")
    assert hub("report", "--tenant", "acme", "--day", "25.11.").code == 2
    assert hub("report", "--tenant", "nobody").code == 1
