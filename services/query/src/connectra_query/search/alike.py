"""Names that are like one that was asked for, as queries of Elasticsearch; see `connectra_common.search.alike`."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from connectra_common.search.alike import Alike, nicknames, sound_field, sounds

Json = dict[str, Any]

# How much a nickname counts, a name that sounds the same and is written nearly so, and one that only sounds so: less than any word that is
# there as it was typed.
_NICKNAME, _NEARLY, _SOUND = 0.003, 0.002, 0.001


def alike_queries(fields: Sequence[str], word: str, kinds: Collection[Alike], *, scored: bool = True) -> list[Json]:
    """What matches names like the word in one of the fields; `scored`: some count more than others."""
    return [query for field in fields for query in _in_field(field, word, kinds, scored)]


def _in_field(field: str, word: str, kinds: Collection[Alike], scored: bool) -> Iterator[Json]:
    if "nickname" in kinds and (names := nicknames(word)):
        yield _counting(_NICKNAME, {"terms": {field: sorted(names)}})
    if "sound" in kinds and (keys := sounds(word)):
        sounding: Json = {"terms": {sound_field(field): sorted(keys)}}
        yield _counting(_SOUND, sounding)
        if scored:
            nearly: Json = {"fuzzy": {field: {"value": word, "fuzziness": 2, "prefix_length": 1, "max_expansions": 10}}}
            yield _counting(_NEARLY, {"bool": {"filter": [sounding, nearly]}})


def _counting(boost: float, query: Json) -> Json:
    return {"constant_score": {"filter": query, "boost": boost}}
