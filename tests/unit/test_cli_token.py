"""`hub token` makes what the hub accepts, and refuses to make what it would not."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from hub.services.claims import principal_of
from hub.settings import DEVELOPMENT_SECRET
from tests.commands import Command

SECRET = "a-secret-of-more-than-thirty-two-bytes!"


def claims(token: str, secret: str = DEVELOPMENT_SECRET, **options: Any) -> dict[str, Any]:
    required: Any = {"require": ["exp", "iat", "sub", "jti"]}
    decoded: dict[str, Any] = jwt.decode(token.strip(), secret, ["HS256"], options=required, **options)
    return decoded


def test_a_token_says_who_it_is_for(hub: Command) -> None:
    before = int(time.time())
    words = ["--user", "42", "--role", "ADMIN", "--role", "CUSTOMER", "--tenant", "acme", "--expires", "2h"]
    said = claims(hub("token", *words, "--session", "s1", "--topic", "jobs.*").out)
    who = principal_of(said)
    assert (who.tenant, who.user, who.roles) == ("acme", "42", ("ADMIN", "CUSTOMER"))
    assert (who.session, who.topics) == ("s1", ("jobs.*",))
    assert said["exp"] - said["iat"] == 7200
    assert before <= said["iat"] <= time.time()


def test_only_the_user_must_be_named(hub: Command) -> None:
    said = claims(hub("token", "--user", "42").out)
    assert said["exp"] - said["iat"] == 7 * 86400
    assert {"sub": "42", "tenant": "default", "roles": []}.items() <= said.items()
    assert not {"sid", "topics", "aud", "iss"} & set(said)


def test_no_two_tokens_have_the_same_id(hub: Command) -> None:
    assert len({claims(hub("token", "--user", "42").out)["jti"] for _ in range(3)}) == 3


def test_secret_life_audience_and_issuer_are_those_of_the_settings(hub: Command) -> None:
    settings = {"JWT_SECRET": SECRET, "JWT_EXPIRES_IN": "15m"}
    settings |= {"HUB_JWT_AUDIENCE": "hub", "HUB_JWT_ISSUER": "https://id.example.com"}
    token = hub("token", "--user", "42", **settings).out
    said = claims(token, SECRET, audience="hub", issuer="https://id.example.com")
    assert said["exp"] - said["iat"] == 900
    with pytest.raises(jwt.InvalidSignatureError):
        claims(token, DEVELOPMENT_SECRET, audience="hub")


@pytest.mark.parametrize("expires", ["soon", "0", "-1h", ""])
def test_a_life_that_is_none_is_refused(hub: Command, expires: str) -> None:
    code, out, err = hub("token", "--user", "42", "--expires", expires)
    assert (code, out) == (2, "")
    assert err.startswith(f"hub: --expires {expires}: not a time")


@pytest.mark.parametrize("words", [["--user", "a b"], ["--user", "1", "--role", "A/B"]])
def test_a_name_that_cannot_be_a_room_is_refused(hub: Command, words: list[str]) -> None:
    code, out, err = hub("token", *words)
    assert (code, out) == (1, "")
    assert "not a room" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "settings",
    [
        {"HUB_ENV": "production"},
        {"JWT_SECRET": SECRET, "HUB_JWT_ALGORITHMS": "RS256", "HUB_JWT_JWKS": "keys.json"},
    ],
)
def test_no_token_is_made_that_the_hub_would_refuse(hub: Command, settings: dict[str, str]) -> None:
    code, out, err = hub("token", "--user", "42", **settings)
    assert (code, out) == (1, "")
    assert "identity provider" in err
