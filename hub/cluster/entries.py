"""How connections are written down for other processes: a text each, and read by the thousand at once.

A text is a connection's words, a line each: user, session, traits (between tabs: transport, roles, rooms;
spaces between roles and between rooms) and id. No word holds space or control characters
(`hub.domain.access`), so nothing is escaped and any number of texts is taken apart in one go. What nobody
here wrote is noticed. Does not know where the texts are kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.domain.roster import Entry, Rows, Traits

END = "\0"  # a line of its own after each text: it is where it should be if every text has all its lines
LINES = 5


def encode(conn: str, entry: Entry) -> str:
    traits = entry.traits
    alike = f"{traits.transport}\t{' '.join(traits.roles)}\t{' '.join(traits.rooms)}"
    return f"{entry.user}\n{entry.session}\n{alike}\n{conn}"


def join(texts: Iterable[str]) -> str:
    return f"\n{END}\n".join(texts)


def join_bytes(texts: Iterable[bytes]) -> str:
    """As `join`, of texts as Redis gives them."""
    return f"\n{END}\n".encode().join(texts).decode()


def decode(joined: str, node: str) -> Rows:
    """The connections of a node. Raises `ValueError` for what was not written here."""
    if not joined:
        return Rows([], [], [], [])
    lines = f"{joined}\n{END}".split("\n")
    users, sessions, alike, conns, ends = (lines[at::LINES] for at in range(LINES))
    if len(lines) % LINES or set(ends) != {END}:
        raise ValueError("not what a hub writes about connections")
    traits = {text: _traits(text, node) for text in set(alike)}
    return Rows(conns, users, sessions, [traits[text] for text in alike])


def _traits(text: str, node: str) -> Traits:
    transport, roles, rooms = text.split("\t")
    return Traits(transport, tuple(roles.split()), tuple(rooms.split()), node)
