"""Bounds on calls of a kind, and work of which one run answers many."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from connectra_common import metrics
from connectra_common.call import Call, bound
from connectra_common.errors import ConnectraError
from connectra_common.refusals import Busy, TooManyAtOnce
from connectra_common.server.bulkheads import Bound, Bulkhead, by_method
from connectra_common.server.together import Together
from prometheus_client import REGISTRY

AT_ONCE = Bound(process=3, client=2)


@asynccontextmanager
async def entered(bulkhead: Bulkhead, client: str = "") -> AsyncIterator[None]:
    with bound(Call(client=client)):
        async with bulkhead.entered():
            yield


async def refusal(bulkhead: Bulkhead, client: str = "") -> ConnectraError | None:
    try:
        async with entered(bulkhead, client):
            return None
    except ConnectraError as error:
        return error


async def test_a_client_takes_its_share_and_leaves_the_rest_to_others() -> None:
    bulkhead = Bulkhead("exports", AT_ONCE)
    async with entered(bulkhead, "a"), entered(bulkhead, "a"):
        refused = await refusal(bulkhead, "a")
        assert isinstance(refused, TooManyAtOnce)
        assert (refused.http_status, refused.error_code) == (429, "RATE_LIMIT_EXCEEDED")
        assert refused.message == "too many exports at once: a client may have 2; wait until one has ended"
        assert refused.details == {"kind": "exports", "maximum": 2}
        async with entered(bulkhead, "b"):
            refused = await refusal(bulkhead, "c")
            assert isinstance(refused, Busy)
            assert (refused.http_status, refused.error_code) == (503, "UNAVAILABLE")
        assert await refusal(bulkhead, "c") is None
    assert await refusal(bulkhead, "a") is None


async def test_calls_of_one_kind_are_counted_together_whichever_service_has_them() -> None:
    def running() -> float | None:
        return REGISTRY.get_sample_value("connectra_calls_running", {"kind": "shared"})

    of_one, of_another = Bulkhead("shared", AT_ONCE), Bulkhead("shared", AT_ONCE)
    async with entered(of_one), entered(of_another):
        assert running() == 2
    assert running() == 0


def test_pools_of_one_name_are_measured_together_while_they_are_open() -> None:
    def measured() -> list[float | None]:
        own = {"pool": "shared"}
        states = [REGISTRY.get_sample_value("db_client_connection_count", own | {"state": s}) for s in ("idle", "used")]
        names = ("db_client_connection_pending_requests", "db_client_connection_max")
        return [*states, *(REGISTRY.get_sample_value(name, own) for name in names)]

    def pool(number: int) -> metrics.Pool:
        return metrics.Pool(idle=lambda: number, used=lambda: 10 * number, waiting=lambda: 100 * number, most=number)

    with metrics.watched("shared", pool(1)):
        with metrics.watched("shared", pool(2)):
            assert measured() == [3, 30, 300, 3]
        assert measured() == [1, 10, 100, 1]


async def test_the_suites_own_processes_may_take_all_places() -> None:
    bulkhead = Bulkhead("exports", AT_ONCE)
    async with AsyncExitStack() as held:
        for _ in range(AT_ONCE.process):
            await held.enter_async_context(entered(bulkhead))
        assert isinstance(await refusal(bulkhead), Busy)


async def test_a_call_waits_for_a_place_and_too_many_of_them_are_refused_at_once() -> None:
    bulkhead = Bulkhead("searches", Bound(process=3, client=1, waiting=1, patience_seconds=60))
    async with entered(bulkhead, "a"):
        second = asyncio.create_task(refusal(bulkhead, "a"))
        await asyncio.sleep(0)
        assert isinstance(await refusal(bulkhead, "a"), TooManyAtOnce)
        assert not second.done()
    assert await second is None


async def test_a_call_that_is_cancelled_while_it_waits_leaves_nothing_behind() -> None:
    bulkhead = Bulkhead("searches", Bound(process=1, client=1, waiting=5, patience_seconds=60))
    async with entered(bulkhead, "a"):
        waiting = [asyncio.create_task(refusal(bulkhead, client)) for client in "aab"]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    for client in "ab":
        assert await refusal(bulkhead, client) is None


def test_a_method_that_is_not_named_has_no_bulkhead() -> None:
    bulkhead = Bulkhead("calls", AT_ONCE)
    of = by_method({bulkhead: ("GetJob", "ListJobs")})
    assert (of("GetJob"), of("ListJobs"), of("Check")) == (bulkhead, bulkhead, None)


@pytest.mark.parametrize(("process", "share", "client"), [(64, 0.5, 32), (1, 0.5, 1), (4, 0.75, 3)])
def test_a_share_is_one_place_at_least(process: int, share: float, client: int) -> None:
    assert Bound.shared(process, share).client == client


async def test_one_run_answers_all_who_ask_before_it_begins() -> None:
    runs, begun, gate = 0, asyncio.Event(), asyncio.Event()

    async def work() -> int:
        nonlocal runs
        runs += 1
        mine = runs
        begun.set()
        await gate.wait()
        return mine

    together = Together(work)
    first = [asyncio.create_task(together()) for _ in range(5)]
    await begun.wait()
    later = [asyncio.create_task(together()) for _ in range(5)]
    await asyncio.sleep(0)
    later[0].cancel()
    gate.set()
    assert await asyncio.gather(*first) == [1] * 5
    assert await asyncio.gather(*later[1:]) == [2] * 4
