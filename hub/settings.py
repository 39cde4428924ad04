"""Every setting, with its default and its one line of documentation.

A setting `x` is read from `HUB_X`, or from the older name listed with it. Unset, everything falls back
to development defaults that need nothing from outside. `require_safe` is the production rule: it refuses
to start and says which setting to change. Only the command line and `app.py` read settings; everything
below is told what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, AliasGenerator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEVELOPMENT_SECRET = "development-secret-never-for-production"  # noqa: S105  (refused in production)
DEVELOPMENT_KEY = "hub_development_key_never_for_production"
MIN_SECRET_BYTES = 32
EmailProvider = Literal["sendgrid", "resend", "smtp", "sandbox"]
SmsProvider = Literal["twilio", "gateway", "sandbox"]
DiscordProvider = Literal["discord", "apprise", "sandbox"]
WebPushProvider = Literal["webpush", "sandbox"]
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


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,  # compose files and shells say "unset" with an empty text
        extra="ignore",
        populate_by_name=True,
        validate_default=True,
        alias_generator=AliasGenerator(validation_alias=lambda field: AliasChoices(*names(field))),
    )

    # -- the process ---------------------------------------------------------------------------------
    env: Literal["development", "production", "test"] = setting(
        "development", "`production` refuses unsafe settings; `development` adds the demo and `/dev` pages"
    )
    host: str = setting("127.0.0.1", "address to listen on")
    port: int = setting(8000, "port to listen on", ge=1, le=65535)
    workers: int = setting(1, "hub processes sharing the port (`hub serve --workers`)", ge=1, le=256)
    data_dir: str = setting(".hub", "where development keeps its database and its Valkey")
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "least level that is logged")
    log_json: bool = setting(False, "log as JSON lines (always on in production)")
    public_url: str | None = setting(None, "address under which the outside reaches the hub, for links")
    metrics_open: bool | None = setting(
        None, "whether `/metrics` is shown without a platform's API key; unset: only in development"
    )
    drain_seconds: float = setting(5.0, "time to flush connections after SIGTERM, in seconds", ge=0, le=60)
    tls_cert: str | None = setting(
        None, "PEM file of the server's certificate and its chain: `hub serve` then speaks TLS"
    )
    tls_key: str | None = setting(None, "PEM file of the certificate's key")

    # -- parts ---------------------------------------------------------------------------------------
    database_url: str | None = setting(None, "SQLAlchemy or plain URL; unset: SQLite in the data directory")
    database_pool: int = setting(10, "PostgreSQL connections per process", ge=1, le=200)
    database_timeout: float = setting(5.0, "give up on the database after this many seconds (503)", gt=0)
    redis_url: str | None = setting(None, "Redis or Valkey; unset: built from REDIS_HOST")
    redis_host: str | None = setting(None, "used when no Redis URL is given")
    redis_port: int = setting(6379, "used with the Redis host", ge=1, le=65535)
    redis_password: SecretStr | None = setting(None, "used with the Redis host")
    redis_prefix: str = setting("hub", "first part of every key and channel in Redis")
    broker_url: str | None = setting(None, "Celery's broker; unset: the same Redis")
    bus_key: SecretStr | None = setting(
        None, "signs what processes tell each other; stock Socket.IO emitters are refused when set"
    )

    # -- who may come --------------------------------------------------------------------------------
    jwt_secret: SecretStr | None = setting(
        None, "HS256 secret, at least 32 bytes; unset: a fixed one in development"
    )
    jwt_algorithms: Annotated[list[str], NoDecode] = setting(
        ["HS256"], "algorithms that are accepted (one family per key)"
    )
    jwt_jwks: str | None = setting(None, "file or https URL of a JWKS, for RS256, ES256 or EdDSA")
    jwt_expires_in: int = setting("7d", "life of the tokens that `hub token` makes: seconds, or 15m, 12h, 7d")
    jwt_audience: str | None = setting(None, "required `aud`, when set")
    jwt_issuer: str | None = setting(None, "required `iss`, when set")
    unsubscribe_key: SecretStr | None = setting(
        None,
        "signs links to unsubscribe (32 bytes or more); unset: made from JWT_SECRET; with neither: no links",
    )
    token_cookie: str = setting("access_token", "name of the cookie that may hold the token")
    token_in_query: bool = setting(True, "whether `?token=` is read")
    auto_tenants: bool | None = setting(
        None, "create a tenant when it is first named; unset: only in development"
    )
    custom_types: bool = setting(True, "accept event types that the registry does not know")
    types_file: str | None = setting(
        None, "a TOML file of event types, over those that come with the hub; unset: only those"
    )
    types_per_tenant: int = setting(200, "types of which a tenant may have rules of its own", ge=0)
    cors_origin: Annotated[list[str], NoDecode] = setting(
        [],
        "origins that browsers may call from, separated by commas; unset: localhost in development",
    )
    trusted_proxies: Annotated[list[str], NoDecode] = setting(
        [], "addresses or networks whose X-Forwarded-For and -Proto are believed"
    )

    # -- limits --------------------------------------------------------------------------------------
    max_body_bytes: int = setting(1 << 20, "largest request body", ge=1024)
    max_data_bytes: int = setting(64 << 10, "largest `data` of an event, encoded", ge=256)
    max_json_depth: int = setting(32, "deepest JSON accepted", ge=4, le=200)
    max_batch: int = setting(1000, "most notifications in one batch", ge=1)
    max_rooms: int = setting(1000, "most rooms in `to`, and most people that `near` finds", ge=1)
    near_radius: float = setting(
        50_000, "largest `radiusMeters` of `near`; of a location, the roughest `accuracy`", ge=1, le=500_000
    )
    location_seconds: float = setting(
        900.0, "seconds for which a user is where the last update said", ge=1, le=86400
    )
    body_timeout: float = setting(15.0, "seconds a request body may take to arrive", gt=0)
    tenant_events_per_minute: int | None = setting(
        None, "events one tenant may send in a minute, over all processes; unset: no limit", ge=1
    )
    rate_limit_window_ms: int = setting(5000, "window of the events a connection may send", ge=100)
    rate_limit_max_requests: int = setting(10, "events a connection may send in the window", ge=1)
    connections: int = setting(
        100_000, "open connections of one process; never more than nine tenths of the files it may open", ge=1
    )
    connections_per_address: int = setting(
        10_000, "open connections from one address (IPv6: one /64), per process", ge=1
    )
    connections_per_tenant: int | None = setting(
        None, "open connections of one tenant, per process; unset: no limit", ge=1
    )
    connections_per_user: int = setting(20, "open connections of one user, per process", ge=1)
    handshakes: int = setting(10_000, "connections of one process that are not yet let in", ge=1)
    handshakes_per_address: int = setting(1000, "the same from one address", ge=1)
    head_timeout: float = setting(10.0, "seconds a new connection may take to send its request's head", gt=0)
    keepalive_timeout: float = setting(
        75.0, "seconds an HTTP connection may be idle between requests; more than your proxy's", gt=0
    )
    connect_timeout: float = setting(5.0, "seconds a transport may stay without CONNECT", gt=0)
    event_timeout: float = setting(10.0, "seconds one event of a client may take to be carried out", gt=0)
    ping_interval: float = setting(20.0, "seconds between pings", gt=0)
    ping_timeout: float = setting(15.0, "seconds to answer a ping", gt=0)
    outbox_bytes: int = setting(512 << 10, "unsent bytes a connection may have before it is cut", ge=16384)
    outbox_frames: int = setting(1000, "unsent packets a polling connection may have", ge=10)
    max_message_bytes: int = setting(64 << 10, "largest message from a client", ge=1024)

    # -- the log and the streams ---------------------------------------------------------------------
    heartbeat_ms: int = setting(30000, "interval of the `heartbeat` event", ge=100)
    sse_heartbeat_interval: int = setting(30000, "milliseconds between keep-alive comments", ge=100)
    sse_cleanup_interval: int = setting(
        300000, "milliseconds between looks for sessions whose connection has ended unnoticed", ge=100
    )
    sse_lifetime: float = setting(4 * 3600.0, "seconds one stream lives, give or take a tenth", gt=0)
    sse_retry_ms: int = setting(2000, "`retry:` that browsers are told", ge=0)
    replay_limit: int = setting(10000, "most events replayed to one connection", ge=0)
    recovery_seconds: float = setting(
        120.0, "seconds a dropped connection with `auth.recovery` may come back as what it was", ge=1
    )
    ring_events: int = setting(2000, "recent events kept in memory per tenant", ge=0)
    poll_seconds: float = setting(2.0, "seconds between looks for events the bus has lost", gt=0)
    hole_ms: int = setting(50, "milliseconds to wait for a straggler before reading SQL", ge=0)
    retention_days: float = setting(
        30.0, "days an event stays in the log and the inbox, where its tenant has no days of its own", gt=0
    )
    revocation_days: float = setting(
        30.0, "days a revocation is remembered, at least JWT_EXPIRES_IN; tokens must not live longer", gt=0
    )
    audit_days: float = setting(365.0, "days that what admins did is kept", gt=0)
    idempotency_hours: float = setting(24.0, "hours an Idempotency-Key is remembered", gt=0)

    # -- what comes back from providers ---------------------------------------------------------------
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

    # -- presence ------------------------------------------------------------------------------------
    presence_lease: float = setting(
        10.0, "seconds after which a process that says nothing counts as gone, with its connections", ge=1
    )
    presence_grace: float = setting(
        5.0, "seconds a user may be away before `presence:leave`, so that a reconnect shows nothing", ge=0
    )
    presence_roles: Annotated[list[str], NoDecode] = setting(
        ["ADMIN"], "roles that may see who is online, not only how many; `*`: everyone may"
    )

    # -- deliveries ----------------------------------------------------------------------------------
    email_providers: Annotated[list[EmailProvider], NoDecode] = setting(
        [],
        "who sends mail, the first that is well: sendgrid, resend, smtp, sandbox; "
        "unset: those that are configured, in this order",
    )
    sms_providers: Annotated[list[SmsProvider], NoDecode] = setting(
        [], "who sends SMS, likewise: twilio, gateway, sandbox"
    )
    discord_providers: Annotated[list[DiscordProvider], NoDecode] = setting(
        [], "who posts on Discord: discord, apprise, sandbox; unset: discord"
    )
    webpush_providers: Annotated[list[WebPushProvider], NoDecode] = setting(
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
    private_targets: Annotated[list[str], NoDecode] = setting(
        [],
        "hosts and networks that webhooks, pushes and gateways may reach although they are not public, "
        "also by http; development adds this machine",
    )
    breaker_failures: int = setting(5, "failures in a row after which a provider rests", ge=1)
    breaker_seconds: float = setting(
        30.0, "seconds it rests before one delivery tries it; doubles up to ten times that", gt=0
    )
    template_bytes: int = setting(32 << 10, "largest template of a tenant's own", ge=256, le=1 << 20)
    template_steps: int = setting(
        10_000, "steps (of loops, calls) one rendering of a tenant's own template may take", ge=100
    )
    template_characters: int = setting(
        256 << 10, "characters one rendering of a tenant's own template may make", ge=1024
    )
    templates_per_tenant: int = setting(200, "templates of its own a tenant may have", ge=0)
    provider_timeout: float = setting(15.0, "seconds one call of a provider may take in all", gt=0)
    delivery_attempts: int = setting(8, "attempts before a delivery is dead", ge=1)
    delivery_lease: float = setting(60.0, "seconds a worker may hold a delivery", gt=0)
    delivery_backoff: float = setting(10.0, "seconds before the second attempt; doubles, with jitter", gt=0)
    delivery_backoff_max: float = setting(3600.0, "longest wait between attempts, in seconds", gt=0)
    budget_email_per_tenant: int | None = setting(None, "mails of one tenant a day; unset: no limit", ge=1)
    budget_email_per_address: int | None = setting(
        None, "mails to one address a day, of one tenant; unset: no limit", ge=1
    )
    budget_sms_per_tenant: int | None = setting(1000, "SMS of one tenant a day", ge=1)
    budget_sms_per_address: int | None = setting(20, "SMS to one number a day, of one tenant", ge=1)
    budget_discord_per_tenant: int | None = setting(
        None, "Discord messages of one tenant a day; unset: no limit", ge=1
    )
    budget_discord_per_address: int | None = setting(
        None, "Discord messages to one webhook a day, of one tenant; unset: no limit", ge=1
    )
    budget_webpush_per_tenant: int | None = setting(None, "pushes of one tenant a day; unset: no limit", ge=1)
    budget_webpush_per_address: int | None = setting(
        None, "pushes to one browser a day, of one tenant; unset: no limit", ge=1
    )
    sms_countries: Annotated[list[str], NoDecode] | None = setting(
        None,
        "countries that get SMS, as two letters (ISO 3166) separated by commas; `*`: all; unset: all in "
        "development, none in production",
    )
    sweep_seconds: float = setting(5.0, "seconds between looks for deliveries that are due", gt=0)
    report_hour: int | None = setting(
        None, "hour from which admins get a report of the day before; unset: none", ge=0, le=23
    )
    report_timezone: str = setting("UTC", "IANA time zone of that hour, and of the day")
    worker_concurrency: int = setting(32, "deliveries one worker process sends at once", ge=1)

    @field_validator(
        *("jwt_algorithms", "cors_origin", "trusted_proxies", "presence_roles", "private_targets"),
        *("email_providers", "sms_providers", "discord_providers", "webpush_providers", "sms_countries"),
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    @field_validator("jwt_expires_in", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        said = seconds(value) if isinstance(value, str) else None
        return value if said is None else said

    @field_validator("report_timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("not a time zone of the IANA database, such as Asia/Ho_Chi_Minh") from None

    # -- what follows from them ----------------------------------------------------------------------
    @property
    def development(self) -> bool:
        return self.env != "production"

    @property
    def countries(self) -> frozenset[str] | None:
        """The countries that get SMS; None: all."""
        if self.sms_countries is None:
            return None if self.development else frozenset()
        return None if "*" in self.sms_countries else frozenset(map(str.upper, self.sms_countries))

    @property
    def database(self) -> str:
        """The database as a SQLAlchemy URL with an async driver."""
        url = self.database_url or f"sqlite:///{self.data_dir}/hub.db"
        scheme, _, rest = url.partition("://")
        drivers = {
            "sqlite": "sqlite+aiosqlite",
            "postgres": "postgresql+psycopg",
            "postgresql": "postgresql+psycopg",
        }
        return f"{drivers.get(scheme, scheme)}://{rest}"

    @property
    def redis(self) -> str | None:
        """The URL of the Redis that is configured, if one is."""
        if self.redis_url or not self.redis_host:
            return self.redis_url
        secret = self.redis_password.get_secret_value() if self.redis_password else ""
        login = f":{quote(secret, safe='')}@" if secret else ""
        return f"redis://{login}{self.redis_host}:{self.redis_port}/0"

    @property
    def broker(self) -> str:
        """Celery's broker. Raises `SettingsRefused` when nothing names one."""
        url = self.broker_url or self.redis
        if url is None:
            raise SettingsRefused("REDIS_URL: a worker needs a Redis or Valkey; `hub dev` brings its own")
        return url

    @property
    def secret(self) -> str:
        """The HS256 secret in force."""
        return self.jwt_secret.get_secret_value() if self.jwt_secret else DEVELOPMENT_SECRET

    @property
    def link_secret(self) -> str | None:
        """What signs links to unsubscribe. None: nothing that an outsider could not know."""
        if self.unsubscribe_key is not None:
            return self.unsubscribe_key.get_secret_value()
        weak = self.secret == DEVELOPMENT_SECRET or len(self.secret.encode()) < MIN_SECRET_BYTES
        return None if weak and not self.development else self.secret

    @property
    def creates_tenants(self) -> bool:
        return self.development if self.auto_tenants is None else self.auto_tenants

    @property
    def shows_metrics(self) -> bool:
        """Whether `/metrics` asks nobody for a key."""
        return self.development if self.metrics_open is None else self.metrics_open

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

    def _needs(self) -> Iterator[str]:
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

    def require_safe(self) -> None:
        """Raises `SettingsRefused` when production would start unsafe, naming every setting to change.

        A provider that is named and lacks a key is refused everywhere.
        """
        faults = []
        weak = self.jwt_secret is None or self.secret == DEVELOPMENT_SECRET
        if self.jwt_jwks is None and (weak or len(self.secret.encode()) < MIN_SECRET_BYTES):
            faults.append(
                f"JWT_SECRET: needs at least {MIN_SECRET_BYTES} random bytes, "
                "for example the output of: openssl rand -base64 48"
            )
        link_key = self.unsubscribe_key.get_secret_value() if self.unsubscribe_key else None
        if link_key is not None and len(link_key.encode()) < MIN_SECRET_BYTES:
            faults.append(f"HUB_UNSUBSCRIBE_KEY: needs at least {MIN_SECRET_BYTES} random bytes")
        if "*" in self.cors_origin:
            faults.append("CORS_ORIGIN: '*' is refused with credentials; list the origins of your pages")
        if self.database.startswith("sqlite") and self.workers > 1:
            faults.append("DATABASE_URL: SQLite serves one process; use PostgreSQL or HUB_WORKERS=1")
        if self.redis is None:
            faults.append("REDIS_URL: production needs a Redis or Valkey, for example redis://redis:6379/0")
        if not self.email:
            faults.append(
                "EMAIL_HOST: nobody sends mail; name your SMTP server, or a key of SendGrid or Resend"
            )
        for channel in ("email", "sms", "discord", "webpush"):
            if "sandbox" in getattr(self, channel):
                faults.append(f"HUB_{channel.upper()}_PROVIDERS: the sandbox sends nothing")
        if self.webpush and not self.vapid_private_key:
            faults.append("HUB_VAPID_PRIVATE_KEY: web push needs the output of: hub key vapid")
        if self.development:
            faults.clear()
        faults += self._needs()
        if faults:
            raise SettingsRefused("\n".join(faults))
