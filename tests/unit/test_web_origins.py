"""CORS, preflights, cookies of foreign pages, and proxies, on a real server."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web as aio

from hub.web.origins import Origins
from hub.web.proxies import TRUSTED, address_of, networks, peer_of
from hub.web.routing import public
from tests.doors import USER, doors

LISTED = ("https://app.example", "https://Other.Example/")

# settings -> origin -> what the answer allows: the origin itself (with credentials), "*", or nothing
MATRIX = [
    ({"cors_origins": LISTED, "development": False}, "https://app.example", True),
    ({"cors_origins": LISTED, "development": False}, "https://other.example", True),
    ({"cors_origins": LISTED, "development": False}, "https://APP.example", True),
    ({"cors_origins": LISTED, "development": False}, "https://app.example.evil.example", False),
    ({"cors_origins": LISTED, "development": False}, "http://app.example", False),
    ({"cors_origins": LISTED, "development": False}, "https://app.example:8443", False),
    ({"cors_origins": LISTED, "development": False}, "null", False),
    ({"cors_origins": LISTED, "development": True}, "http://localhost:5173", False),
    ({"development": False}, "http://localhost:5173", False),
    ({}, "http://localhost:5173", True),
    ({}, "https://localhost", True),
    ({}, "http://127.0.0.1:3000", True),
    ({}, "http://[::1]:3000", True),
    ({}, "http://localhost.evil.example:80", False),
    ({}, "http://127.0.0.1.evil.example", False),
    ({}, "http://evil.example/?http://localhost:1", False),
    ({}, "null", False),
    ({"cors_origins": ("*",)}, "https://evil.example", "*"),
    ({"cors_origins": ("*",)}, "null", "*"),
]


@pytest.mark.parametrize(("options", "origin", "allowed"), MATRIX)
@pytest.mark.parametrize("path", ["/livez", "/notifications", "/nowhere"])
async def test_only_known_origins_may_read_answers(
    options: dict[str, Any], origin: str, allowed: bool | str, path: str
) -> None:
    async with doors(**options) as web:
        headers = (await web.get(path, headers={"Origin": origin})).headers
    expected = {True: origin, False: None, "*": "*"}[allowed]
    assert headers.get("Access-Control-Allow-Origin") == expected
    assert headers.get("Access-Control-Allow-Credentials") == ("true" if allowed is True else None)
    assert ("X-Total-Count" in headers.get("Access-Control-Expose-Headers", "")) == bool(allowed)
    assert "Origin" in headers["Vary"]


@pytest.mark.parametrize("path", ["/notifications", "/users/7", "/nowhere"])
async def test_a_preflight_of_a_known_page_says_what_it_may_send(path: str) -> None:
    asked = {"Origin": "http://localhost:5173", "Access-Control-Request-Method": "PATCH"}
    async with doors() as web:
        answer = await web.call("OPTIONS", path, headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    for header in ("Authorization", "Idempotency-Key", "X-API-Key", "Last-Event-ID"):
        assert header in answer.headers["Access-Control-Allow-Headers"]
    assert int(answer.headers["Access-Control-Max-Age"]) > 0


async def test_a_preflight_of_an_unknown_page_is_told_nothing() -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PATCH"}
    async with doors() as web:
        answer = await web.call("OPTIONS", "/notifications", headers=asked)
    assert answer.status == 204
    assert [name for name in answer.headers if name.startswith("Access-Control")] == []


# -- a cookie is sent by the browser, whoever asked it to ------------------------------------------------
COOKIE = {"Cookie": "access_token=ana-token"}
PAGES = [
    ({}, True),
    ({"Origin": "http://localhost:5173"}, True),
    ({"Origin": "https://evil.example"}, False),
    ({"Origin": "null"}, False),
]


@pytest.mark.parametrize(("headers", "allowed"), PAGES)
async def test_a_foreign_page_cannot_change_anything_by_the_cookie(
    headers: dict[str, str], allowed: bool
) -> None:
    async with doors() as web:
        answer = await web.call("PATCH", "/notifications/read-all", headers={**COOKIE, **headers})
        assert len(web.hub.stored) == int(allowed)
    assert answer.status == 200 if allowed else answer.refused == (403, "origin_forbidden")


async def test_the_hubs_own_page_may_use_the_cookie_and_a_foreign_one_a_token() -> None:
    async with doors(cors_origins=LISTED) as web:
        own = {"Origin": f"http://127.0.0.1:{web.port}", **COOKIE}
        assert (await web.call("PATCH", "/notifications/read-all", headers=own)).status == 200
        other = {"Origin": f"https://127.0.0.1:{web.port}", **COOKIE}
        refused = await web.call("PATCH", "/notifications/read-all", headers=other)
        assert refused.refused == (403, "origin_forbidden")
        token = {"Origin": "https://evil.example", **USER}
        assert (await web.call("PATCH", "/notifications/read-all", headers=token)).status == 200


async def test_reading_by_the_cookie_is_left_to_cors() -> None:
    async with doors() as web:
        answer = await web.get("/notifications", headers={**COOKIE, "Origin": "https://evil.example"})
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_star_lists_nobody_with_credentials() -> None:
    assert not Origins(["*"], development=True).lists("http://localhost:1")


# -- proxies ---------------------------------------------------------------------------------------------
async def whoami(request: aio.Request) -> aio.Response:
    peer, head = peer_of(request), b"".join(b"\r\n%b: %b" % line for line in request.raw_headers)
    assert request.transport is not None
    assert address_of(request.transport, head, request.app[TRUSTED]) == peer.address
    return aio.Response(text=f"{peer.scheme} {peer.address}")


HOPS = [
    ((), {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}, "http 127.0.0.1"),
    (("10.0.0.0/8",), {"X-Forwarded-For": "1.2.3.4"}, "http 127.0.0.1"),
    (("127.0.0.1",), {}, "http 127.0.0.1"),
    (("127.0.0.1",), {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}, "https 1.2.3.4"),
    (("127.0.0.1",), {"X-Forwarded-For": "6.6.6.6, 1.2.3.4"}, "http 1.2.3.4"),
    (("127.0.0.1", "10.0.0.0/8"), {"X-Forwarded-For": "6.6.6.6, 1.2.3.4, 10.1.1.1"}, "http 1.2.3.4"),
    (("127.0.0.0/8",), {"X-Forwarded-For": "127.0.0.2"}, "http 127.0.0.2"),
    (("127.0.0.1",), {"X-Forwarded-For": "1.2.3.4, nonsense"}, "http 127.0.0.1"),
    (("127.0.0.1",), {"X-Forwarded-For": "1.2.3.4:5678"}, "http 1.2.3.4"),
    (("127.0.0.1",), {"X-Forwarded-For": "[2001:db8::1]:443"}, "http 2001:db8::1"),
    (("127.0.0.1",), {"X-Forwarded-For": "::ffff:1.2.3.4"}, "http 1.2.3.4"),
    (("127.0.0.1",), {"X-Forwarded-For": ", ".join(["1.2.3.4"] + ["127.0.0.1"] * 40)}, "http 127.0.0.1"),
    (("127.0.0.1",), {"X-Forwarded-Proto": "javascript"}, "http 127.0.0.1"),
    (("127.0.0.1",), {"X-Forwarded-Proto": "http, HTTPS"}, "https 127.0.0.1"),
    (("127.0.0.1",), {"X-Forwarded-Host": "evil.example", "Forwarded": "for=6.6.6.6"}, "http 127.0.0.1"),
]


@pytest.mark.parametrize(("trusted", "headers", "seen"), HOPS)
async def test_forwarded_headers_count_only_from_trusted_proxies(
    trusted: tuple[str, ...], headers: dict[str, str], seen: str
) -> None:
    async with doors(routes=[public("GET", "/whoami", whoami, "")], trusted_proxies=trusted) as web:
        assert (await web.get("/whoami", headers=headers)).body.decode() == seen


async def test_behind_a_trusted_proxy_the_hubs_own_page_is_https() -> None:
    async with doors(trusted_proxies=("127.0.0.1",), cors_origins=LISTED) as web:
        headers = {"Origin": "https://hub.example", "Host": "hub.example", **COOKIE}
        plain = await web.call("PATCH", "/notifications/read-all", headers=headers)
        assert plain.refused == (403, "origin_forbidden")
        proxied = await web.call(
            "PATCH", "/notifications/read-all", headers={**headers, "X-Forwarded-Proto": "https"}
        )
        assert proxied.status == 200


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/33", "", "10.0.0"])
def test_what_is_no_network_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        networks([text])
