"""The machine of a delivery's states, as a table."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub.domain.delivery import CLAIMABLE, TERMINAL, TRANSITIONS, Delivery, Status, shown


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(Status)


def reachable(start: Status) -> set[Status]:
    found, todo = {start}, [start]
    while todo:
        for status in TRANSITIONS[todo.pop()] - found:
            found.add(status)
            todo.append(status)
    return found


def test_every_state_can_be_reached_from_planned() -> None:
    assert reachable(Status.PLANNED) == set(Status)


@pytest.mark.parametrize("status", sorted(set(Status) - TERMINAL))
def test_what_is_not_over_can_still_be_sent_and_can_still_die(status: Status) -> None:
    assert {Status.SENT, Status.DEAD} <= reachable(status)


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_is_over_is_never_claimed(status: Status) -> None:
    assert status not in CLAIMABLE
    assert Status.SENDING not in TRANSITIONS[status]


@pytest.mark.parametrize("status", sorted(CLAIMABLE))
def test_what_can_be_claimed_may_be_sending(status: Status) -> None:
    assert Status.SENDING in TRANSITIONS[status]


def test_only_what_may_have_been_sent_can_arrive() -> None:
    assert {status for status, after in TRANSITIONS.items() if Status.DELIVERED in after} == {
        Status.SENDING,  # the provider may be quicker than its own answer
        Status.SENT,
        Status.UNKNOWN,
        Status.FAILED,  # the answer may be what was lost
    }


def test_people_read_retrying_for_failed_and_the_word_itself_for_the_rest() -> None:
    words = {status: shown(status) for status in Status}
    assert words.pop(Status.FAILED) == "retrying"
    assert all(word == status.value for status, word in words.items())


def delivery(**fields: object) -> Delivery:
    given: dict[str, object] = {
        "id": "d1",
        "tenant": "acme",
        "event_id": "e1",
        "user": "42",
        "channel": "email",
        "status": Status.PLANNED,
        "attempts": 0,
        "due_at": None,
        "reason": None,
        "error": None,
        "provider": None,
        "maybe_duplicate": False,
        "updated_at": datetime(2026, 11, 20, tzinfo=UTC),
    }
    return Delivery(**{**given, **fields})  # type: ignore[arg-type]


def test_watchers_are_told_why_a_delivery_was_skipped() -> None:
    update = delivery(status=Status.SKIPPED, reason="no address").update
    assert (update.status, update.error, update.notification) == ("skipped", "no address", "e1")


def test_watchers_are_told_that_a_failed_delivery_is_tried_again() -> None:
    update = delivery(status=Status.FAILED, error="451 later", attempts=2, provider="smtp").update
    assert (update.status, update.error, update.attempts, update.provider) == (
        "retrying",
        "451 later",
        2,
        "smtp",
    )
