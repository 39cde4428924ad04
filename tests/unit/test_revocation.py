"""Which tokens a revocation concerns. Times are Unix seconds."""

from __future__ import annotations

import pytest

from hub.domain.access import Principal
from hub.domain.revocation import ALL, SESSION, TOKEN, USER, Revocation, Revoked

WHO = Principal(tenant="acme", user="42", session="s1", token_id="j1", issued_at=1000.0, expires_at=9000.0)


def revoked(*given: tuple[str, str, float], tenant: str = "acme", expires_at: float = 5000.0) -> Revoked:
    found = Revoked()
    found.add(
        Revocation(tenant=tenant, kind=kind, value=value, before=before, expires_at=expires_at)
        for kind, value, before in given
    )
    return found


@pytest.mark.parametrize(
    ("kind", "value", "before", "concerned"),
    [
        (USER, "42", 1000.5, True),
        (USER, "42", 999.5, False),
        (USER, "7", 1000.5, False),
        (ALL, "", 1000.0, True),
        (ALL, "", 999.0, False),
        (SESSION, "s1", 0.0, True),
        (SESSION, "s2", 2000.0, False),
        (TOKEN, "j1", 0.0, True),
        (TOKEN, "42", 2000.0, False),
        (USER, "s1", 2000.0, False),
    ],
)
def test_a_revocation_concerns_what_it_names(
    kind: str, value: str, before: float, *, concerned: bool
) -> None:
    assert revoked((kind, value, before)).concern(WHO) is concerned
    assert not revoked((kind, value, before), tenant="globex").concern(WHO)


def test_a_token_without_an_id_is_concerned_by_no_id() -> None:
    nameless = Principal(tenant="acme", user="42", session="s1")
    assert not revoked((TOKEN, "", 2000.0)).concern(nameless)


def test_a_token_that_does_not_say_when_it_was_issued_is_older_than_anything() -> None:
    assert revoked((USER, "42", 1.0)).concern(Principal(tenant="acme", user="42"))


@pytest.mark.parametrize("order", [(999.0, 2000.0), (2000.0, 999.0)])
def test_of_two_the_later_moment_counts_whatever_came_first(order: tuple[float, float]) -> None:
    found = revoked(*((USER, "42", before) for before in order))
    assert len(found) == 1
    assert found.concern(WHO)


def test_what_no_living_token_can_concern_is_forgotten() -> None:
    found = revoked((TOKEN, "j1", 0.0), expires_at=5000.0)
    found.forget(4999.0)
    assert found.concern(WHO)
    found.forget(5000.0)
    assert not found.concern(WHO)
    assert len(found) == 0
