"""Pages, probes, what describes the hub, and what is there in development only."""

from __future__ import annotations

from hub.domain.errors import Invalid, Missing, RateLimited, TypeUnknown, Unavailable, ValidationFailed
from hub.web.openapi.operation import Answer, Operation, json, nothing, path, query
from hub.web.openapi.parameters import TAKEN
from hub.web.openapi.refused import BY_ACCESS
from hub.web.openapi.shapes import many, record, ref, text, whole, words

_WELL = "Health"
_PAGES = "Pages"
_DEVELOPMENT = "Development"
_HTML = {"text/html": text()}
# An address of the file server takes conditions and ranges too (RFC 9110, sections 13 and 14).
_PARTS = {
    206: Answer(description="The range that was asked for", content={"*/*": {}}, headers=("ETag",)),
    304: nothing("Nothing changed", "ETag"),
    416: nothing("There is no such range"),
}
_PAGE = {
    200: Answer(description="The page", content=_HTML, headers=("ETag",)),
    404: Answer(description="The pages are not built", content=_HTML),
    **_PARTS,
}
_STATUS = record({"status": text()})

OPERATIONS: dict[str, Operation] = {
    "GET /livez": Operation(
        id="isAlive", tag=_WELL, answers={200: json("It answers", _STATUS)}, stores=False
    ),
    "GET /readyz": Operation(
        id="isReady",
        tag=_WELL,
        answers={200: json("It is ready", _STATUS)},
        refuses=(Unavailable,),
        stores=False,
    ),
    "GET /metrics": Operation(
        id="showMetrics",
        tag=_WELL,
        description="Where they are not open, for keys of the whole platform with the scope `read`.",
        answers={200: Answer(description="For Prometheus", content={"text/plain": text()})},
        refuses=BY_ACCESS["platform"],
    ),
    "GET /": Operation(
        id="showDemo",
        tag=_PAGES,
        answers=_PAGE,
        stores=False,
    ),
    "GET /static/{path}": Operation(
        id="showFile",
        tag=_PAGES,
        parameters=(path("path", text(pattern="^[A-Za-z0-9._-]{1,200}$", examples=["index.html"])),),
        answers={200: Answer(description="The file", content={"*/*": {}}, headers=("ETag",)), **_PARTS},
        refuses=(Missing,),
        stores=False,
    ),
    "GET /openapi.json": Operation(
        id="describeRest",
        tag=_PAGES,
        answers={200: json("OpenAPI 3.1", {"type": "object"})},
        stores=False,
    ),
    "GET /asyncapi.json": Operation(
        id="describeEvents",
        tag=_PAGES,
        answers={200: json("AsyncAPI 3.0", {"type": "object"})},
        stores=False,
    ),
    "GET /admin": Operation(
        id="showDashboard",
        tag=_PAGES,
        answers=_PAGE,
        stores=False,
    ),
    "GET /docs": Operation(
        id="showDocs",
        tag=_PAGES,
        answers=_PAGE,
        stores=False,
    ),
    "GET /errors/{code}": Operation(
        id="showError",
        tag=_PAGES,
        parameters=(path("code", text(pattern="^[a-z_]{1,64}$", examples=["validation_failed"])),),
        answers={200: Answer(description="What the code means, and what to do", content=_HTML)},
        refuses=(Missing,),
        stores=False,
    ),
    "GET /dev/outbox": Operation(
        id="showOutbox",
        tag=_DEVELOPMENT,
        parameters=(
            query("limit", whole(minimum=1, maximum=500, default=100)),
            query("format", words(("json",)), "JSON for a browser too"),
        ),
        answers={
            200: Answer(
                description="Newest first",
                content={"application/json": many(ref("SandboxMessage")), "text/html": text()},
            )
        },
        refuses=(Invalid, ValidationFailed),
    ),
    "POST /dev/notifications/test": Operation(
        id="sendTest", tag=_DEVELOPMENT, answers={202: TAKEN}, refuses=(RateLimited,)
    ),
    "GET /dev/demo": Operation(
        id="listDemoPeople",
        tag=_DEVELOPMENT,
        answers={200: json("People with tokens", ref("DemoPeople"))},
        stores=False,
    ),
    "POST /dev/demo/booking": Operation(
        id="sendDemoBooking",
        tag=_DEVELOPMENT,
        body=ref("DemoBooking"),
        examples={"a new booking": {"tenant": "city-hotel", "guest": "ana", "type": "booking.created"}},
        answers={202: TAKEN},
        refuses=(RateLimited, TypeUnknown),
    ),
}
