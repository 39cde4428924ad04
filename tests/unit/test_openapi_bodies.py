"""The schemas of bodies agree with what reads them: what fits is accepted, what does not is refused.

What no schema can say is refused for one of `REASONS`, which the description has in words. Bodies are made
from the schemas, good ones and bad ones; whether one fits is decided by the schema itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode

from hub.domain.access import TENANT_PATTERN
from hub.domain.errors import ValidationFailed
from hub.services.wire import dumps, loads
from hub.web import admin_bodies, bodies, broadcast, places, rules, wishes
from hub.web.openapi.document import document
from hub.web.routes import ROUTES
from tests.doors import OPTIONS

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
TENANT = "acme"
READERS: dict[str, Callable[[Any], object]] = {
    "POST /notifications": lambda body: bodies.notification(body, tenant=TENANT, options=OPTIONS),
    "POST /notifications/explain": lambda body: bodies.notification(body, tenant=TENANT, options=OPTIONS),
    "POST /events": lambda body: bodies.event(body, tenant=TENANT, options=OPTIONS),
    "POST /api/sse/broadcast": lambda body: broadcast.draft_of(body, tenant=TENANT, options=OPTIONS),
    "PUT /users/{id}": lambda body: bodies.person(body, user="42"),
    "PUT /me/location": lambda body: places.require_location(body, max_radius=OPTIONS.near_radius),
    "PATCH /notifications/preferences": wishes.change,
    "POST /notifications/preferences": wishes.change,
    "PUT /admin/preferences": wishes.defaults,
    "PUT /users/batch": lambda body: bodies.people(body, options=OPTIONS),
    "POST /admin/notifications/broadcast": lambda body: admin_bodies.broadcast(
        body, tenant=TENANT, options=OPTIONS
    ),
    "POST /admin/revoke": lambda body: admin_bodies.revoke(body, now=NOW),
    "POST /admin/api-keys": admin_bodies.key,
    "POST /admin/tenants": admin_bodies.tenant,
    "PATCH /admin/tenants/{id}": admin_bodies.retention,
    "PUT /admin/types/{type}": rules.said,
}
# Entries of a batch are judged one by one, by the reader of POST /notifications. What is good in the others
# no schema can say: keys of a curve, an address that its channel can use, a template that can be rendered.
# Their tests are test_push_subscriptions.py, test_suppressions.py and test_templates_own.py.
JUDGED_ELSEWHERE = {
    "POST /notifications/batch",
    "POST /dev/demo/booking",
    "POST /me/push-subscriptions",
    "POST /admin/suppressions",
    "PUT /admin/templates/{type}/{channel}",
    "POST /admin/templates/preview",
}
# What a schema cannot say, as the words of a refusal: each stands in the description too.
REASONS = re.compile(
    r"must be later than sendAt|is a name of the protocol itself|may not be a \w+: link"
    r"|is the room of another tenant|is a second user object|is a second place|must be a time zone"
    r"|lies in the future|must name one of|differs from the id in the path|may have at most \d+ bytes"
    r"|must be an ISO 8601 time|must be a phone number"
)
TYPE = re.compile(r"[A-Za-z0-9_.:-]{1,128}")  # judged when the type is looked up


def refused(reader: Callable[[Any], object], body: Any) -> list[str]:
    """The faults of a body; none: it is accepted."""
    try:
        if not isinstance(body, list):
            bodies.require_object(body)
        reader(body)
    except ValidationFailed as refusal:
        return [f"{fault['field']} {fault['message']}" for fault in refusal.errors]
    return [] if type_is_good(body) and tenant_is_good(body) else ["judged later"]


def type_is_good(body: Any) -> bool:
    inner = body.get("notification", body) if isinstance(body, dict) else {}
    return TYPE.fullmatch(inner.get("type", "test")) is not None


def tenant_is_good(body: Any) -> bool:
    tenant = body.get("tenantId") if isinstance(body, dict) else None
    if isinstance(tenant, bool) or not isinstance(tenant, str | int | None):
        return False
    return tenant is None or TENANT_PATTERN.fullmatch(str(tenant)) is not None


def as_sent(body: Any) -> Any:
    """As it arrives. JSON knows no difference between 7 and 7.0, but who writes an id writes 7."""
    if isinstance(body, float) and body.is_integer():
        return int(body)
    if isinstance(body, list):
        return [as_sent(item) for item in body]
    return {name: as_sent(value) for name, value in body.items()} if isinstance(body, dict) else body


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document(ROUTES, OPTIONS)


def test_every_body_has_a_reader_here(described: dict[str, Any]) -> None:
    with_bodies = {
        f"{method.upper()} {path}"
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    assert with_bodies - JUDGED_ELSEWHERE == set(READERS)


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
@pytest.mark.parametrize("route", READERS)
def test_what_fits_is_accepted_and_what_does_not_is_refused(
    described: dict[str, Any], route: str, mode: GenerationMode
) -> None:
    method, _, path = route.partition(" ")
    operation = schemathesis.openapi.from_dict(described)[path][method]
    body_of = described["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]
    schema = Draft202012Validator({"allOf": [body_of["schema"]], "components": described["components"]})
    seen = {True: 0, False: 0}

    @settings(
        max_examples=30,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode, headers={}, query={}, path_parameters={"id": "42"}))
    def agree(case: Any) -> None:
        try:
            body = loads(dumps(as_sent(case.body)))
        except (TypeError, ValueError):
            assume(False)
        fits = schema.is_valid(body)
        faults = refused(READERS[route], body)
        seen[fits] += 1
        if fits:
            unexpected = [fault for fault in faults if not REASONS.search(fault)]
            assert not unexpected, f"fits, but: {unexpected}\n{body}"
        else:
            assert faults, f"does not fit, but is accepted\n{body}"

    agree()
    assert seen[mode is GenerationMode.POSITIVE] > 1, seen
