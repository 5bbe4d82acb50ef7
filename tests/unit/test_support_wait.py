"""Waiting in tests: what is returned, what is endured, and what a failure says."""

import pytest

from tests.support.wait import until, until_now


async def test_the_first_good_answer_is_returned_whatever_was_away_before() -> None:
    answers = iter([OSError("away"), None, 0, 1, 2])

    async def ask() -> int | None:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert await until(ask, lambda number: number > 1, pause=0, away=(OSError,)) == 2


async def test_a_failure_names_the_last_answer() -> None:
    async def ask() -> str:
        return "not yet"

    with pytest.raises(TimeoutError, match=r"not so within 0\.05 s: .*; last: 'not yet'"):
        await until(ask, lambda answer: answer == "ready", seconds=0.05, pause=0.01)


async def test_an_error_that_is_not_expected_ends_the_waiting() -> None:
    async def ask() -> bool:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        await until(ask, away=(OSError,))


def test_without_an_event_loop_it_is_the_same() -> None:
    answers = iter([0, 0, 7])
    assert until_now(lambda: next(answers), pause=0) == 7
    with pytest.raises(TimeoutError, match="last: 0"):
        until_now(lambda: 0, seconds=0.05, pause=0.01)
