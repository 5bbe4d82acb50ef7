"""What a writing process remembers of filter values."""

from connectra_write.filter_values.known import KnownValues
from connectra_write.filter_values.rows import Wanted

BONN: Wanted = ("contact", "city", "bonn")
ROME: Wanted = ("contact", "city", "rome")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_value_is_known_once_it_is_committed() -> None:
    known = KnownValues()
    new = known.missing([BONN])
    assert [(v.service, v.filter_key, v.value, v.display_value) for v in new] == [(*BONN, "bonn")]
    assert known.missing([BONN]) == new
    known.add(new)
    assert [v.value for v in known.missing([BONN, ROME])] == ["rome"]


def test_a_look_does_not_prolong_how_long_a_value_is_known() -> None:
    clock = Clock()
    known = KnownValues(kept_seconds=600, clock=clock)
    known.add(known.missing([BONN]))
    clock.now += 599
    assert known.missing([BONN]) == []
    clock.now += 2
    assert [v.value for v in known.missing([BONN])] == ["bonn"]


def test_no_more_bytes_are_kept_than_allowed() -> None:
    known = KnownValues(kept_bytes=10_000)
    short: list[Wanted] = [("contact", "city", str(n)) for n in range(25)]
    known.add(known.missing(short))
    assert known.missing(short) == []
    long: list[Wanted] = [("contact", "city", f"{n}{'é' * 450}") for n in range(25)]
    known.add(known.missing(long))
    assert len(known.missing(short)) == 25
    assert len(known.missing(long)) == 13
