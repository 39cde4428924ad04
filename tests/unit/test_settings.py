"""Settings: every name works, production refuses what is unsafe and names it, secrets do not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from hub.commands.start import load, load_safe
from hub.settings import ALIASES, DEVELOPMENT_SECRET, Settings, SettingsRefused, names, seconds

CONTRACT = frozenset(
    """
    JWT_SECRET JWT_EXPIRES_IN CORS_ORIGIN RATE_LIMIT_WINDOW_MS RATE_LIMIT_MAX_REQUESTS SSE_HEARTBEAT_INTERVAL
    SSE_CLEANUP_INTERVAL LOG_LEVEL REDIS_HOST REDIS_PORT REDIS_PASSWORD EMAIL_HOST EMAIL_PORT EMAIL_USER
    EMAIL_PASS EMAIL_FROM DATABASE_URL REDIS_URL SENDGRID_API_KEY RESEND_API_KEY TWILIO_ACCOUNT_SID
    TWILIO_AUTH_TOKEN TWILIO_PHONE_NUMBER DISCORD_WEBHOOK_URL
""".split()  # noqa: SIM905  (read like the contract)
)
SAFE = {
    "HUB_ENV": "production",
    "JWT_SECRET": "x" * 32,
    "REDIS_URL": "redis://redis:6379/0",
    "EMAIL_HOST": "smtp.example.com",
    "CORS_ORIGIN": "https://example.com",
}
# A value of each setting that differs from its default, as the environment would hold it, and what it means.
SAMPLES: dict[str, tuple[str, Any]] = {
    "env": ("test", "test"),
    "log_level": ("debug", "debug"),
    "jwt_expires_in": ("12h", 43200),
    "jwt_algorithms": ("RS256, ES256", ["RS256", "ES256"]),
    "cors_origin": ("https://a.example,https://b.example", ["https://a.example", "https://b.example"]),
    "trusted_proxies": ("10.0.0.1,10.1.0.0/16", ["10.0.0.1", "10.1.0.0/16"]),
    "presence_roles": ("ADMIN, PROFESSIONAL", ["ADMIN", "PROFESSIONAL"]),
    "email_providers": ("sendgrid, smtp", ["sendgrid", "smtp"]),
    "sms_providers": ("gateway", ["gateway"]),
    "discord_providers": ("apprise", ["apprise"]),
    "webpush_providers": ("webpush", ["webpush"]),
    "private_targets": ("10.0.0.0/8,sms.internal", ["10.0.0.0/8", "sms.internal"]),
    "report_timezone": ("Asia/Ho_Chi_Minh", "Asia/Ho_Chi_Minh"),
    "sms_gateway_method": ("PUT", "PUT"),
    "sms_gateway_format": ("form", "form"),
    "email_tls": ("none", "none"),
    "max_json_depth": ("33", 33),
    "sms_countries": ("de, VN", ["de", "VN"]),
}
ALL_NAMES = [(field, name) for field in Settings.model_fields for name in names(field)]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests, and no `.env` of theirs."""
    for _, name in ALL_NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def sample(field: str) -> tuple[str, Any]:
    default = Settings.model_fields[field].get_default()
    if field in SAMPLES:
        return SAMPLES[field]
    if isinstance(default, bool):
        return str(not default).lower(), not default
    if isinstance(default, int | float):
        return str(default + 1), default + 1
    kind = str(Settings.model_fields[field].annotation)
    for word, given in (("bool", ("true", True)), ("int", ("7", 7)), ("float", ("7.5", 7.5))):
        if word in kind:
            return given
    return "something", "something"


def plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.parametrize(("field", "name"), ALL_NAMES, ids=lambda value: value)
def test_every_name_of_every_setting_is_read(field: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, meaning = sample(field)
    assert plain(getattr(Settings(), field)) != meaning
    monkeypatch.setenv(name, text)
    assert plain(getattr(Settings(), field)) == meaning


def test_the_names_that_programs_already_use_are_all_there() -> None:
    assert {alias for aliases in ALIASES.values() for alias in aliases} >= CONTRACT
    assert set(ALIASES) <= set(Settings.model_fields)


def test_the_hub_name_wins_over_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "error")
    monkeypatch.setenv("HUB_LOG_LEVEL", "debug")
    assert Settings().log_level == "debug"


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HUB_PORT=9001\nJWT_EXPIRES_IN=1h\nNOT_A_SETTING=1\n")
    monkeypatch.setenv("HUB_PORT", "9002")
    settings = Settings()
    assert (settings.port, settings.jwt_expires_in) == (9002, 3600)


def test_an_empty_text_means_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    untouched = Settings().model_dump()
    for _, name in ALL_NAMES:
        monkeypatch.setenv(name, "")
    assert Settings().model_dump() == untouched


def test_nothing_set_is_a_development_hub_that_needs_nothing() -> None:
    settings = load_safe()
    assert settings.development
    assert settings.redis is None
    assert settings.database == "sqlite+aiosqlite:///.hub/hub.db"
    assert settings.secret == DEVELOPMENT_SECRET
    assert settings.creates_tenants
    assert settings.email == settings.sms == settings.discord == settings.webpush == ["sandbox"]


@pytest.mark.parametrize(
    ("given", "driven"),
    [
        ("postgres://u:p@db/hub", "postgresql+psycopg://u:p@db/hub"),
        ("postgresql://u:p@db/hub", "postgresql+psycopg://u:p@db/hub"),
        ("postgresql+psycopg://u:p@db/hub", "postgresql+psycopg://u:p@db/hub"),
        ("sqlite:////var/lib/hub.db", "sqlite+aiosqlite:////var/lib/hub.db"),
    ],
)
def test_a_database_is_named_as_anybody_would_name_it(given: str, driven: str) -> None:
    assert Settings(database_url=given).database == driven


def test_redis_can_be_given_in_parts() -> None:
    assert Settings(redis_host="cache").redis == "redis://cache:6379/0"
    settings = Settings(redis_host="cache", redis_port=7000, redis_password="p@ss/word")
    assert settings.redis == "redis://:p%40ss%2Fword@cache:7000/0"
    assert Settings(redis_url="redis://other:1/0", redis_host="cache").redis == "redis://other:1/0"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [("90", 90), ("15m", 900), ("12h", 43200), ("7d", 604800), ("2w", 1209600), (" 5s ", 5)],
)
def test_durations_are_read(text: str, meaning: int) -> None:
    assert seconds(text) == meaning


@pytest.mark.parametrize("text", ["", "d", "1.5h", "-1h", "1h30m", "soon"])
def test_what_is_no_duration_is_not_guessed(text: str) -> None:
    assert seconds(text) is None


def test_a_safe_production_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SAFE.items():
        monkeypatch.setenv(name, value)
    settings = load_safe()
    assert not settings.development
    assert not settings.creates_tenants


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"JWT_SECRET": None}, "JWT_SECRET"),
        ({"JWT_SECRET": "x" * 31}, "JWT_SECRET"),
        ({"JWT_SECRET": DEVELOPMENT_SECRET}, "JWT_SECRET"),
        ({"CORS_ORIGIN": "https://a.example,*"}, "CORS_ORIGIN"),
        ({"HUB_WORKERS": "2"}, "DATABASE_URL"),
        ({"REDIS_URL": None}, "REDIS_URL"),
        ({"EMAIL_HOST": None}, "EMAIL_HOST"),
        ({"HUB_EMAIL_PROVIDERS": "sendgrid,smtp"}, "SENDGRID_API_KEY"),
        ({"HUB_EMAIL_PROVIDERS": "sandbox"}, "HUB_EMAIL_PROVIDERS"),
        ({"HUB_SMS_PROVIDERS": "smtp"}, "HUB_SMS_PROVIDERS"),
        ({"HUB_SMS_PROVIDERS": "gateway"}, "HUB_SMS_GATEWAY_URL"),
        ({"HUB_WEBPUSH_PROVIDERS": "webpush"}, "HUB_VAPID_PRIVATE_KEY"),
        ({"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "xxx"}, "TWILIO_PHONE_NUMBER"),
    ],
)
def test_production_refuses_what_is_unsafe_and_names_it(
    change: dict[str, str | None], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SAFE, **change}.items():
        if value is not None:
            monkeypatch.setenv(name, value)
    with pytest.raises(SettingsRefused) as refused:
        load_safe()
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{named}: ")
    assert "xxx" not in line


def test_production_names_all_that_is_unsafe_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ENV", "production")
    with pytest.raises(SettingsRefused) as refused:
        load_safe()
    assert {line.split(":")[0] for line in str(refused.value).splitlines()} == {
        "JWT_SECRET",
        "REDIS_URL",
        "EMAIL_HOST",
    }


def test_a_wrong_value_is_told_by_its_name_without_the_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "canary-8000")
    monkeypatch.setenv("REDIS_PORT", "70000")
    with pytest.raises(SettingsRefused) as refused:
        load()
    port, redis = str(refused.value).splitlines()
    assert port.startswith("HUB_PORT: ")
    assert "canary" not in port
    assert redis.startswith("HUB_REDIS_PORT (or REDIS_PORT): ")


def test_what_the_command_line_gives_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "9001")
    assert load(port=9002).port == 9002
    assert load(port=None).port == 9001
    with pytest.raises(SettingsRefused, match=r"^HUB_PORT: "):
        load(port=0)


def test_secrets_do_not_show_in_a_printed_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = [field for field, info in Settings.model_fields.items() if "Secret" in str(info.annotation)]
    assert {"jwt_secret", "redis_password", "email_pass", "bus_key"} <= set(secret)
    for field in secret:
        monkeypatch.setenv(names(field)[0], "canary-" + field)
    assert "canary" not in repr(Settings())
    assert "canary" not in str(Settings().model_dump())


def test_every_setting_has_its_line_of_documentation() -> None:
    assert issubclass(Settings, BaseSettings)
    assert [field for field, info in Settings.model_fields.items() if not info.description] == []


def test_a_broker_that_nobody_here_can_speak_to_is_refused_by_its_name() -> None:
    assert Settings(redis_url="redis://r:6379/0").broker == "redis://r:6379/0"
    assert Settings(redis_url="redis://r:6379/0", broker_url="amqps://q/").broker == "amqps://q/"
    with pytest.raises(SettingsRefused, match=r"^HUB_BROKER_URL: "):
        _ = Settings(broker_url="sqs://canary").broker
