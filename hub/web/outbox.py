"""The development outbox: what would have been sent, as a page for people and as JSON for everyone else.

Exists in development only. Mails are shown in frames that can run nothing and load nothing.
"""

from __future__ import annotations

from html import escape

from aiohttp import hdrs, web

from hub.domain.errors import Invalid
from hub.domain.message import Message
from hub.services.wire import iso
from hub.web.answers import answer_json
from hub.web.context import HUB
from hub.web.parameters import whole_number

_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:50rem;margin:3rem auto;padding:0 1rem}"
    "article{border-top:1px solid #ccc;padding:1rem 0}pre{white-space:pre-wrap}small{color:#555}"
    "iframe{width:100%;height:24rem;border:1px solid #ccc}"
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


def _shape(message: Message) -> dict[str, str | None]:
    return {
        "id": message.id,
        "tenantId": message.tenant,
        "userId": message.user,
        "channel": message.channel,
        "to": message.address,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "at": iso(message.at),
    }


def _article(message: Message) -> str:
    about = (
        f"{message.channel} to {message.address}, user {message.user} of {message.tenant}, {iso(message.at)}"
    )
    body = (
        f'<iframe sandbox="" srcdoc="{escape(message.html)}"></iframe>'
        if message.html
        else f"<pre>{escape(message.text)}</pre>"
    )
    return f"<article><h2>{escape(message.subject)}</h2><p><small>{escape(about)}</small></p>{body}</article>"
