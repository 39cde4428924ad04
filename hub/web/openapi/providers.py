"""What providers and mail programs call by themselves, and what they are answered."""

from __future__ import annotations

from hub.domain.errors import (
    BodyTimeout,
    BodyTooLarge,
    Invalid,
    LinkInvalid,
    NotConfigured,
    SignatureInvalid,
    TenantUnknown,
    ValidationFailed,
)
from hub.web.openapi.operation import Answer, Operation, Parameter, header, nothing, path, query
from hub.web.openapi.shapes import ULID, text

_TAG = "Providers"
_READERS = "Unsubscribing"
_TAKEN = nothing("Taken, also when it was known already or names nothing that was sent from here")
_HTML = {"text/html": text()}
_TOKEN = path("token", text(pattern="^[A-Za-z0-9._-]{1,4096}$"), "what the link in the mail ends with")
_NO_LINK = Answer(description="A page that says so, for a browser", content=_HTML)
_REFUSES = (Invalid, BodyTooLarge, BodyTimeout, SignatureInvalid, NotConfigured)


def _callback(id: str, description: str, *parameters: Parameter) -> Operation:
    return Operation(
        id=id,
        tag=_TAG,
        description=description,
        parameters=parameters,
        answers={204: _TAKEN},
        refuses=_REFUSES,
    )


OPERATIONS: dict[str, Operation] = {
    "POST /providers/twilio/status": _callback(
        "takeTwilioStatus",
        "Twilio's status callback, a form. The signature covers this address as `HUB_PUBLIC_URL` says it.",
        header("X-Twilio-Signature", text()),
        query("delivery", ULID, "the delivery that the SMS was sent for"),
    ),
    "POST /providers/sendgrid/events": _callback(
        "takeSendGridEvents",
        "SendGrid's signed Event Webhook, a JSON list. The signature is at most `HUB_CALLBACK_AGE` old.",
        header("X-Twilio-Email-Event-Webhook-Signature", text()),
        header("X-Twilio-Email-Event-Webhook-Timestamp", text()),
    ),
    "POST /providers/resend/events": _callback(
        "takeResendEvents",
        "Resend's webhook, JSON, signed as Svix does at most `HUB_CALLBACK_AGE` ago.",
        header("svix-id", text()),
        header("svix-timestamp", text()),
        header("svix-signature", text()),
    ),
    "GET /unsubscribe/{token}": Operation(
        id="askToUnsubscribe",
        tag=_READERS,
        description="Changes nothing.",
        parameters=(_TOKEN,),
        answers={200: Answer(description="The page that asks", content=_HTML), 404: _NO_LINK},
        refuses=(LinkInvalid,),
        stores=False,
    ),
    "POST /unsubscribe/{token}": Operation(
        id="unsubscribe",
        tag=_READERS,
        description="A form (urlencoded or multipart) with `List-Unsubscribe=One-Click` (RFC 8058), or "
        "`leave=type` or `leave=all` from the page. Without cookies and tokens.",
        parameters=(_TOKEN,),
        answers={
            200: Answer(description="Done, also a second time", content=_HTML),
            404: _NO_LINK,
            409: Answer(description="This type cannot be switched off", content=_HTML),
        },
        refuses=(Invalid, LinkInvalid, BodyTooLarge, BodyTimeout, TenantUnknown, ValidationFailed),
    ),
}
