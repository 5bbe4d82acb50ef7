"""Operations on an index, without an index."""

import asyncio
import time
from collections.abc import AsyncGenerator

import pytest
from connectra_write.indexer.operations.build import _ahead
from connectra_write.operations import Check, Kind, Operation, Phase


def check(done: int, **found: object) -> Check:
    return Check.of(
        Operation(
            *(1, "contact", Kind.CHECK, Phase.WALKING, False, False, {}, found),
            *("", "", "", done, 0, "", "", ""),
        )
    )


def test_the_oldest_check_is_as_old_as_the_beginning_of_the_last_whole_round() -> None:
    now = time.time()
    last = {"began": now - 500, "differing": 0, "compared": 40}
    assert check(7, round={"began": now - 100, "differing": 0}, last=last).oldest_seconds == pytest.approx(500, abs=5)
    first = check(7, round={"began": now - 100, "differing": 0})
    assert first.oldest_seconds == pytest.approx(100, abs=5)
    assert first.compared == 7
    assert check(0).compared == 0


def test_drift_counts_until_a_whole_round_was_clean() -> None:
    dirty, clean = {"began": 0.0, "differing": 2}, {"began": 0.0, "differing": 0}
    assert check(7, round=dirty, last={**clean, "compared": 40}).differing == 2
    assert check(7, round=clean, last={**dirty, "compared": 40}).differing == 2
    assert check(7, round=clean, last={**clean, "compared": 40}).differing == 0


async def test_the_next_part_is_read_while_one_is_worked_on_and_no_further() -> None:
    read, closed = [], []

    async def parts() -> AsyncGenerator[int]:
        try:
            for number in range(1, 6):
                read.append(number)
                yield number
        finally:
            closed.append(True)

    ahead = _ahead(parts())
    assert await anext(ahead) == 1
    await asyncio.sleep(0)
    assert read == [1, 2]
    assert [number async for number in ahead] == [2, 3, 4, 5]
    assert closed == [True]

    closed.clear()
    ahead = _ahead(parts())
    await anext(ahead)
    await ahead.aclose()
    assert closed == [True]
