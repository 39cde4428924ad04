"""Every page that users and admins can read: it shows their tenant's own, whatever tenant they name.

All of the own, so that showing nothing to anybody is no way out.
"""

from __future__ import annotations

from tests.chaos.neighbours import Neighbours
from tests.chaos.tenants import Person, Tenant

USER_PAGES = (
    "/notifications?limit=100",
    "/notifications?tenant={other}",
    "/notifications?tenantId={other}&limit=100&userId=42",
    "/notifications/unread-count?tenant={other}",
    "/notifications/stats",
    "/notifications/stats?tenantId={other}",
    "/notifications/preferences?tenantId={other}",
    "/me/push-subscriptions?tenantId={other}",
)
ADMIN_PAGES = (
    "/admin/notifications/logs?limit=100",
    "/admin/notifications/logs?tenant={other}",
    "/admin/notifications/logs?userId=42&tenantId={other}",
    "/admin/notifications/logs?format=csv",
    "/admin/notifications/stats",
    "/admin/notifications/stats?tenant={other}",
    "/admin/deliveries?limit=100",
    "/admin/deliveries?status=planned&tenant={other}",
    "/admin/api-keys",
    "/admin/audit?limit=100",
    "/admin/suppressions?limit=100&tenant={other}",
    "/admin/audit?action=key.create&tenant={other}",
    "/admin/preferences?tenant={other}",
    "/admin/types?tenant={other}",
    "/admin/types/customer.created?tenant={other}",
    "/admin/templates?tenant={other}",
    "/admin/templates/review.created/inApp?tenant={other}",
    "/admin/presence?user=42",
    "/admin/presence?room=user:42&tenantId={other}",
)


async def reads(near: Neighbours, tenant: Tenant, other: Tenant, who: Person, page: str, place: int) -> None:
    """A user's pages show the user's own, whatever tenant is named in the query or in a header."""
    headers = near.person(who) | ({"X-Tenant-Id": other.name} if place % 2 else {})
    answer = await near.call(tenant, "GET", page.format(other=other.name), headers)
    assert answer.status == 200, answer
    stands = tenant.inbox(who)
    if "push" in page:
        assert [one["userAgent"] for one in answer.json] == [tenant.canary("browser")] * (who.id == "42")
    elif isinstance(answer.json, list):
        assert [item["id"] for item in answer.json] == stands[: len(answer.json)]
        assert answer.headers["X-Total-Count"] == str(len(stands))
    elif "preferences" in page:
        assert tenant.canary("wish") in answer.text
    elif "unread-count" in page:
        assert answer.json == {"count": tenant.unread(who)}
    elif other.cursors:
        assert answer.json["total"] == sum((who.id, id) not in tenant.archived for id in stands)
        path = f"/notifications?after={other.cursors[-1]}"
        assert (await near.call(tenant, "GET", path, headers)).refused == (400, "cursor_invalid")


async def administers(near: Neighbours, tenant: Tenant, other: Tenant, page: str, place: int) -> None:
    """An admin's pages show the tenant's own, all of it; who names another tenant is refused."""
    path = page.format(other=other.name)
    for by in near.admins(tenant)[:2]:
        answer = await near.call(tenant, "GET", path, by | {"X-Tenant-Id": other.name})
        assert answer.refused == (403, "tenant_forbidden")
    plain = near.person(tenant.people[0])
    assert (await near.call(tenant, "GET", path, plain)).refused == (403, "forbidden")
    answer = await near.call(tenant, "GET", path, near.admins(tenant)[place % 3])
    assert answer.status == 200, answer
    inbox = [one for one in tenant.sent if one.inbox]
    if "csv" in path:
        assert all(one.id in answer.text for one in inbox)
    elif "logs?limit" in path:
        rows = {row["id"] for row in answer.json}
        assert rows <= {one.id for one in inbox} | set(tenant.mailed)
        assert inbox[-1:] == [] or inbox[-1].id in rows
    elif "/admin/notifications/stats" in path:
        assert answer.json["notifications"] == len(inbox)
        assert sum(answer.json["byChannel"].get("email", {}).values()) == len(tenant.mailed)
    elif "deliveries" in path:
        found = {row["id"]: row["notificationId"] for row in answer.json}
        assert found.items() <= tenant.mailed.items()
        assert "limit=100" not in path or len(found) == min(100, len(tenant.mailed))
    elif "templates?" in path:
        own = [(row["type"], row["channel"]) for row in answer.json if row["overridden"]]
        assert own == [("review.created", "inApp")]
    elif "templates" in path:
        assert tenant.canary("words") in answer.json["source"]
    elif "types" in path:
        assert tenant.canary("rule") in answer.text
    elif "preferences" in path:
        assert tenant.canary("wish") in answer.text
    elif "api-keys" in path or "key.create" in path:
        assert tenant.canary("key") in answer.text
