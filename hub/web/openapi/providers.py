"""What providers call back, and what they are answered."""

from __future__ import annotations

from hub.domain.errors import BodyTimeout, BodyTooLarge, Invalid, NotConfigured, SignatureInvalid
from hub.web.openapi.operation import Operation, Parameter, header, nothing, query
from hub.web.openapi.shapes import ULID, text

_TAG = "Providers"
_TAKEN = nothing("Taken, also when it was known already or names nothing that was sent from here")
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
}
