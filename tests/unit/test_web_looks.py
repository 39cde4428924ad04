"""What is only shown, on the straight way: as the general way shows it, and where that is asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
import structlog

from hub.domain.errors import StoreUnavailable
from tests.buses import eventually
from tests.doors import ID, Doors, Page, doors
from tests.talks import answered, talking

PAGE, COUNT = "/notifications", "/notifications/unread-count"
ANA = "Authorization: Bearer ana-token"
SHOWN = Page([{"id": ID, "title": "\u00fc"}, {"id": ID}], total=35, unread=3)


def asked(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: hub", *lines, "", ""]).encode()


async def both(sent: bytes, *, straight: bool, refusal: Exception | None = None) -> list[Any]:
    """The answer of each way, with what the inbox was asked and the lines in the log."""
    found = []
    for way in (True, False):
        with structlog.testing.capture_logs() as lines:
            async with doors(short=way) as web, talking(web) as raw:
                web.hub.shown, web.hub.refusal = SHOWN, refusal
                await raw.write(sent)
                answer = await answered(raw, "one")
                assert len(web.hub.looks) == (way and straight)
        said = [(line["event"], line.get("status"), line["route"], line["method"]) for line in lines]
        found.append((answer, web.hub.asked, said))
    assert found[0] == found[1]
    return found[0]


GOES = {
    "a page": asked(PAGE, ANA),
    "without capitals": asked(PAGE, "authorization: bearer ana-token"),
    "filters": asked(f"{PAGE}?read=0&archived=true", ANA),
    "written with percents": asked(f"{PAGE}?read=f%61lse&archived=", ANA),
    "the same name twice": asked(f"{PAGE}?limit=3&limit=2", ANA),
    "what takes more than a look": asked(f"{PAGE}?read=true", ANA),
    "the next page": asked(f"{PAGE}?limit=2&offset=7", ANA),
    "the last page": asked(f"{PAGE}?offset=33", ANA),
    "an id": asked(PAGE, ANA, "X-Request-Id: one"),
    "another tag": asked(PAGE, ANA, f'If-None-Match: "{"0" * 24}"'),
    "other credentials behind it": asked(
        f"{PAGE}?token=marta-token", ANA, "Cookie: access_token=marta-token"
    ),
    "the count": asked(COUNT, ANA),
    "the count with a query": asked(f"{COUNT}?limit=0", ANA),
}
STAYS = {
    "from a page elsewhere": asked(PAGE, ANA, "Origin: http://elsewhere"),
    "from a page here": asked(COUNT, ANA, "Origin: http://localhost:5173"),
    "a limit that is none": asked(f"{PAGE}?limit=0&read=maybe", ANA),
    "a cursor": asked(f"{PAGE}?after=e:7", ANA),
    "a cursor that is none": asked(f"{PAGE}?after=7", ANA),
    "a type": asked(f"{PAGE}?type=booking.created", ANA),
    "far down": asked(f"{PAGE}?offset=500", ANA),
    "any tag": asked(PAGE, ANA, "If-None-Match: *"),
    "several tags": asked(PAGE, ANA, 'If-None-Match: "a", "b"'),
    "two lines of tags": asked(PAGE, ANA, 'If-None-Match: "a"', 'If-None-Match: "b"'),
    "nobody": asked(PAGE),
    "an unknown token": asked(COUNT, "Authorization: Bearer nonsense"),
    "another scheme": asked(PAGE, "Authorization: Basic YTpi"),
    "a backend's key": asked(PAGE, "Authorization: Bearer hub_acme"),
    "a cookie": asked(PAGE, "Cookie: access_token=ana-token"),
    "a token in the query": asked(f"{COUNT}?token=ana-token"),
}


@pytest.mark.parametrize("sent", GOES.values(), ids=GOES.keys())
async def test_what_is_beyond_doubt_is_shown_as_on_the_general_way(sent: bytes) -> None:
    answer, _, _ = await both(sent, straight=True)
    assert b"HTTP/1.1 200 OK" in answer
    assert (b"X-Request-Id: one" in sent) == (b"X-Request-Id: one" in answer)


@pytest.mark.parametrize("sent", STAYS.values(), ids=STAYS.keys())
async def test_whatever_takes_more_is_left_to_the_general_way(sent: bytes) -> None:
    await both(sent, straight=False)


@pytest.mark.parametrize("weak", ["", "W/"])
async def test_who_has_the_page_is_told_so_on_both_ways(weak: str) -> None:
    answer, _, _ = await both(asked(PAGE, ANA), straight=True)
    [tag] = [line[6:] for line in answer.split(b"\r\n") if line.startswith(b"Etag: ")]
    same, _, said = await both(asked(PAGE, ANA, f"If-None-Match: {weak}{tag.decode()}"), straight=True)
    assert b"HTTP/1.1 304 Not Modified" in same and b"Content-Length" not in same
    assert [status for _, status, _, _ in said] == [304]


@pytest.mark.parametrize("path", [PAGE, COUNT, f"{PAGE}?read=true"])
@pytest.mark.parametrize("refusal", [StoreUnavailable(retry_after=7), RuntimeError("canary")], ids=repr)
async def test_what_cannot_be_shown_is_answered_and_logged_alike(path: str, refusal: Exception) -> None:
    answer, _, _ = await both(asked(path, ANA), straight=True, refusal=refusal)
    assert (b" 503 " in answer) != (b" 500 " in answer)
    assert b"canary" not in answer


async def test_head_says_what_get_has_said() -> None:
    heads = []
    for method in (b"GET", b"HEAD"):
        async with doors(short=True) as web, talking(web) as raw:
            web.hub.shown = SHOWN
            await raw.write(asked(PAGE, ANA).replace(b"GET", method))
            head = await raw.read_until(b"\r\n\r\n")
            differs = (b"Date", b"X-Request-Id")
            heads.append(sorted(line for line in head.split(b"\r\n") if not line.startswith(differs)))
            assert len(web.hub.looks) == (method == b"GET")
    assert heads[0] == heads[1]


async def test_who_leaves_is_not_looked_for_any_more() -> None:
    with structlog.testing.capture_logs() as lines:
        async with doors(short=True) as web, talking(web) as raw:
            look = await _held(web, raw, [asked(PAGE, ANA)])
            raw.close()
            await eventually(look.cancelled)
    assert [line["status"] for line in lines if line["event"] == "http.answered"] == [499]


async def test_requests_on_one_connection_are_answered_one_after_the_other() -> None:
    async with doors(short=True) as web, talking(web) as raw:
        look = await _held(web, raw, [asked(PAGE, ANA), asked(COUNT, ANA)])
        web.hub.held = False
        assert len(web.hub.looks) == 1
        look.set_result(None)
        assert b"X-Total-Count" in await answered(raw)
        assert (await answered(raw)).endswith(b'{"count":0}')
        assert web.long == 0


async def _held(web: Doors, raw: Any, requests: Iterable[bytes]) -> asyncio.Future[Any]:
    """The look that the first of the requests has begun."""
    web.hub.held = True
    await raw.write(b"".join(requests))
    await eventually(lambda: bool(web.hub.looks))
    return web.hub.looks[0]
