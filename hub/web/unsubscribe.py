"""The page behind the link in a mail: asks whether to unsubscribe, and does it when told to.

A GET changes nothing, however often programs follow it ahead of the reader. A POST is either the one click
of a mail program (RFC 8058: `List-Unsubscribe=One-Click`) or this page's own form. Nobody signs in, no cookie
is read: the link says whose it is.
"""

from __future__ import annotations

from email import message_from_bytes
from html import escape
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from hub.domain.errors import Invalid, LinkInvalid
from hub.services.unsubscribe import EVERY_TYPE, Link
from hub.web.context import HUB
from hub.web.reading import read_body

MAX_FIELDS = 10
_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_STYLE = (
    ":root{color-scheme:light dark;--line:#767676}"
    "body{font:17px/1.6 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1.25rem}"
    "h1{font-size:1.6rem;line-height:1.25}fieldset{border:1px solid var(--line);border-radius:.6rem;"
    "margin:1.5rem 0;padding:.5rem 1.25rem 1rem}label{display:block;padding:.4rem 0}"
    "button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border:0;border-radius:.5rem;"
    "background:#1d4ed8;color:#fff;cursor:pointer}button:hover{background:#1e40af}"
    ":focus-visible{outline:3px solid #f59e0b;outline-offset:2px}"
)
_ONE_CLICK = "List-Unsubscribe"
_WORDS = {
    "email": "emails",
    "sms": "text messages",
    "discord": "Discord messages",
    "webpush": "push messages",
}


async def ask(request: web.Request) -> web.Response:
    """The question. Changes nothing."""
    try:
        link, mutable = request.app[HUB].unsubscribe.look(request.match_info["token"])
    except LinkInvalid:
        return _broken(request)
    words, name = _words(link), _name(link)
    all_of_them = f"All {words} that can be switched off"
    if mutable:
        choices = _choice("type", f"{_start(words)} of this kind: {name}", checked=True)
        choices += _choice("all", all_of_them)
        said = f"You will no longer get these {words}."
    else:
        choices = _choice("all", all_of_them, checked=True)
        said = f"{_start(words)} of this kind ({name}) belong to the service and cannot be switched off."
    form = (
        f"<p>{escape(said)}</p><form method=post><fieldset><legend>What do you want no more of?</legend>"
        f"{choices}</fieldset><button>Unsubscribe</button></form>"
    )
    return _page("Unsubscribe", form)


async def leave(request: web.Request) -> web.Response:
    """Unsubscribe. A second time changes nothing."""
    hub = request.app[HUB]
    body = await read_body(request, most=hub.options.max_body_bytes, seconds=hub.options.body_timeout)
    fields = _fields(request.headers.get(hdrs.CONTENT_TYPE, ""), body)
    wanted = fields.get("leave") or ("type" if fields.get(_ONE_CLICK) == "One-Click" else "")
    if wanted not in ("type", "all"):
        raise Invalid("send List-Unsubscribe=One-Click as a form")
    try:
        link, done = await hub.unsubscribe.leave(request.match_info["token"], everything=wanted == "all")
    except LinkInvalid:
        return _broken(request)
    words, name = _words(link), _name(link)
    if not done:
        return _page(
            "This cannot be switched off",
            f"<p>{escape(f'These {words} ({name}) belong to the service.')}</p>",
            409,
        )
    what = f"{words} that can be switched off" if wanted == "all" else f"{words} of this kind: {name}"
    again = "In the settings of your notifications you can switch them on again."
    return _page("You are unsubscribed", f"<p>You will get no more {escape(what)}.</p><p>{again}</p>")


def _fields(kind: str, body: bytes) -> dict[str, str]:
    """The fields of a form in either encoding; RFC 8058 allows both."""
    try:
        if kind.lower().startswith("multipart/form-data"):
            parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).walk()
            return {
                str(part.get_param("name", "", "content-disposition")): str(part.get_payload())
                for part in parts
                if not part.is_multipart()
            }
        return dict(parse_qsl(body.decode(), max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Invalid("the body is no form") from None


def _broken(request: web.Request) -> web.Response:
    """For people a page; programs get the refusal that they know."""
    problem = LinkInvalid("this link is cut off, changed, or no longer valid")
    if "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
        raise problem
    return _page(
        problem.title,
        "<p>Open it as it stands in the mail, or change what you get in your settings.</p>",
        404,
    )


def _words(link: Link) -> str:
    return _WORDS.get(link.channel, "messages")


def _start(words: str) -> str:
    """The same at the beginning of a sentence."""
    return words[0].upper() + words[1:]


def _name(link: Link) -> str:
    """A type's name for people: `booking.no_show` is "booking no show"."""
    if link.type == EVERY_TYPE:
        return "all types"
    return link.type.replace(".", " ").replace("_", " ").replace("-", " ")


def _choice(value: str, label: str, *, checked: bool = False) -> str:
    mark = " checked" if checked else ""
    return f"<label><input type=radio name=leave value={value}{mark}> {escape(label)}</label>"


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main>"
    )
    headers = {"Content-Security-Policy": _CSP, "X-Robots-Tag": "noindex"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
