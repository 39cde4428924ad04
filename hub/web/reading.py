"""From the bytes of a request body to JSON values, within every limit.

Size, time to arrive, nesting and strictness are checked here, before anyone looks at a field. The
Content-Type is not: programs that already speak to the hub send JSON as text/plain. What the values
mean is not known here.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hub.domain.errors import BodyTimeout, BodyTooLarge, Invalid, JsonInvalid
from hub.services.wire import dumps, loads
from hub.web.context import HUB

_TWICE = "an object has the same name twice"
_SPACED = (b'" ', b'"\t', b'"\r', b'"\n')  # all the white space that JSON has (RFC 8259, section 2)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_SHAPE = bytes({*range(256)} - {*b'{}[]"'})
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


async def read_json(request: web.Request) -> Any:
    """The body as JSON. Raises `JsonInvalid`, `BodyTooLarge`, `BodyTimeout` or `Invalid`."""
    options = request.app[HUB].options
    text = await read_body(request, most=options.max_body_bytes, seconds=options.body_timeout)
    return parse(text, max_depth=options.max_json_depth)


async def read_body(request: web.Request, *, most: int, seconds: float) -> bytes:
    """All bytes of the body, unpacked when it came compressed."""
    # Never a local: an exception and the frame it was raised in would keep each other, and the body.
    too_large = f"the body may have at most {most} bytes"
    if request.content_length is not None and request.content_length > most:
        raise BodyTooLarge(too_large)
    try:
        if request.content.is_eof():  # all of it is here
            return await request.read()
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        raise BodyTimeout(f"the body did not arrive within {seconds:g} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge(too_large) from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
        raise Invalid("the body broke off or is not encoded as its headers say") from None


def parse(text: bytes, *, max_depth: int) -> Any:
    """Strict JSON (RFC 8259): no NaN, no name twice in an object, at most `max_depth` levels."""
    if not text:
        raise JsonInvalid("the body is empty: send JSON")
    try:
        value = loads(text)
    except ValueError as fault:
        raise JsonInvalid(str(fault)[:300]) from None
    if b"\\" not in text and not _is_spaced(text) and _is_flat(text, max_depth):
        # It cannot be too deep; and no string holds a quote, so that each `":` stands behind a name.
        if text.count(b'":') != dumps(value).count(b'":'):
            raise JsonInvalid(_TWICE)
        return value
    depth, names = measure(value)
    if depth > max_depth:
        raise JsonInvalid(f"nested deeper than {max_depth} levels")
    if names != _colons(text, names):
        raise JsonInvalid(_TWICE)
    return value


def _is_spaced(text: bytes) -> bool:
    """Whether a quote has white space behind it."""
    one, two, three, four = _SPACED
    return one in text or two in text or three in text or four in text


def _is_flat(text: bytes, max_depth: int) -> bool:
    """Whether JSON without a backslash has at most so many levels. No: perhaps, a string holds brackets."""
    if text.count(b"{") + text.count(b"[") <= max_depth:
        return True
    # A string without brackets is two quotes now; one with brackets leaves some of its quotes behind.
    shape = text.translate(_ONE_KIND, _NO_SHAPE).replace(b'""', b"")
    if b'"' in shape:
        return False
    while shape and max_depth:
        shape = shape.replace(b"[]", b"")  # the innermost level
        max_depth -= 1
    return not shape


def _colons(text: bytes, names: int) -> int:
    """How many colons stand outside of strings: one for each name, also for one that was overwritten.

    That takes a while. With no space behind a quote, each name is at least one `":`: as many of these as
    `names`, and no name was lost.
    """
    if text.count(b'":') == names and not _is_spaced(text):
        return names
    return _STRING.sub(b"", text).count(b":")


def measure(value: Any) -> tuple[int, int]:
    """How many levels of objects and lists there are, and how many names in all objects."""
    depth = names = 0
    level = [value] if isinstance(value, (dict, list)) else []
    while level:
        depth += 1
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                names += len(item)
            inside = item.values() if type(item) is dict else item
            below += [each for each in inside if type(each) is dict or type(each) is list]
        level = below
    return depth, names
