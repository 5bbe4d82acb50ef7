"""Claims begin at a number below which no mark is left, and none can come."""

from connectra_write.indexer.low_water import WHOLE_EVERY, Look, LowWater


def test_it_follows_marks_that_were_removed_when_the_transactions_of_their_time_are_over() -> None:
    low = LowWater()
    for look in (Look(100, 1, running=10, coming=10), Look(200, 150, running=20, coming=20)):
        low.learn(look)
        assert low.number <= 1
    low.learn(Look(300, 250, running=30, coming=30))
    assert low.number == 101
    low.learn(Look(400, None, running=40, coming=40))
    assert low.number == 201


def test_it_waits_for_a_transaction_that_has_drawn_a_number_and_not_committed() -> None:
    low = LowWater()
    low.learn(Look(100, None, running=5, coming=10))
    for newest in (200, 300, 400):
        low.learn(Look(newest, None, running=5, coming=newest))
    assert low.number == 1
    # It has committed, and its mark is seen.
    low.learn(Look(500, 90, running=500, coming=500))
    assert low.number == 90


def test_marks_that_are_left_hold_it() -> None:
    low = LowWater()
    for number in range(1, 10):
        low.learn(Look(100 * number, 42, running=number, coming=number))
    assert low.number == 42


def test_now_and_then_all_is_looked_at() -> None:
    low, begun = LowWater(), []
    for number in range(1, 2 * WHOLE_EVERY + 1):
        begun.append(low.begin)
        low.learn(Look(number, number, running=number, coming=number))
    assert [turn for turn, begin in enumerate(begun) if begin == 0] == [0, WHOLE_EVERY]
