"""What is a document's fault, and what is the index's."""

import pytest
from connectra_write.indexer.breaker import MANY, PROBE, Breaker
from connectra_write.indexer.bulk import Result

TAKEN, BAD = Result(200), Result(400, "document_parsing_exception", "failed to parse")


def test_a_document_that_is_refused_among_others_is_at_fault_itself() -> None:
    breaker = Breaker("contact")
    assert not breaker.judge([BAD, *[TAKEN] * 19])
    assert breaker.limit(2_000) == 2_000


def test_one_document_that_is_refused_again_and_again_pauses_nothing_while_another_is_taken() -> None:
    breaker = Breaker("contact")
    assert not any(breaker.judge([BAD, Result(409)]) for _ in range(3 * MANY))


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
    assert breaker.judge([result])
    assert breaker.limit(2_000) == 0


@pytest.mark.parametrize("results", [[BAD], [BAD, BAD], [Result(503), BAD], [*[BAD] * (MANY + 1), *[TAKEN] * MANY]])
def test_where_none_are_taken_or_most_refused_alike_it_pauses(results: list[Result]) -> None:
    breaker = Breaker("contact")
    assert breaker.judge(results)
    assert breaker.limit(2_000) == 0


def test_it_goes_on_when_a_few_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = Breaker("contact")
    breaker.judge([BAD] * MANY)
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    assert breaker.limit(2_000) == PROBE
    assert not breaker.judge([TAKEN] * PROBE)
    assert breaker.limit(2_000) == 2_000
