"""Credentials: every kind of bad token is refused, every documented spelling of a good one is understood."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.access import ApiKey, Principal
from hub.domain.errors import Refusal, TenantUnknown, TokenExpired, TokenInvalid, TokenRevoked
from hub.domain.events import Position
from hub.services.jwks import KeySource
from hub.services.tokens import Tokens
from hub.services.verified import Verified

SECRET = "a-secret-of-more-than-thirty-two-bytes!"
NOW = 1_800_000_000


class Memory:
    """Stands in for Redis and SQL: this file is about what is in a token."""

    ttl = 30

    def __init__(self) -> None:
        self.tickets: dict[str, bytes] = {}
        self.tenants = {"acme", "default"}

    async def issue(self, content: bytes) -> str:
        self.tickets["t1"] = content
        return "t1"

    async def redeem(self, ticket: str) -> bytes | None:
        return self.tickets.pop(ticket, None)

    async def find(self, secret: str) -> ApiKey | None:
        return ApiKey("k1", "acme", frozenset({"notify"})) if secret == "hub_right" else None

    async def tenant(self, tenant: str, *, create: bool) -> Position:
        if tenant not in self.tenants and not create:
            raise TenantUnknown(tenant)
        return Position("e1", 0)


def tokens(memory: Memory | None = None, **options: Any) -> Tokens:
    memory = memory or Memory()
    algorithms = options.pop("algorithms", ["HS256"])
    arguments: dict[str, Any] = {
        "secret": SECRET,
        "algorithms": algorithms,
        "audience": None,
        "issuer": None,
        "tickets": memory,
        "api_keys": memory,
        "log": memory,
        "require_valid": lambda who: None,
        "create_tenants": False,
    } | options
    keys = KeySource(secret=SECRET, algorithms=algorithms, jwks=arguments.pop("jwks", None))
    return Tokens(keys, **arguments)


def claims(**more: Any) -> dict[str, Any]:
    return {"sub": "42", "tenant": "acme", "exp": time.time() + 600} | more


def signed(payload: dict[str, Any], secret: str = SECRET, **more: Any) -> str:
    return jwt.encode(payload, secret, algorithm=more.pop("algorithm", "HS256"), **more)


async def test_the_standard_claims_are_read() -> None:
    who = await tokens().principal(
        signed(claims(roles=["ADMIN", "STAFF"], sid="s1", topics=["jobs.*"], jti="j1"))
    )
    assert (who.tenant, who.user, who.roles, who.session) == ("acme", "42", ("ADMIN", "STAFF"), "s1")
    assert (who.topics, who.token_id) == (("jobs.*",), "j1")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"sub": "7"}, ("default", "7", ())),
        ({"userId": 7, "tenantId": "acme", "role": "CUSTOMER"}, ("acme", "7", ("CUSTOMER",))),
        ({"id": "7", "organizationId": "acme", "role": ["A", "B"]}, ("acme", "7", ("A", "B"))),
        ({"sub": 7, "id": "other", "roles": "ADMIN"}, ("default", "7", ("ADMIN",))),
    ],
)
async def test_the_aliases_of_other_programs_are_read(
    payload: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    who = await tokens().principal(signed({"exp": time.time() + 60} | payload))
    assert (who.tenant, who.user, who.roles) == expected


async def test_two_tokens_without_a_session_get_different_ones() -> None:
    token = signed(claims())
    first, second = await tokens().principal(token), await tokens().principal(token)
    assert first.session
    assert first.session != second.session


def _unsigned(payload: dict[str, Any]) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none"}, payload)
    ]
    return ".".join([*parts, ""])


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BAD = {
    "empty": lambda: "",
    "not a token": lambda: "abc",
    "three dots": lambda: "...",
    "unsigned": lambda: _unsigned(claims()),
    "another secret": lambda: signed(claims(), "x" * 40),
    "another algorithm of the family": lambda: signed(claims(), SECRET * 2, algorithm="HS512"),
    "an asymmetric algorithm": lambda: jwt.encode(claims(), RSA, algorithm="RS256"),
    "no exp": lambda: signed({"sub": "42"}),
    "exp as text": lambda: signed(claims(exp="tomorrow")),
    "exp beyond time": lambda: signed(claims(exp=1e308)),
    "exp negative": lambda: signed(claims(exp=-1)),
    "nbf ahead": lambda: signed(claims(nbf=time.time() + 600)),
    "iat ahead": lambda: signed(claims(iat=time.time() + 600)),
    "no subject": lambda: signed({"exp": time.time() + 60}),
    "empty subject": lambda: signed(claims(sub="")),
    "subject with a slash": lambda: signed(claims(sub="a/b")),
    "subject with a space": lambda: signed(claims(sub="a b")),
    "subject of 129 letters": lambda: signed(claims(sub="x" * 129)),
    "subject with half a character": lambda: signed(claims(sub="a\ud800")),
    "role with half a character": lambda: signed(claims(roles=["\udfff"])),
    "subject as a list": lambda: signed(claims(sub=["42"])),
    "tenant with a slash": lambda: signed(claims(tenant="a/b")),
    "tenant as an object": lambda: signed(claims(tenant={"a": 1})),
    "role with a newline": lambda: signed(claims(roles=["AD\nMIN"])),
    "roles as a number": lambda: signed(claims(roles=7)),
    "roles with a number": lambda: signed(claims(roles=[7])),
    "65 roles": lambda: signed(claims(roles=[f"r{n}" for n in range(65)])),
    "topics as an object": lambda: signed(claims(topics={"jobs": True})),
    "session with a comma": lambda: signed(claims(sid="a,b")),
    "over 8 KiB": lambda: signed(claims(pad="x" * 9000)),
    "payload is a list": lambda: jwt.api_jws.encode(b"[1]", SECRET, algorithm="HS256"),
    "payload is not JSON": lambda: jwt.api_jws.encode(b"{", SECRET, algorithm="HS256"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_is_refused(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        await tokens().principal(BAD[name]())
    assert caught.value.status == 401
    assert SECRET not in str(caught.value)


async def test_an_expired_token_has_its_own_code_after_the_leeway() -> None:
    assert await tokens().principal(signed(claims(exp=time.time() - 20)))
    with pytest.raises(TokenExpired):
        await tokens().principal(signed(claims(exp=time.time() - 40)))


async def test_an_unknown_tenant_is_refused_unless_it_may_be_created() -> None:
    token = signed(claims(tenant="newcomer"))
    with pytest.raises(TenantUnknown):
        await tokens().principal(token)
    assert (await tokens(create_tenants=True).principal(token)).tenant == "newcomer"


async def test_audience_and_issuer_are_required_once_they_are_configured() -> None:
    strict = tokens(audience="hub", issuer="https://login")
    for wrong in ({}, {"aud": "hub"}, {"aud": "x", "iss": "https://login"}, {"aud": "hub", "iss": "evil"}):
        with pytest.raises(TokenInvalid):
            await strict.principal(signed(claims(**wrong)))
    assert await strict.principal(signed(claims(aud="hub", iss="https://login")))


async def test_a_token_it_issued_is_a_token_it_accepts() -> None:
    service = tokens(audience="hub")
    made = service.issue(Principal("acme", "42", ("ADMIN",), session="s1", topics=("t.*",)), 60)
    who = await service.principal(made)
    assert (who.user, who.roles, who.session, who.topics) == ("42", ("ADMIN",), "s1", ("t.*",))


async def test_a_ticket_speaks_for_its_owner_once() -> None:
    service = tokens()
    who = await service.principal(signed(claims(roles=["ADMIN"], sid="s1")))
    ticket, lives = await service.ticket(who)
    assert lives == 30
    assert await service.redeem(ticket) == who
    with pytest.raises(TokenInvalid):
        await service.redeem(ticket)


async def test_an_api_key_is_found_or_refused() -> None:
    assert (await tokens().api_key("hub_right")).tenant == "acme"
    with pytest.raises(TokenInvalid):
        await tokens().api_key("hub_wrong")


async def test_an_api_key_is_looked_up_again_soon_enough_to_be_revoked() -> None:
    memory, clock = Memory(), [0.0]
    service = tokens(memory, clock=lambda: clock[0])
    await service.api_key("hub_right")

    async def gone(secret: str) -> None:
        return None

    memory.find = gone  # type: ignore[method-assign]
    clock[0] = 1.0
    assert await service.api_key("hub_right")
    clock[0] = 2.0
    with pytest.raises(TokenInvalid):
        await service.api_key("hub_right")


def _jwks(path: Any, *keys: tuple[str, Any]) -> str:
    shapes = []
    for kid, key in keys:
        shape = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key()))
        shapes.append(shape | {"kid": kid, "alg": "ES256"})
    path.write_text(json.dumps({"keys": shapes}))
    return str(path)


async def test_a_jwks_verifies_by_key_id_and_never_by_the_secret(tmp_path: Any) -> None:
    good, evil = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    service = tokens(algorithms=["ES256"], jwks=_jwks(tmp_path / "jwks.json", ("k1", good)))
    token = jwt.encode(claims(), good, algorithm="ES256", headers={"kid": "k1"})
    assert (await service.principal(token)).user == "42"
    for forged in (
        jwt.encode(claims(), evil, algorithm="ES256", headers={"kid": "k1"}),
        jwt.encode(claims(), good, algorithm="ES256", headers={"kid": "k2"}),
        signed(claims(), headers={"kid": "k1"}),
    ):
        with pytest.raises(TokenInvalid):
            await service.principal(forged)


async def test_a_rotated_key_is_found_and_the_old_ones_outlive_a_missing_source(tmp_path: Any) -> None:
    old, new = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    clock = [0.0]
    path = tmp_path / "jwks.json"
    source = KeySource(
        secret=SECRET, algorithms=["ES256"], jwks=_jwks(path, ("old", old)), clock=lambda: clock[0]
    )
    assert await source.find({"alg": "ES256", "kid": "old"})
    _jwks(path, ("old", old), ("new", new))
    with pytest.raises(jwt.InvalidTokenError):
        await source.find({"alg": "ES256", "kid": "new"})  # asked a moment ago
    clock[0] = 31.0
    assert await source.find({"alg": "ES256", "kid": "new"})
    path.unlink()
    clock[0] = 3600.0
    assert await source.find({"alg": "ES256", "kid": "new"})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was checked."""
    seen: list[str] = []
    decode = jwt.decode

    def noted(token: str, *arguments: Any, **options: Any) -> Any:
        seen.append(token)
        return decode(token, *arguments, **options)

    monkeypatch.setattr("hub.services.tokens.jwt.decode", noted)
    return seen


async def test_a_good_token_is_verified_once_and_asked_about_each_time(decoded: list[str]) -> None:
    asked: list[Principal] = []

    def revoked_later(who: Principal) -> None:
        asked.append(who)
        if len(asked) > 2:
            raise TokenRevoked("revoked")

    service, token = tokens(require_valid=revoked_later), signed(claims(sid="s1"))
    assert await service.principal(token) == await service.principal(token)
    assert decoded == [token]
    with pytest.raises(TokenRevoked):
        await service.principal(token)
    assert len(asked) == 3


async def test_a_bad_token_is_not_remembered_as_good(decoded: list[str]) -> None:
    service, token = tokens(), signed(claims(sub="a b"))
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            await service.principal(token)
    assert decoded == [token, token]


async def test_a_token_without_a_session_speaks_for_a_new_one_each_time(decoded: list[str]) -> None:
    service, token = tokens(), signed(claims())
    one, two = await service.principal(token), await service.principal(token)
    assert one.session != two.session
    assert one.session and two.session
    assert decoded == [token]


async def test_a_token_is_verified_again_when_it_has_ended_and_by_another_key(decoded: list[str]) -> None:
    clock, end = [time.time()], int(time.time() + 600)
    service, token = tokens(clock=lambda: clock[0]), signed(claims(exp=end))
    await service.principal(token)
    clock[0] = end + 29.0  # the leeway
    await service.principal(token)
    assert len(decoded) == 1
    clock[0] = end + 31.0
    await service.principal(token)
    assert len(decoded) == 2
    good = Verified()
    good.keep(token, key := object(), Principal("acme", "42", expires_at=end))
    assert good.find(token, key, now=0.0)
    assert good.find(token, object(), now=0.0) is None
    assert good.find(token, key, now=0.0) is None  # and so is the first, from then on


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 400), char=st.characters(min_codepoint=33, max_codepoint=126))
def test_no_mutation_of_a_token_is_accepted_as_somebody_else(place: int, char: str) -> None:
    import asyncio

    token = signed(claims(roles=["CUSTOMER"]))
    place %= len(token)
    mutated = token[:place] + char + token[place + 1 :]
    try:
        who = asyncio.run(tokens().principal(mutated))
    except Refusal:
        return
    # The last character of a base64 signature has unused bits: the same signature, spelt differently.
    assert (who.user, who.roles) == ("42", ("CUSTOMER",))
    assert mutated == token or place == len(token) - 1


# -- who is known already ---------------------------------------------------------------------------------
async def test_who_is_known_already_is_whom_verifying_would_find() -> None:
    service, token = tokens(), signed(claims(sid="s1", roles=["ADMIN"]))
    assert service.known_principal(token) is None  # its tenant was not looked up
    who = await service.principal(token)
    assert service.known_principal(token) == who
    other = signed(claims(sub="7", sid="s2"))
    assert service.known_principal(other) == await service.principal(other)
    assert service.known_principal(token[:-2] + "xx") is None
    assert service.known_principal(signed(claims(sub="a b"))) is None
    for nonsense in ("", "a.b.c", "x" * 9000, "." * 5, signed(claims(), SECRET * 2)):
        assert service.known_principal(nonsense) is None


async def test_nobody_is_known_whose_token_is_over_or_was_called_back() -> None:
    revoked = [False]

    def require_valid(who: Principal) -> None:
        if revoked[0]:
            raise TokenRevoked("revoked")

    service, token = tokens(require_valid=require_valid), signed(claims())
    await service.principal(token)
    assert service.known_principal(token) is not None
    assert service.known_principal(signed(claims(exp=time.time() - 31))) is None
    revoked[0] = True
    assert service.known_principal(token) is None
    assert service.known_principal(signed(claims(sub="7"))) is None


async def test_who_is_known_without_a_session_gets_none_that_nobody_can_send_to() -> None:
    service, token = tokens(), signed(claims())
    assert (await service.principal(token)).session
    known = service.known_principal(token)
    assert known is not None
    assert (known.user, known.session) == ("42", "")


async def test_a_key_that_should_be_asked_for_again_makes_nobody_known(tmp_path: Any) -> None:
    key, clock = ec.generate_private_key(ec.SECP256R1()), [0.0]
    jwks = _jwks(tmp_path / "jwks.json", ("k1", key))
    source = KeySource(secret=SECRET, algorithms=["ES256"], jwks=jwks, clock=lambda: clock[0])
    header = {"alg": "ES256", "kid": "k1"}
    assert source.known(header) is None
    assert source.known({"alg": "HS256"}) is None
    found = await source.find(header)
    assert source.known(header) is found
    clock[0] = 601.0
    assert source.known(header) is None
