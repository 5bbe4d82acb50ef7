"""Calls that are repeated."""

import pytest
from connectra_client.errors import ApiError, ClientError, Unreachable
from connectra_client.retrying import in_turn


def test_a_call_waits_for_the_rate_limit_and_for_nothing_else() -> None:
    errors: list[ClientError] = [ApiError("too many", status=429, retry_after=7), Unreachable("nobody answers")]
    waited: list[float] = []

    def call() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    with pytest.raises(Unreachable):
        in_turn(call, waited.append)
    assert (errors, waited) == ([], [7])
    assert in_turn(call, waited.append) == "done"
