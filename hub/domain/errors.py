"""Every refusal the hub can give, as one tree.

A refusal knows its stable `code`, its HTTP status and whether trying again can help. It does not
know how it is shown: the doors turn it into a problem+json body, an `error` event or a
`connect_error`.

    Refusal
    ├── Invalid             400  the request cannot be understood
    │   ├── JsonInvalid, EventUnknown, BodyTooLarge (413), BodyTimeout (408)
    │   └── ValidationFailed (422), TypeUnknown (422), RoomInvalid (422), CursorInvalid (400)
    ├── Unauthorized        401  nobody, or nobody any more
    │   └── TokenMissing, TokenInvalid, TokenExpired, TokenRevoked
    ├── Forbidden           403  somebody, but not this
    │   └── RoomForbidden, ScopeMissing, TenantForbidden, OriginForbidden
    ├── Missing             404  TenantUnknown, PersonUnknown, NotificationUnknown, DeliveryUnknown,
    │                            ConnectionUnknown, KeyUnknown
    ├── Conflict            409  IdempotencyConflict (422), StateConflict
    ├── RateLimited         429  TooManyConnections
    └── Unavailable         503  StoreUnavailable, Draining
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Refusal(Exception):
    """A request that is not carried out, with a reason its sender can act on.

    `errors` lists every single fault (`{"field", "message"}`), `retry_after` is in seconds.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400
    title: ClassVar[str] = "Request refused"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = list(errors)
        self.retry_after = retry_after


class Invalid(Refusal):
    code, title = "invalid_request", "Invalid request"


class JsonInvalid(Invalid):
    code, title = "json_invalid", "The body is not valid JSON"


class BodyTooLarge(Invalid):
    code, status, title = "body_too_large", 413, "The body is too large"


class BodyTimeout(Invalid):
    code, status, title = "body_timeout", 408, "The body took too long to arrive"


class ValidationFailed(Invalid):
    code, status, title = "validation_failed", 422, "The request has invalid fields"


class TypeUnknown(Invalid):
    code, status, title = "type_unknown", 422, "Unknown event type"


class RoomInvalid(Invalid):
    code, status, title = "room_invalid", 422, "Not a room"


class EventUnknown(Invalid):
    code, title = "event_unknown", "Unknown event"


class CursorInvalid(Invalid):
    code, title = "cursor_invalid", "Not a cursor"


class Unauthorized(Refusal):
    code, status, title = "unauthorized", 401, "Unauthorized"


class TokenMissing(Unauthorized):
    code = "token_missing"


class TokenInvalid(Unauthorized):
    code = "token_invalid"


class TokenExpired(Unauthorized):
    code = "token_expired"


class TokenRevoked(Unauthorized):
    code = "token_revoked"


class Forbidden(Refusal):
    code, status, title = "forbidden", 403, "Forbidden"


class RoomForbidden(Forbidden):
    code, title = "room_forbidden", "This room is not yours"


class ScopeMissing(Forbidden):
    code, title = "scope_missing", "The key lacks a scope"


class TenantForbidden(Forbidden):
    code, title = "tenant_forbidden", "Another tenant"


class OriginForbidden(Forbidden):
    code, title = "origin_forbidden", "This page may not call"


class Missing(Refusal):
    code, status, title = "not_found", 404, "Not found"


class TenantUnknown(Missing):
    code, title = "tenant_unknown", "Unknown tenant"


class PersonUnknown(Missing):
    code, title = "person_unknown", "Unknown person"


class NotificationUnknown(Missing):
    code, title = "notification_unknown", "Unknown notification"


class DeliveryUnknown(Missing):
    code, title = "delivery_unknown", "Unknown delivery"


class ConnectionUnknown(Missing):
    code, title = "connection_unknown", "Unknown connection"


class KeyUnknown(Missing):
    code, title = "key_unknown", "Unknown API key"


class Conflict(Refusal):
    code, status, title = "conflict", 409, "Conflict"


class IdempotencyConflict(Conflict):
    code, status, title = "idempotency_conflict", 422, "This Idempotency-Key was used with another body"


class StateConflict(Conflict):
    code, title = "state_conflict", "Not possible in this state"


class RateLimited(Refusal):
    code, status, title, retryable = "rate_limited", 429, "Too many requests", True


class TooManyConnections(RateLimited):
    code, title = "too_many_connections", "Too many open connections"


class Unavailable(Refusal):
    code, status, title, retryable = "unavailable", 503, "Temporarily unavailable", True


class StoreUnavailable(Unavailable):
    code, title = "store_unavailable", "The database does not answer"


class Draining(Unavailable):
    code, title = "draining", "This process is shutting down"


def all_refusals() -> list[type[Refusal]]:
    """Every class of the tree, for the documentation and its test."""
    found: list[type[Refusal]] = []
    todo: list[type[Refusal]] = [Refusal]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo.extend(kind.__subclasses__())
    return sorted(found, key=lambda kind: kind.code)
