"""The caller's own notification centre."""

from __future__ import annotations

from aiohttp import hdrs, web

from hub.domain.access import Principal
from hub.services.inbox import Marked
from hub.web.answers import answer_json, answer_unless_known
from hub.web.context import HUB
from hub.web.parameters import next_link, notification_id, page_query


async def page(request: web.Request, who: Principal) -> web.Response:
    """Envelopes, newest first; counts and the next page stand in the headers."""
    query = page_query(request)
    found = await request.app[HUB].inbox.page(
        who,
        read=query.read,
        archived=query.archived,
        type=query.type,
        limit=query.limit,
        offset=query.offset,
        after=query.after,
    )
    headers = {"X-Total-Count": str(found.total), "X-Unread-Count": str(found.unread)}
    if link := next_link(request, query, count=found.count, total=found.total):
        headers[hdrs.LINK] = link
    return answer_unless_known(request, found.body, headers)


async def unread_count(request: web.Request, who: Principal) -> web.Response:
    """How many notifications the caller has not read."""
    return answer_json({"count": await request.app[HUB].inbox.unread_count(who)})


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
