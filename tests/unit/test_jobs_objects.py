"""How large the parts of a file are whose size nobody knows in advance."""

from itertools import accumulate

from connectra_jobs.worker import objects

MIB, GIB, TIB = 1024**2, 1024**3, 1024**4
SIZES = [objects.part_bytes(number) for number in range(1, 10_001)]


def test_ten_thousand_parts_hold_the_largest_object_that_s3_has() -> None:
    assert sum(SIZES) >= objects.MAX_OBJECT_BYTES == 5 * TIB


def test_every_part_is_one_that_s3_takes() -> None:
    assert min(SIZES) >= 5 * MIB
    assert max(SIZES) <= 5 * GIB
    assert sorted(SIZES) == SIZES


def test_a_part_is_small_where_the_file_is() -> None:
    within = dict(zip(accumulate(SIZES), SIZES, strict=True))
    assert {size for end, size in within.items() if end <= 7 * GIB} == {8 * MIB}
    assert max(size for end, size in within.items() if end <= 100 * GIB) == 64 * MIB
    # A part is never a large share of what is before it, so that the two that are under way stay small beside the file.
    assert max(size / end for end, size in within.items() if end > GIB) < 0.01
