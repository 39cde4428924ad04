"""Parameters and answers that more than one route has."""

from __future__ import annotations

from hub.domain.events import MAX_CURSOR
from hub.web.openapi.operation import Answer, Parameter, header, json, path, query
from hub.web.openapi.shapes import CHANNEL, STATUS, ULID, Schema, ref, text, whole, words
from hub.web.parameters import DEFAULT_LIMIT, MAX_LIMIT
from hub.web.sse import MAX_WORDS
from hub.web.stream_paths import FORMATS

NAME: Schema = text(pattern=r"^[^\s/,\u0000-\u001f\u007f\u0085]{1,128}$", examples=["42"])
LIST: Schema = text(
    f"words separated by commas: at most {MAX_WORDS} of at most 160 characters",
    pattern=rf"^([^,]{{0,160}},){{0,{MAX_WORDS - 1}}}[^,]{{0,160}}$",
)

ID = path("id", ULID, "the id of a notification")
USER_ID = path("id", NAME, "the id of a user")
LIMIT = query("limit", whole(minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT), "how many at most")
TENANT = header(
    "X-Tenant-Id",
    text(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["acme"]),
    "the tenant, with a key of the whole platform; another caller's own at most",
)
ONCE = header(
    "Idempotency-Key",
    text(pattern="^[ -~]{1,255}$", examples=["CH-00001-0-booking.created"]),
    "with the same key the same body gets the same answer and sends nothing again",
)
AFTER_PLACE = query(
    "after", text(pattern=r"^[0-9]{1,18}\.[0-9A-Za-z]{26}$"), "what the link to the next page says"
)
FILTERS = (
    query("userId", NAME, "only what went to this user by name"),
    query("channel", CHANNEL),
    query("status", STATUS),
)
TYPE = query("type", text(maxLength=160, examples=["booking.created"]), "only this type")
SPAN = (
    query("from", text(format="date-time"), "from this time on, with its zone"),
    query("to", text(format="date-time"), "before this time, with its zone"),
)
PAGE = (LIMIT, AFTER_PLACE)

# Of streams and sockets.
ROOMS = query("rooms", LIST, "`topic:` rooms to join at once")
TYPES = query("types", LIST, "patterns such as `booking.*`, names or aliases: only events of these types")
LAST_ID = header("Last-Event-ID", text(maxLength=MAX_CURSOR), "replay everything after this cursor first")
LAST_ID_QUERY = query("lastEventId", text(maxLength=MAX_CURSOR), "the same; the header wins")
FORMAT = query(
    "format", words(FORMATS), "how the stream speaks; each path has its own way", allowEmptyValue=False
)
COMPRESS = query("compress", words(("1",)), "gzip, when the client accepts it")
STREAM: tuple[Parameter, ...] = (LAST_ID, LAST_ID_QUERY, TYPES, ROOMS, FORMAT, COMPRESS)

# Answers.
TAKEN: Answer = json("Stored, with every delivery it lists", ref("Accepted"), "Idempotency-Replayed")
EVENTS = Answer(
    description="A stream of Server-Sent Events; `/asyncapi.json` describes what stands in it",
    content={"text/event-stream": text("`id:`, `event:` and `data:` lines")},
)
