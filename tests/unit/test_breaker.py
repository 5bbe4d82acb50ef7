"""What is a document's fault, and what is the index's."""

import pytest
from connectra_write.indexer.breaker import MANY, PROBE, Breaker
from connectra_write.indexer.bulk import Result

TAKEN, BAD = Result(200), Result(400, "document_parsing_exception", "failed to parse")


def names(number: int) -> list[str]:
    return [str(n) for n in range(number)]


def test_a_document_that_is_refused_among_others_is_at_fault_itself() -> None:
    breaker = Breaker("contact")
    assert not breaker.judge(names(20), [BAD, *[TAKEN] * 19])
    assert breaker.limit(2_000) == 2_000


def test_one_document_that_is_refused_again_and_again_pauses_nothing() -> None:
    breaker = Breaker("contact")
    assert not any(breaker.judge(["1"], [BAD]) for _ in range(3 * MANY))


@pytest.mark.parametrize(
    "result",
    [
        Result(400, "index_closed_exception", "closed"),
        Result(400, "strict_dynamic_mapping_exception", "mapping set to strict"),
        Result(400, "illegal_argument_exception", "no write index is defined for alias [contacts_index]."),
        Result(403, "cluster_block_exception", "index [x] blocked by: [FORBIDDEN/8/index write (api)];"),
    ],
)
def test_what_is_never_a_documents_fault_pauses_at_once(result: Result) -> None:
    breaker = Breaker("contact")
    assert breaker.judge(["1"], [result])
    assert breaker.limit(2_000) == 0


def test_documents_that_are_all_refused_alike_pause_in_one_batch_or_one_by_one() -> None:
    assert Breaker("contact").judge(names(MANY), [BAD] * MANY)
    breaker = Breaker("contact")
    assert [breaker.judge([name], [BAD]) for name in names(MANY)] == [False] * (MANY - 1) + [True]


def test_it_goes_on_when_a_few_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = Breaker("contact")
    breaker.judge(names(MANY), [BAD] * MANY)
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    assert breaker.limit(2_000) == PROBE
    assert not breaker.judge(names(PROBE), [TAKEN] * PROBE)
    assert breaker.limit(2_000) == 2_000
