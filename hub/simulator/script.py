"""What the next requests get: a script of words for each provider, read from the front.

`ok` takes the message, `opened`, `bounced` and `complained` take it and say so later, `silent` takes it and
never says more. `429:2` refuses with that status and asks for 2 seconds, as every status from 400 may;
`hang` never answers, `reset` ends the connection, `accept-reset` takes the message and then ends it.
`500*3` stands for three requests and `500*` for all to come; after the script everything is `ok`. Pure.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

HANG, RESET, ACCEPT_RESET = "hang", "reset", "accept-reset"
TAKES = ("ok", "opened", "bounced", "complained", "silent", ACCEPT_RESET)
_WORD = re.compile(rf"(?:{'|'.join(TAKES)}|{HANG}|{RESET}|[45]\d\d(?::\d+(?:\.\d+)?)?)")
_REPEATED = re.compile(r"([^*]+)(?:\*(\d*))?")


@dataclass(frozen=True, slots=True)
class Word:
    """One answer. `status` is 0 unless it is a refusal; `retry_after` in seconds."""

    name: str
    status: int = 0
    retry_after: float | None = None

    @property
    def takes(self) -> bool:
        return self.name in TAKES


OK = Word("ok")


class Script:
    """The words of one provider that are still to come."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._next: deque[Word] = deque()
        self._always = OK
        self.say(*words)

    def say(self, *words: str) -> None:
        """Put words after those that wait. Raises ValueError for what is no word; nothing changes then."""
        read = [_read(word) for word in words]
        for word, times in read:
            if times is None:
                self._always = word
            else:
                self._next.extend([word] * times)

    def clear(self) -> None:
        self._next.clear()
        self._always = OK

    def next(self) -> Word:
        return self._next.popleft() if self._next else self._always


def _read(text: str) -> tuple[Word, int | None]:
    """A word, and for how many requests it stands; None: for all to come."""
    found = _REPEATED.fullmatch(text.strip())
    if found is None or not _WORD.fullmatch(found[1]):
        raise ValueError(f"{text!r}: a word is {', '.join((*TAKES, HANG, RESET))}, or a status such as 429:2")
    name, _, after = found[1].partition(":")
    word = Word(name, int(name), float(after) if after else None) if name[0].isdigit() else Word(name)
    if "*" not in text:
        return word, 1
    return word, int(found[2]) if found[2] else None
