"""What admins read: the log, as JSON or CSV, deliveries and their story, numbers, and the audit."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from hub.domain.access import Admin
from hub.domain.errors import Invalid
from hub.services.reports import LOG_FIELDS
from hub.services.wire import dumps
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.credentials import tenant_for, tenant_or_platform
from hub.web.parameters import notification_id
from hub.web.selections import answer_rows, limit_of, place_after, span, wanted

FILTERS = ("userId", "type", "channel", "status", "from", "to")
# How a cell begins that a spreadsheet would carry out instead of showing it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def logs(request: web.Request, who: Admin) -> web.StreamResponse:
    """The log of the tenant's notifications, newest first; `?format=csv` streams all of it."""
    tenant, filters, after = tenant_for(request, who), wanted(request), place_after(request)
    if (format := request.query.get("format") or "json") not in ("json", "csv"):
        raise Invalid("'format' is json or csv")
    reports = request.app[HUB].reports
    if format == "json":
        rows = await reports.logs(tenant, filters, limit=limit_of(request), after=after)
        return answer_rows(request, rows, *FILTERS)
    answer = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="notifications.csv"'})
    answer.content_type, answer.charset = "text/csv", "utf-8"
    pages = reports.export(tenant, filters, after=after)
    first: list[dict[str, Any]] = await anext(pages, [])  # a refusal is still an ordinary answer now
    await answer.prepare(request)
    await answer.write(csv_of([dict(zip(LOG_FIELDS, LOG_FIELDS, strict=True)), *first]))
    async for rows_of_page in pages:
        await answer.write(csv_of(rows_of_page))
    await answer.write_eof()
    return answer


async def deliveries(request: web.Request, who: Admin) -> web.Response:
    """Deliveries as they stand, newest first; `?status=dead` are those that were given up."""
    tenant, filters = tenant_for(request, who), wanted(request)
    if filters.type is not None:
        raise Invalid("deliveries are not filtered by type: GET /admin/notifications/logs is")
    reports = request.app[HUB].reports
    rows = await reports.deliveries(tenant, filters, limit=limit_of(request), after=place_after(request))
    return answer_rows(request, rows, *FILTERS)


async def timeline(request: web.Request, who: Admin) -> web.Response:
    """Every step of what `?userId=` got, or is to get, of a notification."""
    tenant, id = tenant_for(request, who), notification_id(request)
    if (user := wanted(request).user) is None:
        raise Invalid("'userId' says whose deliveries")
    return answer_json(await request.app[HUB].reports.timeline(tenant, user, id))


async def stats(request: web.Request, who: Admin) -> web.Response:
    """Counts by type, channel and status, over time; delays; the queue."""
    since, until, bucket = span(request, datetime.now(UTC))
    found = await request.app[HUB].reports.stats(
        tenant_for(request, who), since=since, until=until, bucket=bucket
    )
    return answer_json(found)


async def audit(request: web.Request, who: Admin) -> web.Response:
    """What admins did in the tenant; with a platform key that names none, to the platform."""
    given = {name: request.query.get(name) or None for name in ("action", "actor", "after")}
    if any(value is not None and (len(value) > 160 or not value.isprintable()) for value in given.values()):
        raise Invalid("'action', 'actor' and 'after' are what the audit itself says")
    rows = await request.app[HUB].reports.audit(
        tenant_or_platform(request, who),
        action=given["action"],
        actor=given["actor"],
        limit=limit_of(request),
        after=given["after"],
    )
    return answer_rows(request, rows, "action", "actor")


def csv_of(rows: list[dict[str, Any]]) -> bytes:
    """Lines of CSV (RFC 4180), in the order of `LOG_FIELDS`; nothing in them runs in a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_cell(row[name]) for name in LOG_FIELDS])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = dumps(value).decode() if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
