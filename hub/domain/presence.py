"""When to say that somebody came or went.

A `Watch` turns the coming and going of connections into news about users: once per user, and a going only
after a grace, so that a reconnect shows nothing. Pure: this file knows no clock, no Redis and nobody to tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class News:
    """A user came or went. For the watchers with a number from `first` on."""

    user: str
    roles: tuple[str, ...]
    came: bool
    first: int = 0


class Watch:
    """Which users of one room were said to be online. Times are monotonic seconds.

    Watchers are numbered when they are told who is online: who was told while somebody's grace ran knows that
    this user is away and must hear of the return, the others must not.
    """

    __slots__ = ("_begun", "_grace", "_leaving", "_online")

    def __init__(self, grace: float, online: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        """`online`: users and their roles."""
        self._grace = grace
        self._begun = 0
        self._online = dict(online)
        self._leaving: dict[str, tuple[float, int]] = {}  # in the order in which their grace ends

    def begin(self) -> int:
        """The number of watchers who know who is online at this moment."""
        self._begun += 1
        return self._begun

    def came(self, user: str, roles: tuple[str, ...]) -> News | None:
        """The user has a connection in the room. None: everybody knows."""
        if left := self._leaving.pop(user, None):
            _, mark = left
            return News(user, roles, True, first=mark + 1) if mark < self._begun else None
        if user in self._online:
            return None
        self._online[user] = roles
        return News(user, roles, True)

    def went(self, user: str, now: float) -> None:
        """The user has no connection in the room any more."""
        if user in self._online and user not in self._leaving:
            self._leaving[user] = (now + self._grace, self._begun)

    def due(self, now: float) -> list[News]:
        """Those whose grace is over."""
        news = []
        for user, (until, _) in list(self._leaving.items()):
            if until > now:
                break
            del self._leaving[user]
            news.append(News(user, self._online.pop(user), False))
        return news
