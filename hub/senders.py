"""What the settings mean for the outside channels: which providers send on each, in which order, and how.

Raises `SettingsRefused` for a setting that cannot work, naming it. Below the top floor nobody reads settings.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from hub.domain.message import Message
from hub.providers.receipt import Provider
from hub.providers.sandbox import Sandbox
from hub.settings import Settings, SettingsRefused

if TYPE_CHECKING:
    from hub.providers.calls import Calls
    from hub.providers.smtp import Smtp
    from hub.providers.targets import Targets

APPRISE = "apprise:"  # an address that only Apprise can use
VAPID_FILE = "vapid.key"  # in the data directory
Keep = Callable[[Message], Awaitable[None]]
Senders = dict[str, list[Provider]]


def providers(settings: Settings, keep: Keep) -> Senders:
    """The providers of each outside channel, the first choice first. `keep` is for the sandbox."""
    chosen = {
        "email": settings.email,
        "sms": settings.sms,
        "discord": settings.discord,
        "webpush": settings.webpush,
    }
    make = _makers(settings, keep)
    return {channel: [make[name]() for name in names] for channel, names in chosen.items() if names}


def admins_webhook(settings: Settings) -> str | None:
    """Where the admins read together: their webhook, or with Apprise what stands for one."""
    if settings.discord_webhook_url is not None:
        return _secret(settings.discord_webhook_url)
    return APPRISE if "apprise" in settings.discord else None


def smtp(settings: Settings) -> Smtp:
    from hub.providers.smtp import Smtp

    return Smtp(
        host=settings.email_host or "localhost",
        port=settings.email_port,
        user=settings.email_user,
        password=_secret(settings.email_pass) or None,
        sender=settings.email_from,
        tls=settings.email_tls,
        timeout=settings.provider_timeout,
    )


def vapid_public_key(settings: Settings) -> str | None:
    """What browsers need to subscribe; None: this hub sends no web push."""
    if not settings.webpush:
        return None
    from hub.providers.vapid import public_key

    try:
        return public_key(_vapid(settings))
    except ValueError as fault:
        raise SettingsRefused(f"HUB_VAPID_PRIVATE_KEY: {fault}") from None


def _makers(settings: Settings, keep: Keep) -> dict[str, Callable[[], Provider]]:
    """How each provider is made. What one is made of is imported only when it is."""
    timeout = settings.provider_timeout
    bounds: dict[str, Any] = {"timeout": timeout, "threads": settings.worker_concurrency}

    def calls() -> Calls:
        from hub.providers.calls import Calls

        return Calls(targets(settings), timeout=timeout)

    def sendgrid() -> Provider:
        from hub.providers.sendgrid import SendGrid

        key, sender, url = _secret(settings.sendgrid_api_key), settings.email_from, settings.sendgrid_url
        return SendGrid(key, sender=sender, url=url, **bounds)

    def resend() -> Provider:
        from hub.providers.resend import Resend

        key, sender, url = _secret(settings.resend_api_key), settings.email_from, settings.resend_url
        return Resend(key, sender=sender, url=url, **bounds)

    def twilio() -> Provider:
        from hub.providers.twilio import Twilio

        callback = (
            f"{settings.public_url.rstrip('/')}/providers/twilio/status" if settings.public_url else None
        )
        return Twilio(
            settings.twilio_account_sid or "",
            _secret(settings.twilio_auth_token),
            sender=settings.twilio_phone_number or "",
            url=settings.twilio_url,
            callback=callback,
            **bounds,
        )

    def gateway() -> Provider:
        from hub.providers.gateway import Gateway, GatewayMisconfigured

        try:
            return Gateway(
                calls(),
                _secret(settings.sms_gateway_url),
                method=settings.sms_gateway_method,
                headers=_headers(settings.sms_gateway_headers),
                body=_secret(settings.sms_gateway_body),
                format=settings.sms_gateway_format,
                sender=settings.sms_gateway_sender,
                success=settings.sms_gateway_success,
                retry=settings.sms_gateway_retry,
                id=settings.sms_gateway_id,
            )
        except GatewayMisconfigured as fault:
            raise SettingsRefused(f"HUB_SMS_GATEWAY_{fault.part.upper()}: {fault}") from None

    def discord() -> Provider:
        from hub.providers.discord import Discord

        return Discord(calls())

    def webpush() -> Provider:
        from hub.providers.webpush import WebPush

        key, subject, ttl = _vapid(settings), settings.vapid_subject, settings.webpush_ttl
        try:
            return WebPush(calls(), key, subject=subject, ttl=ttl)
        except ValueError as fault:
            raise SettingsRefused(f"HUB_VAPID_PRIVATE_KEY: {fault}") from None

    def apprise() -> Provider:
        from hub.providers.apprise import Apprise, AppriseRefused

        try:
            return Apprise(_secret(settings.apprise_urls).split(), targets(settings), timeout=timeout)
        except AppriseRefused as fault:
            raise SettingsRefused(f"HUB_APPRISE_URLS: {fault}") from None

    return {
        "sandbox": lambda: Sandbox(keep),
        "smtp": lambda: smtp(settings),
        "sendgrid": sendgrid,
        "resend": resend,
        "twilio": twilio,
        "gateway": gateway,
        "discord": discord,
        "webpush": webpush,
        "apprise": apprise,
    }


def targets(settings: Settings) -> Targets:
    """Where requests may go whose URL a user has chosen."""
    from hub.providers.targets import Targets

    return Targets(allowed=settings.private_targets, loopback=settings.development)


def _vapid(settings: Settings) -> str:
    """The private key: the configured one, or development's own."""
    from hub.providers.vapid import kept

    if settings.vapid_private_key is not None:
        return _secret(settings.vapid_private_key)
    return kept(Path(settings.data_dir) / VAPID_FILE)


def _headers(given: SecretStr | None) -> dict[str, str]:
    try:
        headers = json.loads(_secret(given) or "{}")
    except ValueError:
        headers = None
    if not isinstance(headers, dict):
        raise SettingsRefused("HUB_SMS_GATEWAY_HEADERS: not a JSON object")
    return {str(name): str(value) for name, value in headers.items()}


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""
