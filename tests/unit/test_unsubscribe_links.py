from __future__ import annotations

import time

import jwt
import pytest

from hub.domain.errors import LinkInvalid
from hub.domain.events import Registry
from hub.domain.rules import Types
from hub.services.unsubscribe import MAX_TOKEN_BYTES, Link, UnsubscribeLinks
from hub.settings import DEVELOPMENT_SECRET, Settings

SECRET = "a-secret-of-the-tests-that-is-long-enough"
LINK = Link("acme", "42", "email", "booking.confirmed")
TYPES = Types(Registry.from_tables({"booking.confirmed": {}, "security.alert": {"mutable": False}}))
LINKS = UnsubscribeLinks(SECRET, TYPES, public_url="https://hub.example.com/")


def test_a_link_leads_back_to_what_it_was_made_for() -> None:
    url = LINKS.unsubscribe_url("acme", "42", "email", "booking.confirmed")
    assert url is not None
    base, _, token = url.rpartition("/")
    assert base == "https://hub.example.com/unsubscribe"
    assert LINKS.read(token) == LINK
    assert UnsubscribeLinks(SECRET, TYPES, public_url=None).read(token) == LINK  # whatever the address is now


@pytest.mark.parametrize(
    "links",
    [
        UnsubscribeLinks(SECRET, TYPES, public_url=None),
        UnsubscribeLinks(None, TYPES, public_url="https://hub.example.com"),
    ],
    ids=["no address", "no key"],
)
def test_without_an_address_or_a_key_there_are_no_links(links: UnsubscribeLinks) -> None:
    assert links.unsubscribe_url("acme", "42", "email", "booking.confirmed") is None


def test_what_cannot_be_switched_off_has_no_link() -> None:
    assert LINKS.unsubscribe_url("acme", "42", "email", "security.alert") is None
    assert LINKS.unsubscribe_url("acme", "42", "email", "of.their.own") is not None


def test_a_changed_or_foreign_token_is_no_link() -> None:
    token = LINKS.token(LINK)
    head, body, signature = token.split(".")
    _, other_body, _ = LINKS.token(Link("acme", "43", "email", "booking.confirmed")).split(".")
    claims = {"aud": "unsubscribe", "t": "acme", "u": "42", "c": "email", "k": "x"}
    for forged in (
        f"{head}.{other_body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-2]}",
        jwt.encode(claims, SECRET, algorithm="HS256"),  # the secret itself is not the key
        jwt.encode(claims, None, algorithm="none"),  # type: ignore[arg-type]
        jwt.encode({"sub": "42", "exp": time.time() + 60}, SECRET, algorithm="HS256"),
        UnsubscribeLinks("another-secret-that-is-long-enough-too", TYPES, public_url=None).token(LINK),
        "x" * (MAX_TOKEN_BYTES + 1),
        "",
    ):
        with pytest.raises(LinkInvalid):
            LINKS.read(forged)
    with pytest.raises(LinkInvalid):
        UnsubscribeLinks(None, TYPES, public_url=None).read(token)


def test_a_link_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(LINKS.token(LINK), SECRET, algorithms=["HS256"], options={"verify_aud": False})


def test_links_are_signed_with_what_no_outsider_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_ENV", "production")
    assert Settings(jwt_jwks="https://issuer.example.com/jwks").link_secret is None
    assert (
        Settings(jwt_jwks="https://issuer.example.com/jwks", jwt_secret=DEVELOPMENT_SECRET).link_secret
        is None
    )
    assert Settings(jwt_secret=SECRET).link_secret == SECRET
    own = Settings(jwt_jwks="https://issuer.example.com/jwks", unsubscribe_key="k" * 32)
    assert own.link_secret == "k" * 32
