"""The caller's own notification centre."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aiohttp import hdrs, web

from hub.domain.access import Principal
from hub.domain.errors import Refusal
from hub.services.inbox import Marked, Page
from hub.services.wire import dumps
from hub.web.answers import answer_json, answer_unless_known, tag_of
from hub.web.context import HUB, Services
from hub.web.looks import Answer, Looking
from hub.web.parameters import PageQuery, next_link, notification_id, page_query, url_of

_TAG = re.compile(r'(?:W/)?"([0-9a-f]{24})"')


async def page(request: web.Request, who: Principal) -> web.Response:
    """Envelopes, newest first; counts and the next page stand in the headers."""
    query = page_query(request.query)
    found = await request.app[HUB].inbox.page(
        who,
        read=query.read,
        archived=query.archived,
        type=query.type and request.app[HUB].registry.canonical(query.type),
        limit=query.limit,
        offset=query.offset,
        after=query.after,
    )
    return answer_unless_known(request, found.body, _headers(request.path, query, found))


def look_at_page(hub: Services, who: Principal, target: str, fields: Mapping[str, str]) -> Looking | None:
    """The same, for the straight way."""
    query = _query(target)
    tag = _tag(fields.get("if-none-match"))
    if query is None or tag is None or query.type is not None or query.after is not None:
        return None
    asked: dict[str, Any] = {"read": query.read, "archived": query.archived}
    asked |= {"limit": query.limit, "offset": query.offset}
    begun = hub.inbox.begin_page(who, **asked)
    if begun is None:
        return None

    def answer(found: Page) -> Answer:
        headers = _headers(url_of(target).path, query, found)
        headers[hdrs.ETAG] = f'"{(now := tag_of(found.body, headers))}"'
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        same = tag == now
        return Answer(b"" if same else found.body, lines, kept=True, same=same)

    def answer_if_whole(shown: Any) -> Answer | None:
        found = make(shown)
        return None if found is None else answer(found)

    async def otherwise() -> Answer:
        return answer(await hub.inbox.page(who, type=None, after=None, **asked))

    future, make = begun
    return Looking(future, answer_if_whole, otherwise)


def _headers(path: str, query: PageQuery, found: Page) -> dict[str, str]:
    headers = {"X-Total-Count": str(found.total), "X-Unread-Count": str(found.unread)}
    if link := next_link(path, query, count=found.count, total=found.total):
        headers[hdrs.LINK] = link
    return headers


@lru_cache(maxsize=256)
def _query(target: str) -> PageQuery | None:
    """None: it would be refused."""
    try:
        return page_query(url_of(target).query)
    except Refusal:
        return None


def _tag(known: str | None) -> str | None:
    """What stands between the quotes of an `If-None-Match` with one of our tags; "" without any; None: that
    takes more reading."""
    if known is None:
        return ""
    found = _TAG.fullmatch(known)
    return found[1] if found else None


async def unread_count(request: web.Request, who: Principal) -> web.Response:
    """How many notifications the caller has not read."""
    return answer_json(_count(await request.app[HUB].inbox.unread_count(who)))


def look_at_count(hub: Services, who: Principal, target: str, fields: Mapping[str, str]) -> Looking | None:
    """The same, for the straight way."""
    future, count = hub.inbox.begin_unread_count(who)
    return Looking(future, lambda shown: Answer(dumps(_count(count(shown)))))


def _count(unread: int) -> dict[str, int]:
    return {"count": unread}


async def one(request: web.Request, who: Principal) -> web.Response:
    """One notification of the caller's inbox."""
    return answer_json(await request.app[HUB].inbox.envelope(who, notification_id(request)))


async def mark_read(request: web.Request, who: Principal) -> web.Response:
    """Mark one as read, tell the caller's other screens, and show it."""
    inbox, id = request.app[HUB].inbox, notification_id(request)
    change = await inbox.mark_read(who, [id])
    headers = {"X-Unread-Count": str(change["unreadCount"])}
    return answer_json(await inbox.envelope(who, id), headers=headers)


async def mark_unread(request: web.Request, who: Principal) -> web.Response:
    """Mark one as unread again, also when everything was marked as read."""
    return _marked(await request.app[HUB].inbox.mark_unread(who, [notification_id(request)]))


async def mark_seen(request: web.Request, who: Principal) -> web.Response:
    """Mark one as seen: it was on a screen."""
    return _marked(await request.app[HUB].inbox.mark_seen(who, [notification_id(request)]))


async def archive(request: web.Request, who: Principal) -> web.Response:
    """Put one into the archive; it does not count as unread there."""
    return _marked(await request.app[HUB].inbox.archive(who, [notification_id(request)]))


async def unarchive(request: web.Request, who: Principal) -> web.Response:
    """Take one back from the archive."""
    return _marked(await request.app[HUB].inbox.unarchive(who, [notification_id(request)]))


async def remove(request: web.Request, who: Principal) -> web.Response:
    """Remove one from the caller's inbox, and from nobody else's."""
    unread = await request.app[HUB].inbox.remove(who, notification_id(request))
    return web.Response(status=204, headers={"X-Unread-Count": str(unread)})


async def stats(request: web.Request, who: Principal) -> web.Response:
    """How much the caller has, by type and by channel."""
    return answer_json(await request.app[HUB].inbox.stats(who))


async def timeline(request: web.Request, who: Principal) -> web.Response:
    """Every step of the caller's own deliveries of one notification."""
    return answer_json(await request.app[HUB].inbox.timeline(who, notification_id(request)))


def _marked(change: Marked) -> web.Response:
    [envelope] = change.items
    return answer_json(envelope, headers={"X-Unread-Count": str(change.unread)})


async def mark_all_read(request: web.Request, who: Principal) -> web.Response:
    """Mark everything up to now as read."""
    return answer_json(await request.app[HUB].inbox.mark_all_read(who))
