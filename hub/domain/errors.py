"""Every refusal the hub can give, as one tree.

A refusal knows its stable `code`, its HTTP status and whether trying again can help. What is written below
its name (what it means, what to do) is for those who are refused, and shown to them. It does not know how:
the doors turn it into a problem+json body, an `error` event or a `connect_error`.

    Refusal
    ├── Invalid             400  the request cannot be understood
    │   ├── JsonInvalid, EventUnknown, BodyTooLarge (413), BodyTimeout (408)
    │   ├── HeadTooLarge (431), HeadTimeout (408), ExpectationFailed (417)
    │   └── ValidationFailed (422), TypeUnknown (422), RoomInvalid (422), CursorInvalid (400)
    ├── Unauthorized        401  nobody, or nobody any more
    │   └── TokenMissing, TokenInvalid, TokenExpired, TokenRevoked
    ├── Forbidden           403  somebody, but not this
    │   └── RoomForbidden, ScopeMissing, TenantForbidden, OriginForbidden, SignatureInvalid
    ├── Missing             404  TenantUnknown, PersonUnknown, NotificationUnknown, DeliveryUnknown,
    │                            ConnectionUnknown, KeyUnknown, TemplateUnknown, RulesUnknown, LinkInvalid,
    │                            SubscriptionUnknown,
    │                            SuppressionUnknown, NotConfigured
    ├── Conflict            409  IdempotencyConflict (422), StateConflict
    ├── RateLimited         429  TooManyConnections
    └── Unavailable         503  StoreUnavailable, Draining, ProcessFull, EventTimeout
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import cleandoc
from typing import Any, ClassVar


class Refusal(Exception):
    """A request that is not carried out, with a reason its sender can act on; the general case of all others.

    `detail` says why; `errors` lists every single fault as `{"field", "message"}`.
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
    """The request cannot be understood; `detail` says why.

    Correct the request; sending it again as it is will not help.
    """

    code, title = "invalid_request", "Invalid request"


class JsonInvalid(Invalid):
    """The body is not strict JSON (RFC 8259), is nested deeper than `HUB_MAX_JSON_DEPTH`, or has a name
    twice.

    Send UTF-8 JSON without NaN, comments and trailing commas.
    """

    code, title = "json_invalid", "The body is not valid JSON"


class BodyTooLarge(Invalid):
    """The body is larger than `HUB_MAX_BODY_BYTES`.

    Send smaller batches, or keep large data elsewhere and send a link.
    """

    code, status, title = "body_too_large", 413, "The body is too large"


class BodyTimeout(Invalid):
    """The body did not arrive within `HUB_BODY_TIMEOUT`; the connection is closed.

    Send the body at once, and again when the network is better.
    """

    code, status, title = "body_timeout", 408, "The body took too long to arrive"


class HeadTooLarge(Invalid):
    """The request line and its headers are larger than the hub reads.

    Send fewer or shorter headers; a body belongs into the body, and cookies of other programs to them.
    """

    code, status, title = "head_too_large", 431, "The request's head is too large"


class HeadTimeout(Invalid):
    """The request line and its headers did not arrive in time; the connection is closed.

    Send the head of a request at once.
    """

    code, status, title = "head_timeout", 408, "The request's head took too long to arrive"


class ExpectationFailed(Invalid):
    """The request has an `Expect` header that asks for something else than `100-continue`.

    Leave the header out.
    """

    code, status, title = "expectation_failed", 417, "Expectation failed"


class ValidationFailed(Invalid):
    """Fields are wrong; `errors` lists all of them, each with its path.

    Correct every field that is listed. Nothing of the request was stored.
    """

    code, status, title = "validation_failed", 422, "The request has invalid fields"

    def __init__(self, detail: str = "", *, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        lines = detail or "; ".join(f"{fault['field']} {fault['message']}".strip() for fault in errors)
        super().__init__(lines if len(lines) <= 500 else f"{lines[:500]}...", errors=errors)


class TypeUnknown(Invalid):
    """The type is not registered and `HUB_CUSTOM_TYPES` is off, or the text is no type's name.

    Use a registered type or one of its aliases, or a name such as `noun.verb`.
    """

    code, status, title = "type_unknown", 422, "Unknown event type"


class RoomInvalid(Invalid):
    """Not a room of this tenant.

    A room is `user:`, `role:`, `tenant:`, `session:` or `topic:` and a name of 1 to 128 characters
    without spaces, slashes and commas.
    """

    code, status, title = "room_invalid", 422, "Not a room"


class EventUnknown(Invalid):
    """A client sent an event that does not exist.

    Send one of the events that `/asyncapi.json` lists.
    """

    code, title = "event_unknown", "Unknown event"


class CursorInvalid(Invalid):
    """Not a cursor, or one of another epoch, for example of before a backup was restored.

    Read the list from its start and go on from there.
    """

    code, title = "cursor_invalid", "Not a cursor"


class Unauthorized(Refusal):
    """Nobody, or nobody any more: the general case of the codes that begin with `token_`.

    Send a token or a key.
    """

    code, status, title = "unauthorized", 401, "Unauthorized"


class TokenMissing(Unauthorized):
    """No token or key was sent.

    Users send a JWT as `Authorization: Bearer`, as the cookie, or as `?ticket=`; backends send their
    key as `Authorization: Bearer hub_...` or `X-API-Key`.
    """

    code = "token_missing"


class TokenInvalid(Unauthorized):
    """Wrong signature, algorithm, audience or issuer, no `exp`, too long, a used ticket, or an unknown
    key.

    Get a new token; when every token is refused, compare the hub's JWT settings with those of who
    issues them.
    """

    code = "token_invalid"


class TokenExpired(Unauthorized):
    """The token was good once; its `exp` has passed.

    Get a new token. On a connection, answer `auth:expiring` with `refresh` in time.
    """

    code = "token_expired"


class TokenRevoked(Unauthorized):
    """The token or the key was called back.

    Sign in again, or ask an admin for a new key.
    """

    code = "token_revoked"


class Forbidden(Refusal):
    """The caller is known, but may not do this.

    Ask with other credentials; `detail` says which it takes.
    """

    code, status, title = "forbidden", 403, "Forbidden"


class RoomForbidden(Forbidden):
    """The token does not allow this room, or it is one that cannot be left.

    A `topic:` room needs a pattern in the token's `topics`; other rooms come from the token itself.
    """

    code, title = "room_forbidden", "This room is not yours"


class ScopeMissing(Forbidden):
    """The API key lacks the scope, or a user's token was shown where a key is needed.

    Make a key with the scope: `hub key create`.
    """

    code, title = "scope_missing", "The key lacks a scope"


class TenantForbidden(Forbidden):
    """The key or the admin belongs to another tenant than the request names.

    Leave `tenantId` and `X-Tenant-Id` out, or use a key of that tenant or of the platform.
    """

    code, title = "tenant_forbidden", "Another tenant"


class OriginForbidden(Forbidden):
    """A page called whose origin is not in `CORS_ORIGIN`.

    List the page's origin in `CORS_ORIGIN`.
    """

    code, title = "origin_forbidden", "This page may not call"


class SignatureInvalid(Forbidden):
    """What a provider is said to have sent is not signed with the configured key, or was signed too long ago.
    Nothing of it was believed.

    Compare the key with the provider's, `HUB_PUBLIC_URL` with the address the provider calls, and the clock
    with `HUB_CALLBACK_AGE`.
    """

    code, title = "signature_invalid", "The signature does not fit"


class Missing(Refusal):
    """There is no such path or file.

    Compare method and path with `/openapi.json`.
    """

    code, status, title = "not_found", 404, "Not found"


class TenantUnknown(Missing):
    """There is no such tenant, and it is not made by being named.

    Create it: `hub tenant create`, or `POST /admin/tenants`.
    """

    code, title = "tenant_unknown", "Unknown tenant"


class PersonUnknown(Missing):
    """The hub knows nobody with this id in this tenant.

    `PUT /users/{id}` creates a person.
    """

    code, title = "person_unknown", "Unknown person"


class NotificationUnknown(Missing):
    """It is not in this inbox, not of this tenant, or retention has removed it.

    Read the list again.
    """

    code, title = "notification_unknown", "Unknown notification"


class DeliveryUnknown(Missing):
    """This tenant has no such delivery.

    `GET /admin/deliveries` lists those that there are.
    """

    code, title = "delivery_unknown", "Unknown delivery"


class ConnectionUnknown(Missing):
    """There is no such connection of this tenant in any process.

    It has ended already; to keep somebody out, revoke the tokens.
    """

    code, title = "connection_unknown", "Unknown connection"


class TemplateUnknown(Missing):
    """The tenant has no template of its own for this type, channel and language.

    `GET /admin/templates` lists those that it has.
    """

    code, title = "template_unknown", "No such template"


class RulesUnknown(Missing):
    """The tenant has said nothing of this type, so there is nothing to take back.

    `GET /admin/types` lists what it has said.
    """

    code, title = "rules_unknown", "No such rules"


class KeyUnknown(Missing):
    """There is no such API key, or it was revoked already.

    `GET /admin/api-keys` lists those that there are.
    """

    code, title = "key_unknown", "Unknown API key"


class LinkInvalid(Missing):
    """The link to unsubscribe is cut off, changed, or was made with another key.

    Open it as it stands in the mail. When every link is refused, compare `HUB_UNSUBSCRIBE_KEY` with what it
    was when the mails were sent.
    """

    code, title = "link_invalid", "This link does not work"


class SubscriptionUnknown(Missing):
    """The caller has no such push subscription.

    `GET /me/push-subscriptions` lists those that there are.
    """

    code, title = "subscription_unknown", "Unknown push subscription"


class SuppressionUnknown(Missing):
    """The tenant's list of suppressed addresses has no such entry.

    `GET /admin/suppressions` lists those that there are.
    """

    code, title = "suppression_unknown", "Not suppressed"


class NotConfigured(Missing):
    """This hub has not been set up for it; `detail` names the setting.

    Configure it, or do without it.
    """

    code, title = "not_configured", "Not configured here"


class Conflict(Refusal):
    """The general case of `idempotency_conflict` and `state_conflict`.

    See `detail`.
    """

    code, status, title = "conflict", 409, "Conflict"


class IdempotencyConflict(Conflict):
    """This `Idempotency-Key` was used with another body.

    Give another request another key; repeat a request with the very same body.
    """

    code, status, title = "idempotency_conflict", 422, "This Idempotency-Key was used with another body"


class StateConflict(Conflict):
    """Not possible in the present state.

    Only deliveries that are `dead` or `unknown` can be tried again.
    """

    code, title = "state_conflict", "Not possible in this state"


class RateLimited(Refusal):
    """Too many requests or events, by this tenant or on this connection.

    Wait as long as `Retry-After` says, then send it again with the same `Idempotency-Key`.
    """

    code, status, title, retryable = "rate_limited", 429, "Too many requests", True

    def __init__(
        self, detail: str = "", *, retry_after: float | None = None, quota: tuple[int, float] | None = None
    ) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.quota = quota  # how many in how many seconds, where it is counted so


class TooManyConnections(RateLimited):
    """A cap on open connections is reached: of the user (`HUB_CONNECTIONS_PER_USER`), of the tenant or of
    the address.

    Close connections that nobody looks at, wait as long as `Retry-After` says, and connect again.
    """

    code, title = "too_many_connections", "Too many open connections"


class Unavailable(Refusal):
    """It cannot be done now.

    Wait as long as `Retry-After` says and send it again with the same `Idempotency-Key`.
    """

    code, status, title, retryable = "unavailable", 503, "Temporarily unavailable", True


class StoreUnavailable(Unavailable):
    """The database does not answer. Nothing was stored.

    Wait as long as `Retry-After` says and send it again; `/readyz` says when the hub is well.
    """

    code, title = "store_unavailable", "The database does not answer"


class Draining(Unavailable):
    """This process stops.

    Send it again: another process, or this one's successor, will answer.
    """

    code, title = "draining", "This process is shutting down"


class ProcessFull(Unavailable):
    """This process has as many connections as it may have.

    Connect again as `Retry-After` says; another process may have room.
    """

    code, title = "process_full", "This process has no room for another connection"


class EventTimeout(Unavailable):
    """An event of a client was not carried out in time, and was given up.

    Send it again; all events of clients may be repeated.
    """

    code, title = "timeout", "The event took too long"


def explanation(kind: type[Refusal]) -> tuple[str, str]:
    """What a refusal means, and what to do about it: the two paragraphs below its name."""
    meaning, _, remedy = cleandoc(kind.__doc__ or kind.title).partition("\n\n")
    return " ".join(meaning.split()), " ".join(remedy.split())


def all_refusals() -> list[type[Refusal]]:
    """Every class of the tree, for the documentation and its test."""
    found: list[type[Refusal]] = []
    todo: list[type[Refusal]] = [Refusal]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo.extend(kind.__subclasses__())
    return sorted(found, key=lambda kind: kind.code)
