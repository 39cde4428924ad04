"""Who sends: the providers of each channel, their keys, what they say later, and when one rests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import SecretStr
from pydantic_settings import NoDecode

from hub.settings.names import COMMAS, Theme, setting

EmailProvider = Literal["sendgrid", "resend", "smtp", "sandbox"]
SmsProvider = Literal["twilio", "gateway", "sandbox"]
DiscordProvider = Literal["discord", "apprise", "sandbox"]
WebPushProvider = Literal["webpush", "sandbox"]


class Providers(Theme):
    email_providers: Annotated[list[EmailProvider], NoDecode, COMMAS] = setting(
        [],
        "who sends mail, the first that is well: sendgrid, resend, smtp, sandbox; "
        "unset: those that are configured, in this order",
    )
    sms_providers: Annotated[list[SmsProvider], NoDecode, COMMAS] = setting(
        [], "who sends SMS, likewise: twilio, gateway, sandbox"
    )
    discord_providers: Annotated[list[DiscordProvider], NoDecode, COMMAS] = setting(
        [], "who posts on Discord: discord, apprise, sandbox; unset: discord"
    )
    webpush_providers: Annotated[list[WebPushProvider], NoDecode, COMMAS] = setting(
        [], "who pushes to browsers: webpush, sandbox; unset: webpush where there is a VAPID key"
    )
    email_host: str | None = setting(None, "SMTP server")
    email_port: int = setting(587, "SMTP port (465: TLS from the start)", ge=1, le=65535)
    email_user: str | None = setting(None, "SMTP user")
    email_pass: SecretStr | None = setting(None, "SMTP password")
    email_from: str = setting("Hub <notifications@localhost>", "sender of mails")
    email_tls: Literal["auto", "starttls", "tls", "none"] = setting(
        "auto",
        "`auto`: TLS on 465, else STARTTLS when offered; required where a password would cross a network",
    )
    sms_segments: int = setting(
        3,
        "segments a text message may have (160 letters, or 70 where there are others); the rest is cut",
        ge=1,
        le=10,
    )
    sendgrid_api_key: SecretStr | None = setting(None, "SendGrid's API key")
    sendgrid_url: str = setting("https://api.sendgrid.com", "where SendGrid is (the EU has another)")
    resend_api_key: SecretStr | None = setting(None, "Resend's API key")
    resend_url: str = setting("https://api.resend.com", "where Resend is")
    twilio_account_sid: str | None = setting(None, "Twilio's account (AC...)")
    twilio_phone_number: str | None = setting(None, "sender of SMS: a number, or a messaging service (MG...)")
    twilio_url: str = setting("https://api.twilio.com", "where Twilio is")
    sms_gateway_url: SecretStr | None = setting(
        None, "URL of an SMS gateway, a template of `to`, `number`, `text`, `id` and `sender`"
    )
    sms_gateway_method: Literal["GET", "POST", "PUT"] = setting("POST", "method of its request")
    sms_gateway_headers: SecretStr | None = setting(None, "headers of its request, as a JSON object")
    sms_gateway_body: SecretStr = setting(
        SecretStr('{"to": {{ to | tojson }}, "text": {{ text | tojson }}}'),
        "template of its body, which makes a JSON object",
    )
    sms_gateway_format: Literal["json", "form"] = setting("json", "whether that is sent as JSON or as a form")
    sms_gateway_sender: str = setting("", "`sender` in its templates")
    sms_gateway_success: str = setting(
        "200 <= status < 300", "expression of `status`, `json` and `text` that is true when it took the SMS"
    )
    sms_gateway_retry: str | None = setting(
        None, "expression that is true when another try may succeed; 408, 409, 425, 429 and 5xx are so anyway"
    )
    sms_gateway_id: str | None = setting(None, "expression of its name for the SMS, for example `json.id`")
    discord_webhook_url: SecretStr | None = setting(
        None,
        "webhook of the admins together: what goes on Discord to `role:ADMIN` or a whole tenant "
        "stands there once",
    )
    vapid_private_key: SecretStr | None = setting(
        None, "key of web push, made by `hub key vapid`; unset: one in the data directory, in development"
    )
    vapid_subject: str = setting(
        "mailto:admin@example.com", "mailto: or https: address by which push services reach you"
    )
    webpush_ttl: int = setting(86400, "seconds a push waits for a browser that is away", ge=0)
    apprise_urls: SecretStr | None = setting(
        None,
        "services of Apprise for `apprise`, separated by spaces (needs `pip install realtime-hub[apprise]`)",
    )
    private_targets: Annotated[list[str], NoDecode, COMMAS] = setting(
        [],
        "hosts and networks that webhooks, pushes and gateways may reach although they are not public, "
        "also by http; development adds this machine",
    )
    breaker_failures: int = setting(5, "failures in a row after which a provider rests", ge=1)
    breaker_seconds: float = setting(
        30.0, "seconds it rests before one delivery tries it; doubles up to ten times that", gt=0
    )
    provider_timeout: float = setting(15.0, "seconds one call of a provider may take in all", gt=0)

    # -- what comes back from them --------------------------------------------------------------------
    twilio_auth_token: SecretStr | None = setting(None, "Twilio's auth token; it signs status callbacks too")
    sendgrid_webhook_key: SecretStr | None = setting(
        None, "verification key of SendGrid's signed Event Webhook, as its page shows it"
    )
    resend_webhook_secret: SecretStr | None = setting(
        None, "signing secret of Resend's webhook (`whsec_...`)"
    )
    callback_age: float = setting(
        300.0,
        "seconds that what a provider has signed may be old, or ahead of this clock (Resend: 300 at most)",
        gt=0,
        le=3600,
    )
    callback_events: int = setting(5000, "most events in one post of a provider", ge=1)
    push_subscriptions: int = setting(
        20, "browsers of one user that get web push; one more, and the one unused for longest goes", ge=1
    )

    # -- what follows from them ----------------------------------------------------------------------
    @property
    def email(self) -> Sequence[EmailProvider]:
        """Who sends mail, in order; in development the sandbox when nobody is configured."""
        configured: list[tuple[EmailProvider, object]] = [
            ("sendgrid", self.sendgrid_api_key),
            ("resend", self.resend_api_key),
            ("smtp", self.email_host),
        ]
        return self.email_providers or self._or_sandbox([name for name, key in configured if key])

    @property
    def sms(self) -> Sequence[SmsProvider]:
        configured: list[tuple[SmsProvider, object]] = [
            ("twilio", self.twilio_account_sid),
            ("gateway", self.sms_gateway_url),
        ]
        return self.sms_providers or self._or_sandbox([name for name, key in configured if key])

    @property
    def discord(self) -> Sequence[DiscordProvider]:
        """A webhook is its own key, so there is nothing to configure; in development nobody is disturbed."""
        sends = self.discord_webhook_url is not None or not self.development
        return self.discord_providers or (["discord"] if sends else ["sandbox"])

    @property
    def webpush(self) -> Sequence[WebPushProvider]:
        configured: list[WebPushProvider] = ["webpush"] if self.vapid_private_key else []
        return self.webpush_providers or self._or_sandbox(configured)

    def _or_sandbox(self, configured: list[Any]) -> list[Any]:
        return configured or (["sandbox"] if self.development else [])

    def needs(self) -> Iterator[str]:
        """What a provider that was named lacks."""
        wanted: tuple[tuple[str, Sequence[str], object, str], ...] = (
            ("sendgrid", self.email, self.sendgrid_api_key, "SENDGRID_API_KEY"),
            ("resend", self.email, self.resend_api_key, "RESEND_API_KEY"),
            ("smtp", self.email, self.email_host, "EMAIL_HOST"),
            ("twilio", self.sms, self.twilio_account_sid, "TWILIO_ACCOUNT_SID"),
            ("twilio", self.sms, self.twilio_auth_token, "TWILIO_AUTH_TOKEN"),
            ("twilio", self.sms, self.twilio_phone_number, "TWILIO_PHONE_NUMBER"),
            ("gateway", self.sms, self.sms_gateway_url, "HUB_SMS_GATEWAY_URL"),
            ("apprise", self.discord, self.apprise_urls, "HUB_APPRISE_URLS"),
        )
        for provider, chosen, value, name in wanted:
            if provider in chosen and not value and (provider != "smtp" or not self.development):
                yield f"{name}: {provider} needs it"
