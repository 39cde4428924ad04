"""How a setting is written: its names, its line of documentation, lists, durations.

Every file beside this one adds the settings of its theme to the one that all of them depend on.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import AliasChoices, AliasGenerator, BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_DURATION = re.compile(r"(\d+)([smhdw]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class SettingsRefused(ValueError):
    """The configuration is not safe to start with. `str()` is one line per setting to change."""


# Older names under which programs already configure the hub.
ALIASES: dict[str, tuple[str, ...]] = {
    "log_level": ("LOG_LEVEL",),
    "database_url": ("DATABASE_URL",),
    "redis_url": ("REDIS_URL",),
    "redis_host": ("REDIS_HOST",),
    "redis_port": ("REDIS_PORT",),
    "redis_password": ("REDIS_PASSWORD",),
    "twilio_auth_token": ("TWILIO_AUTH_TOKEN",),
    "jwt_secret": ("JWT_SECRET",),
    "jwt_expires_in": ("JWT_EXPIRES_IN",),
    "cors_origin": ("CORS_ORIGIN",),
    "rate_limit_window_ms": ("RATE_LIMIT_WINDOW_MS",),
    "rate_limit_max_requests": ("RATE_LIMIT_MAX_REQUESTS",),
    "sse_heartbeat_interval": ("SSE_HEARTBEAT_INTERVAL",),
    "sse_cleanup_interval": ("SSE_CLEANUP_INTERVAL",),
    "email_host": ("EMAIL_HOST",),
    "email_port": ("EMAIL_PORT",),
    "email_user": ("EMAIL_USER",),
    "email_pass": ("EMAIL_PASS",),
    "email_from": ("EMAIL_FROM",),
    "sendgrid_api_key": ("SENDGRID_API_KEY",),
    "resend_api_key": ("RESEND_API_KEY",),
    "twilio_account_sid": ("TWILIO_ACCOUNT_SID",),
    "twilio_phone_number": ("TWILIO_PHONE_NUMBER",),
    "discord_webhook_url": ("DISCORD_WEBHOOK_URL",),
}


def names(field: str) -> tuple[str, ...]:
    """The environment variables a setting is read from, the first that is set wins."""
    return (f"HUB_{field.upper()}", *ALIASES.get(field, ()))


def seconds(text: str) -> int | None:
    """The seconds that `15m`, `12h`, `7d`, `2w` or a plain number say; None when `text` says none."""
    found = _DURATION.fullmatch(text.strip())
    return int(found[1]) * _SECONDS[found[2]] if found else None


def setting(default: Any, description: str, **limits: Any) -> Any:
    return Field(default, description=description, **limits)


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _duration(value: Any) -> Any:
    said = seconds(value) if isinstance(value, str) else None
    return value if said is None else said


COMMAS = BeforeValidator(_split)
"""A list is written with commas."""
DURATION = BeforeValidator(_duration)


class Theme(BaseSettings):
    """What runs here: for developing, in earnest, or in a test."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,  # compose files and shells say "unset" with an empty text
        extra="ignore",
        populate_by_name=True,
        validate_default=True,
        defer_build=True,  # only what is made of all themes is ever read
        alias_generator=AliasGenerator(validation_alias=lambda field: AliasChoices(*names(field))),
    )

    env: Literal["development", "production", "test"] = setting(
        "development", "`production` refuses unsafe settings; `development` adds the demo and `/dev` pages"
    )

    @property
    def development(self) -> bool:
        return self.env != "production"
