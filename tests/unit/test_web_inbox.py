"""The caller's notification centre and tickets, on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.domain.errors import StoreUnavailable
from hub.domain.events import Cursor
from tests.doors import ANA, EXPIRED, ID, KEY, USER, Doors, Page, doors
from tests.names import cut

NO_FILTER: dict[str, Any] = {
    "read": None,
    "archived": None,
    "type": None,
    "limit": 20,
    "offset": 0,
    "after": None,
}

MARKS = ["unread", "seen", "archive", "unarchive"]


@pytest.fixture(params=["short way", "long way"])
async def web(request: pytest.FixtureRequest) -> AsyncIterator[Doors]:
    async with doors(short=request.param == "short way") as served:
        yield served


def items(count: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "read": False} for number in range(count)]


# -- lists -----------------------------------------------------------------------------------------------
async def test_a_page_is_a_plain_array_with_its_counts_in_headers(web: Doors) -> None:
    web.hub.shown = Page(items(2), total=2, unread=1)
    answer = await web.get("/notifications", headers=USER)
    assert (answer.status, answer.type, answer.json) == (200, "application/json", items(2))
    assert answer.headers["X-Total-Count"] == "2"
    assert answer.headers["X-Unread-Count"] == "1"
    assert "Link" not in answer.headers
    assert web.hub.asked == [(ANA, NO_FILTER)]


QUERIES = [
    ("read=true", {"read": True}),
    ("read=0&archived=False", {"read": False, "archived": False}),
    ("type=booking.created", {"type": "booking.created"}),
    ("type=BOOKING_CREATED", {"type": "booking.created"}),
    ("type=nearby-job", {"type": "job.nearby"}),
    ("type=room.cleaned", {"type": "room.cleaned"}),
    ("limit=100&offset=40", {"limit": 100, "offset": 40}),
    ("after=k3f9:1042", {"after": Cursor("k3f9", 1042)}),
    ("read=&type=&after=", {}),
    ("unknown=1", {}),
]


@pytest.mark.parametrize(("query", "asked"), QUERIES)
async def test_filters_reach_the_inbox(web: Doors, query: str, asked: dict[str, Any]) -> None:
    assert (await web.get(f"/notifications?{query}", headers=USER)).status == 200
    assert web.hub.asked == [(ANA, NO_FILTER | asked)]


BAD_QUERIES = [
    ("limit=0", {"limit"}),
    ("limit=101", {"limit"}),
    ("limit=ten", {"limit"}),
    ("limit=1e1", {"limit"}),
    ("limit=%D9%A1", {"limit"}),
    ("limit=" + "9" * 5000, {"limit"}),
    ("offset=-1", {"offset"}),
    ("offset=1000001", {"offset"}),
    ("read=maybe&archived=2", {"read", "archived"}),
    ("type=a%00b", {"type"}),
    ("type=" + "x" * 129, {"type"}),
]


@pytest.mark.parametrize(("query", "fields"), BAD_QUERIES, ids=cut(24))
async def test_a_bad_query_is_refused_by_name(web: Doors, query: str, fields: set[str]) -> None:
    answer = await web.get(f"/notifications?{query}", headers=USER)
    assert answer.refused == (422, "validation_failed")
    assert set(answer.fields) == fields
    assert web.hub.asked == []


@pytest.mark.parametrize("cursor", ["7", "e:", ":7", "e:x", "e:-1", "e" * 300 + ":1", "e%0a:1", "e:%D9%A1"])
async def test_a_bad_cursor_is_refused(web: Doors, cursor: str) -> None:
    answer = await web.get(f"/notifications?after={cursor}", headers=USER)
    assert answer.refused == (400, "cursor_invalid")


async def test_the_next_page_keeps_the_filters_and_drops_the_token(web: Doors) -> None:
    web.hub.shown = Page(items(10), total=35, unread=0)
    query = "read=false&type=booking.created&limit=10&offset=10&after=e:5&token=ana-token"
    link = (await web.get(f"/notifications?{query}")).headers["Link"]
    path = "/notifications?read=false&type=booking.created&limit=10&offset=20&after=e%3A5"
    assert link == f'<{path}>; rel="next"'
    web.hub.shown = Page(items(5), total=35, unread=0)
    assert "Link" not in (await web.get("/notifications?limit=10&offset=30", headers=USER)).headers
    assert "Link" not in (await web.get("/notifications?limit=10&after=e:5", headers=USER)).headers


async def test_a_client_that_has_the_page_gets_304(web: Doors) -> None:
    web.hub.shown = Page(items(2), total=2, unread=2)
    tag = (await web.get("/notifications", headers=USER)).headers["ETag"]
    same = await web.get("/notifications", headers={**USER, "If-None-Match": f'"x", W/{tag}'})
    assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag)
    assert same.headers["X-Unread-Count"] == "2"
    web.hub.shown = Page(items(2), total=2, unread=1)
    changed = await web.get("/notifications", headers={**USER, "If-None-Match": tag})
    assert (changed.status, changed.json) == (200, items(2))
    assert changed.headers["ETag"] != tag


async def test_a_page_is_never_kept_for_another_caller(web: Doors) -> None:
    headers = (await web.get("/notifications", headers=USER)).headers
    assert headers["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= {name.strip() for name in headers["Vary"].split(",")}


async def test_head_has_the_headers_of_get_and_no_body(web: Doors) -> None:
    web.hub.shown = Page(items(2), total=2, unread=1)
    answer = await web.call("HEAD", "/notifications", headers=USER)
    assert (answer.status, answer.body, answer.headers["X-Total-Count"]) == (200, b"", "2")


async def test_an_inbox_that_cannot_be_read_is_unavailable(web: Doors) -> None:
    web.hub.refusal = StoreUnavailable(retry_after=2)
    answer = await web.get("/notifications", headers=USER)
    assert answer.refused == (503, "store_unavailable")
    assert answer.headers["Retry-After"] == "2"


# -- one, and marks --------------------------------------------------------------------------------------
async def test_the_unread_count_is_its_own_answer(web: Doors) -> None:
    web.hub.shown = Page([], total=9, unread=4)
    assert (await web.get("/notifications/unread-count", headers=USER)).json == {"count": 4}


async def test_one_notification_is_shown(web: Doors) -> None:
    answer = await web.get(f"/notifications/{ID.lower()}", headers=USER)
    assert (answer.status, answer.json) == (200, {"id": ID, "read": False})


async def test_marking_as_read_answers_with_the_envelope_as_it_is_now(web: Doors) -> None:
    answer = await web.call("PATCH", f"/notifications/{ID}/read", headers=USER)
    assert (answer.status, answer.json) == (200, {"id": ID, "read": True})
    assert answer.headers["X-Unread-Count"] == "2"
    assert web.hub.stored == [ID]


async def test_marking_all_as_read_says_how_many(web: Doors) -> None:
    answer = await web.call("PATCH", "/notifications/read-all", headers=USER)
    assert answer.status == 200
    assert (answer.json["updated"], answer.json["unreadCount"]) == (3, 0)
    assert web.hub.stored == [ANA]


@pytest.mark.parametrize("what", MARKS)
async def test_each_mark_answers_with_its_envelope_and_the_count(web: Doors, what: str) -> None:
    answer = await web.call("PATCH", f"/notifications/{ID.lower()}/{what}", headers=USER)
    assert (answer.status, answer.json) == (200, {"id": ID})
    assert answer.headers["X-Unread-Count"] == "2"
    assert web.hub.stored == [(what, ID)]


async def test_removing_one_has_no_body(web: Doors) -> None:
    answer = await web.call("DELETE", f"/notifications/{ID}", headers=USER)
    assert (answer.status, answer.body, answer.headers["X-Unread-Count"]) == (204, b"", "2")
    assert web.hub.stored == [("remove", ID)]


async def test_counts_by_type_and_a_timeline_are_their_own_answers(web: Doors) -> None:
    web.hub.shown = Page([], total=9, unread=4)
    assert (await web.get("/notifications/stats", headers=USER)).json == {"total": 9}
    assert (await web.get(f"/notifications/{ID}/timeline", headers=USER)).json == [{"deliveryId": ID}]


@pytest.mark.parametrize("id", ["7", "sse-not", "%00", "x" * 26, "..%2f..%2fetc", "%FF"])
@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/timeline"),
        ("PATCH", "/read"),
        *(("PATCH", f"/{what}") for what in MARKS),
    ],
)
async def test_a_notification_of_nobody_is_unknown(web: Doors, method: str, tail: str, id: str) -> None:
    answer = await web.call(method, f"/notifications/{id}{tail}", headers=USER)
    assert answer.refused == (404, "notification_unknown")
    assert web.hub.stored == []


# -- who may ---------------------------------------------------------------------------------------------
ROUTES = [
    ("GET", "/notifications"),
    ("GET", "/notifications/unread-count"),
    ("GET", f"/notifications/{ID}"),
    ("PATCH", f"/notifications/{ID}/read"),
    ("PATCH", "/notifications/read-all"),
    *(("PATCH", f"/notifications/{ID}/{what}") for what in MARKS),
    ("DELETE", f"/notifications/{ID}"),
    ("GET", f"/notifications/{ID}/timeline"),
    ("GET", "/notifications/stats"),
    ("POST", "/auth/ticket"),
]
WHO = [
    ({}, 401, "token_missing"),
    ({"Authorization": "Bearer nonsense"}, 401, "token_invalid"),
    ({"Authorization": "Bearer \xfcber"}, 401, "token_invalid"),
    ({"Authorization": f"Bearer {EXPIRED}"}, 401, "token_expired"),
    ({"Cookie": "access_token=nonsense"}, 401, "token_invalid"),
    ({"Authorization": "Bearer hub_wrong"}, 401, "token_invalid"),
    ({"X-API-Key": "hub_acme"}, 401, "token_missing"),
    (KEY, 403, "forbidden"),
]


@pytest.mark.parametrize(("headers", "status", "code"), WHO)
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_users_route_takes_only_a_users_token(
    web: Doors, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await web.call(method, path, headers=headers)
    assert answer.refused == (status, code)
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert (web.hub.stored, web.hub.asked, web.hub.tickets) == ([], [], {})


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("token=nonsense", "token_invalid"),
        ("token=%C3%BC", "token_invalid"),
        ("ticket=none", "token_invalid"),
        ("ticket=%C3%BC", "token_invalid"),
        ("token=", "token_missing"),
    ],
)
async def test_a_bad_token_in_the_query_is_refused(web: Doors, query: str, code: str) -> None:
    assert (await web.get(f"/notifications?{query}")).refused == (401, code)


async def test_missing_and_wrong_tokens_are_told_apart(web: Doors) -> None:
    missing = await web.get("/notifications")
    assert missing.headers["WWW-Authenticate"] == "Bearer"
    wrong = await web.get("/notifications", headers={"Authorization": "Bearer x"})
    assert wrong.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


PLACES = [
    ({"Authorization": "Bearer ana-token", "Cookie": "access_token=marta-token"}, "?token=marta-token"),
    ({"Cookie": "access_token=ana-token"}, "?token=marta-token"),
    ({"Authorization": "Basic eHh4", "Cookie": "access_token=ana-token"}, ""),
    ({"Cookie": 'other={"a": 1}; x; access_token="ana-token"; access_token=marta-token'}, ""),
    ({}, "?token=ana-token"),
]


@pytest.mark.parametrize(("headers", "query"), PLACES)
async def test_the_first_place_of_the_token_wins(web: Doors, headers: dict[str, str], query: str) -> None:
    assert (await web.get(f"/notifications{query}", headers=headers)).status == 200
    assert web.hub.asked == [(ANA, NO_FILTER)]


async def test_a_wrong_token_is_not_made_up_for_by_a_later_one(web: Doors) -> None:
    headers = {"Authorization": "Bearer nonsense", "Cookie": "access_token=ana-token"}
    assert (await web.get("/notifications?token=ana-token", headers=headers)).refused == (
        401,
        "token_invalid",
    )


async def test_the_query_token_can_be_switched_off_and_the_cookie_renamed() -> None:
    async with doors(token_in_query=False, token_cookie="sid") as web:
        assert (await web.get("/notifications?token=ana-token")).refused == (401, "token_missing")
        old = await web.get("/notifications", headers={"Cookie": "access_token=ana-token"})
        assert old.refused == (401, "token_missing")
        assert (await web.get("/notifications", headers={"Cookie": "sid=ana-token"})).status == 200


# -- tickets ---------------------------------------------------------------------------------------------
async def test_a_ticket_lets_in_once_and_before_the_query_token(web: Doors) -> None:
    issued = await web.post("/auth/ticket", headers=USER)
    assert (issued.status, issued.json["expiresIn"]) == (200, 30)
    assert issued.headers["Cache-Control"] == "no-store"
    path = f"/notifications?ticket={issued.json['ticket']}"
    assert (await web.get(f"{path}&token=marta-token")).status == 200
    assert web.hub.asked == [(ANA, NO_FILTER)]
    assert (await web.get(path)).refused == (401, "token_invalid")
