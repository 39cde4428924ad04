"""Rules of event types in requests, and in an operator's file of types: what may be said."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from hub.web.bodies import Channel, Severity
from hub.web.fields import Faults, Form, Model, TenantId, TypeName, read, refuse

DAY = 24 * 3600
MAX_SECONDS = 30 * DAY


def _once(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise refuse("names a channel twice")
    return value


Seconds = Annotated[int, Field(ge=1, le=MAX_SECONDS)]
FieldName = Annotated[str, StringConstraints(max_length=128)]
Channels = Annotated[
    list[Channel], Field(max_length=5, json_schema_extra={"uniqueItems": True}), AfterValidator(_once)
]


class DigestRule(Form):
    """What leaves in one message."""

    window: Annotated[int, Field(ge=1, le=7 * DAY)]
    key: FieldName = ""


class ThrottleRule(Form):
    """How many one person gets on a channel."""

    most: Annotated[int, Field(ge=1, le=100_000)]
    seconds: Seconds


class Escalation(Form):
    """After how many seconds a channel is tried."""

    email: Seconds = 0
    sms: Seconds = 0
    discord: Seconds = 0
    webpush: Seconds = 0


class RulesBody(Form):
    """What is said of a type; what is left out is as it is."""

    channels: Channels = Field(default_factory=list)
    severity: Severity = "info"
    mutable: bool = True
    ttl_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    digest: DigestRule | None = None
    throttle: ThrottleRule | None = None
    escalate: Escalation = Escalation()


class TypeRules(RulesBody):
    """`PUT /admin/types/{type}`."""

    tenant_id: TenantId | None = None


class TypeInFile(RulesBody):
    """A table of an operator's file of types."""

    wire: TypeName = ""
    aliases: list[TypeName] = Field(default_factory=list)
    schema_: dict[str, Any] = Field(default_factory=dict, alias="schema")


def said(body: Any) -> dict[str, Any]:
    """What a tenant says of a type. Raises `ValidationFailed`."""
    faults = Faults()
    form = read(TypeRules, body, faults)
    found = {} if form is None else _dumped(form)
    found.pop("tenantId", None)
    faults.require_none()
    return found


def in_file(table: Any, faults: Faults) -> None:
    """Whether a table of an operator's file says what it may; its `digest`, `throttle` and `ttl_days` may be
    false: none."""
    if not isinstance(table, dict):
        faults.add("", "must be a table")
        return
    given = dict(table)
    for name in ("digest", "throttle", "ttl_days"):
        if given.get(name) is False:
            given[name] = None
    if "ttl_days" in given:
        given["ttlDays"] = given.pop("ttl_days")
    found = Faults()
    read(TypeInFile, given, found)
    for fault in found.errors:
        faults.add(fault["field"].replace("ttlDays", "ttl_days"), fault["message"])


def _dumped(form: Model) -> dict[str, Any]:
    return form.model_dump(by_alias=True, exclude_unset=True)
