"""Work of many callers in one transaction: shared when busy, and nobody pays for another's fault."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hub.domain.errors import StoreUnavailable
from hub.store.engine import Database
from hub.store.together import Together


class Marks:
    """Writes each item into a table; remembers which items shared a transaction."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []

    def work(self, connection: Connection, items: Sequence[str]) -> list[str]:
        self.groups.append(list(items))
        for item in items:
            connection.execute(text("INSERT INTO marks VALUES (:item)"), {"item": item})
        return [f"{item}!" for item in items]

    async def stored(self, database: Database) -> list[str]:
        async with database.read() as connection:
            return sorted((await connection.execute(text("SELECT item FROM marks"))).scalars())


@pytest.fixture
async def marks(database: Database) -> Marks:
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE marks (item VARCHAR(40) PRIMARY KEY)"))
    return Marks()


async def test_everyone_gets_their_own_result_committed(database: Database, marks: Marks) -> None:
    together = Together(database, marks.work)
    names = [f"m{number:03}" for number in range(50)]
    assert await asyncio.gather(*map(together.do, names)) == [f"{name}!" for name in names]
    assert await marks.stored(database) == names


async def test_the_busier_it_is_the_fewer_transactions(database: Database, marks: Marks) -> None:
    together = Together(database, marks.work, most=20)
    await asyncio.gather(*(together.do(f"m{number}") for number in range(50)))
    assert [len(group) for group in marks.groups] == [20, 20, 10]
    await together.do("alone")
    assert marks.groups[-1] == ["alone"]


async def test_who_is_refused_harms_no_other(database: Database, marks: Marks) -> None:
    together: Together[str, str] = Together(database, marks.work)
    results: list[Any] = await asyncio.gather(
        *(together.do(name) for name in ("a", "b", "a", "c")), return_exceptions=True
    )
    assert [results[place] for place in (0, 1, 3)] == ["a!", "b!", "c!"]
    assert isinstance(results[2], DBAPIError)
    assert await marks.stored(database) == ["a", "b", "c"]


async def test_without_a_database_everyone_is_told_at_once(database: Database) -> None:
    tries = 0

    def away(_connection: Connection, items: Sequence[str]) -> list[str]:
        nonlocal tries
        tries += 1
        raise StoreUnavailable

    together: Together[str, str] = Together(database, away)
    results = await asyncio.gather(*(together.do(name) for name in "abc"), return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    assert tries == 1


async def test_who_goes_away_keeps_nobody_waiting(database: Database, marks: Marks) -> None:
    together = Together(database, marks.work)
    with pytest.raises(ZeroDivisionError):
        async with database.write() as connection:  # which the first transaction has to wait for
            await connection.execute(text("INSERT INTO marks VALUES ('first')"))
            first, gone, last = (asyncio.create_task(together.do(name)) for name in ("first", "gone", "last"))
            for _ in range(3):
                await asyncio.sleep(0)  # they are on their way
            early = asyncio.create_task(together.do("early"))
            await asyncio.sleep(0)  # it waits for the next one
            gone.cancel()
            early.cancel()
            raise ZeroDivisionError
    assert (await first, await last) == ("first!", "last!")
    assert await together.do("next") == "next!"
    assert marks.groups == [["first", "gone", "last"], ["next"]]
    assert await marks.stored(database) == ["first", "gone", "last", "next"]
    assert gone.cancelled()
    assert early.cancelled()
