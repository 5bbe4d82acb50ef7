"""What is remembered of the values that clients send has a bound in bytes."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from connectra_common.errors import ConnectraError
from connectra_common.records import keys
from connectra_common.records.cleaning import CellRefused
from connectra_common.records.fields import COMPANY, CONTACT
from connectra_common.records.providers import is_shared_domain
from connectra_common.records.remembered import MOST_CHARS, remembered
from connectra_common.records.values.countries import region_of
from connectra_common.records.values.hosts import compared_host
from connectra_common.records.values.phones import read_phone
from connectra_common.records.values.refused import Refused
from connectra_write.records import batches

LONG = 8_000


def kept(work: Callable[[int], object], times: int = 400) -> float:
    """MiB that are still there after some work."""
    for n in range(3):  # what is made once
        work(-n)
    tracemalloc.start()
    for n in range(times):
        work(n)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / 2**20


def quietly(work: Callable[[str], object]) -> Callable[[int], object]:
    def call(n: int) -> None:
        with suppress(Refused, CellRefused, ConnectraError):
            work(f"{n}{'x' * LONG}")

    return call


@pytest.mark.parametrize(
    "work",
    [
        lambda text: read_phone(f"+{text}"),
        compared_host,
        is_shared_domain,
        region_of,
        keys.profile_url,
        lambda text: keys.number(CONTACT, keys.Key(keys.URL, text)),
        lambda text: keys.read(COMPANY, keys.DOMAIN, text),
    ],
    ids=["phone", "host", "shared domain", "country", "profile", "number", "domain"],
)
def test_nothing_is_kept_of_long_texts(work: Callable[[str], object]) -> None:
    assert kept(quietly(work)) < 0.5


def test_rows_with_megabytes_of_lists_leave_nothing() -> None:
    def row(n: int) -> None:
        items = ",".join(f"{n} {i} {'k' * 180}" for i in range(2_000))
        batches.read_rows(
            [{"company": f"c{n}", "keywords": items, "technologies": items, "website": f"{n}{'w' * LONG}"}]
        )

    assert kept(row, times=8) < 2


def test_short_texts_are_worked_out_once() -> None:
    calls: list[str] = []

    @remembered(10)
    def length(text: str, other: str | None = None) -> int:
        calls.append(text)
        return len(text)

    short, long = "s" * MOST_CHARS, "l" * (MOST_CHARS + 1)
    assert [length(short), length(short), length(long), length(long), length("", long)] == [256, 256, 257, 257, 0]
    assert calls == [short, long, long, ""]
