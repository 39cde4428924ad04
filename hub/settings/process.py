"""The process itself, and the parts it stands on: the database, Redis, Celery's broker."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

from pydantic import SecretStr

from hub.settings.names import SettingsRefused, Theme, setting

BROKERS = ("redis://", "rediss://", "unix://", "amqp://", "amqps://")


class Process(Theme):
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

    # -- what follows from them ----------------------------------------------------------------------
    @property
    def shows_metrics(self) -> bool:
        """Whether `/metrics` asks nobody for a key."""
        return self.development if self.metrics_open is None else self.metrics_open

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
        if not url.startswith(BROKERS):
            raise SettingsRefused(f"HUB_BROKER_URL: begins with {', '.join(BROKERS[:-1])} or {BROKERS[-1]}")
        return url
