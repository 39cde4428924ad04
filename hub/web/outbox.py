"""The development outbox: what would have been sent, as a page for people and as JSON for everyone else.

Exists in development only. Mails are shown in frames that can run nothing and load nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from aiohttp import hdrs, web

from hub.domain.errors import Invalid
from hub.domain.message import Message
from hub.domain.sms import segments
from hub.services.embeds import unmarked
from hub.services.wire import iso
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.parameters import whole_number

_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:50rem;margin:3rem auto;padding:0 1rem;"
    "color:#1d2433;background:#fff}"
    "article{border-top:1px solid #ccc;padding:1rem 0}pre{white-space:pre-wrap}small{color:#555}"
    "iframe{width:100%;height:34rem;border:1px solid #ccc;border-radius:8px}.title{margin:0}"
    ".bubble{display:inline-block;max-width:24rem;margin:0;padding:.6rem .9rem;"
    "border-radius:1rem 1rem 1rem .2rem;"
    "background:#e9ecf2;white-space:pre-wrap;overflow-wrap:anywhere}"
    ".embed{max-width:32rem;padding:.7rem 1rem;border-left:4px solid;border-radius:4px;background:#2b2d31;"
    "color:#dbdee1;overflow-wrap:anywhere}.embed a{color:#00a8fc}.embed small{color:#b5bac1}"
    ".embed p{margin:.3rem 0;white-space:pre-wrap}"
    ".embed dl{display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;margin:.5rem 0}"
    ".embed dl div{flex-basis:100%}.embed dl .inline{flex-basis:28%}.embed dt{font-weight:600}"
    ".embed dd{margin:0;white-space:pre-wrap}"
    ".push{max-width:22rem;padding:.8rem 1rem;border:1px solid #d5dae3;border-radius:12px;"
    "box-shadow:0 4px 16px #0002}.push p{margin:.2rem 0;white-space:pre-wrap}"
)


async def outbox(request: web.Request) -> web.Response:
    """Newest first, at most `limit`. HTML for a browser, unless it asks for `?format=json`."""
    limit = whole_number(request, "limit", least=1, most=500, default=100)
    if (format := request.query.get("format") or None) not in (None, "json"):
        raise Invalid("'format' is json")
    messages = await request.app[HUB].outbox.recent(limit=limit)
    if "text/html" not in request.headers.get(hdrs.ACCEPT, "") or format == "json":
        return answer_json([_shape(message) for message in messages])
    shown = "".join(map(_article, messages)) or "<p>Nothing yet.</p>"
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Outbox</title><style>{_STYLE}</style>"
        f"<h1>Outbox</h1><p>Kept here instead of being sent.</p>{shown}</html>"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": _CSP})


def _shape(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "tenantId": message.tenant,
        "userId": message.user,
        "channel": message.channel,
        "to": message.address,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "embed": None if message.embed is None else dict(message.embed),
        "link": message.link,
        "at": iso(message.at),
    }


def _article(message: Message) -> str:
    about = (
        f"{message.channel} to {message.address}, user {message.user} of {message.tenant}, {iso(message.at)}"
    )
    title = f'<h2 class="title">{escape(message.subject)}</h2>'
    return f"<article>{title}<p><small>{escape(about)}</small></p>{_body(message)}</article>"


def _body(message: Message) -> str:
    """As its reader would see it."""
    if message.html:
        return f'<iframe sandbox="" srcdoc="{escape(message.html)}"></iframe>'
    if message.embed is not None:
        return _embed(message.embed)
    match message.channel:
        case "sms":
            count = segments(message.text)
            said = f"{count} segment{'s' if count > 1 else ''}"
            return f'<p class="bubble">{escape(message.text)}</p><p><small>{said}</small></p>'
        case "webpush":
            words = f"<strong>{escape(message.subject)}</strong><p>{escape(message.text)}</p>"
            return f'<div class="push">{words}<small>{escape(message.link or "")}</small></div>'
    return f"<pre>{escape(message.text)}</pre>"


def _embed(embed: Mapping[str, Any]) -> str:
    """An embed of Discord. Its markdown stays letters; only what was escaped is shown as it was."""

    def shown(value: object) -> str:
        return escape(unmarked(str(value or "")))

    fields = "".join(
        f"<div{' class=inline' if field.get('inline') else ''}>"
        f"<dt>{shown(field.get('name'))}</dt><dd>{shown(field.get('value'))}</dd></div>"
        for field in embed.get("fields", ())
    )
    foot = " · ".join(
        part for part in (shown(embed.get("footer", {}).get("text")), shown(embed.get("timestamp"))) if part
    )
    color = int(embed.get("color") or 0)
    return (
        f'<div class="embed" style="border-color:#{color:06x}"><strong>{shown(embed.get("title"))}</strong>'
        f"<p>{shown(embed.get('description'))}</p><dl>{fields}</dl><small>{foot}</small></div>"
    )
