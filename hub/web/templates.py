"""A tenant's own words: what there is, putting a template in force, taking it back, and looking first."""

from __future__ import annotations

import re

from aiohttp import web

from hub.domain.access import Admin
from hub.domain.errors import Invalid, TypeUnknown, ValidationFailed
from hub.domain.events import CHANNELS
from hub.services.trial import Named
from hub.web import admin_bodies
from hub.web.admin import by
from hub.web.answers import answer_json
from hub.web.bodies import require_object
from hub.web.context import HUB
from hub.web.credentials import tenant_for
from hub.web.reading import read_json

TYPE = r"[A-Za-z][A-Za-z0-9_.:-]{0,127}|_digest"
LOCALE = r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}"


async def every(request: web.Request, who: Admin) -> web.Response:
    """A row for each type and channel."""
    return answer_json(await request.app[HUB].templates.every(tenant_for(request, who)))


async def one(request: web.Request, who: Admin) -> web.Response:
    """The source in force, and the one that comes with the hub."""
    return answer_json(await request.app[HUB].templates.get(tenant_for(request, who), _named(request)))


async def put(request: web.Request, who: Admin) -> web.Response:
    """Put a source in force."""
    body = require_object(await read_json(request))
    form = admin_bodies.template(body)
    named = _named(request, form.locale)
    tenant = tenant_for(request, who, body)
    service = request.app[HUB].templates
    return answer_json(await service.put(by(request, who), tenant, named, form.source, form.data))


async def delete(request: web.Request, who: Admin) -> web.Response:
    """Back to the one that comes with the hub."""
    await request.app[HUB].templates.delete(by(request, who), tenant_for(request, who), _named(request))
    return web.Response(status=204)


async def preview(request: web.Request, who: Admin) -> web.Response:
    """What a reader would get."""
    body = require_object(await read_json(request))
    form = admin_bodies.preview(body)
    _require_type(form.type)
    return answer_json(
        await request.app[HUB].templates.preview(
            tenant_for(request, who, body),
            Named(type=form.type, channel=form.channel, locale=form.locale),
            timezone=form.timezone,
            data=form.data,
            source=form.source,
        )
    )


def _named(request: web.Request, locale: str | None = None) -> Named:
    """Which template the path and the query name. Raises `TypeUnknown`, `ValidationFailed`, `Invalid`."""
    type, channel = request.match_info["type"], request.match_info["channel"]
    _require_type(type)
    if channel not in CHANNELS:
        message = f"must be one of {', '.join(CHANNELS)}"
        raise ValidationFailed(f"channel {message}", errors=[{"field": "channel", "message": message}])
    asked = request.query.get("locale") or locale
    if asked is not None and not re.fullmatch(LOCALE, asked):
        raise Invalid("'locale' is a language tag, such as en or vi-VN")
    return Named(type=type, channel=channel, locale=asked)


def _require_type(type: str) -> None:
    if not re.fullmatch(TYPE, type):
        raise TypeUnknown(f"not a type name: {type[:128]!r} (letters, digits, '.', '_', ':' and '-')")
