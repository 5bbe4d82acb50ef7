"""Names that are like others."""

import pytest
from connectra_common.search.alike import nicknames, sound_keys, sounds


@pytest.mark.parametrize(
    "names",
    [
        *(
            "meyer mayr meier maier mair",
            "schmidt schmitt schmid schmied",
            "mueller muller moeller",
            "stephen steven stefan",
        ),
        *("philip filip phillip", "katherine catherine kathryn", "mohammed muhammad mohamed", "hoffmann hofmann"),
        *("petersen pedersen", "oneil oneill", "jakob jacob", "yusuf yousef", "fischer fisher", "smith smythe schmidt"),
    ],
)
def test_names_that_sound_the_same_have_a_key_in_common(names: str) -> None:
    first, *others = names.split()
    assert [name for name in others if sounds(first).isdisjoint(sounds(name))] == []


def test_names_that_sound_different_have_none() -> None:
    for one, other in (
        ("meyer", "miller"),
        ("schmidt", "schulz"),
        ("robert", "albert"),
        ("anna", "hanna"),
        ("kim", "tim"),
    ):
        assert sounds(one).isdisjoint(sounds(other)), (one, other)


def test_what_is_short_or_of_another_script_has_no_key() -> None:
    assert [*map(sounds, ("li", "lee", "東京", "шарма", "c++", "at&t", "x5", ""))] == [frozenset()] * 8


def test_the_keys_of_a_name_are_those_of_its_words_without_accents() -> None:
    assert sound_keys("Jürgen-Łukasz O'Neil") == tuple(sorted({*sounds("jurgen"), *sounds("lukasz"), *sounds("oneil")}))


def test_nicknames_are_found_from_both_sides() -> None:
    assert "robert" in nicknames("bob")
    assert "bob" in nicknames("robert")
    assert nicknames("zzz") == frozenset()
