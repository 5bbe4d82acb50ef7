"""What might have been meant by a free text, where hardly anything has its words."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from connectra_common.call import Call
from connectra_common.records.fields import Entity
from connectra_common.search.free_text import phrase_fields, words_field
from connectra_common.search.words import UNSPACED, asked_words
from connectra_common.vql.ast import And, FreeText, Query

from connectra_query.search.compile import Json, compile_query
from connectra_query.search.engine import Search

# Fewer hits than these are few, and so are fewer records with a word.
FEW = 3
# Shorter words, and such with digits or signs, are taken as they are.
LEAST_LETTERS = 4


async def forgiving(query: Query, search: Search, call: Call) -> Query:
    """The query with other words beside its own, if hardly anything matches and there are similar words that more records have."""
    asked = next((node for node in query.root.nodes if isinstance(node, FreeText)), None)
    if asked is None or not (words := _doubtful(asked.words)):
        return query
    entity = query.entity
    few = {"query": compile_query(query), "size": 0, "track_total_hits": FEW}
    if _total(await search.run(entity.alias, few, call)) >= FEW:
        return query
    found = await search.run(entity.alias, _alternatives(words, entity), call)
    better = {word: best for word in words if (best := _best(word, found))}
    if not better:
        return query
    instead = " ".join(better.get(_only_word(part), part) for part in asked.words.split())
    also = replace(asked, instead=instead)
    nodes = tuple(also if node is asked else node for node in query.root.nodes)
    return replace(query, root=And(nodes))


def _doubtful(text: str) -> list[str]:
    """The words that may have been typed wrong."""
    words = dict.fromkeys(_only_word(part) for part in text.split())
    return [word for word in words if len(word) >= LEAST_LETTERS and word.isalpha() and not UNSPACED.search(word)]


def _only_word(part: str) -> str:
    words = asked_words(part)
    return words[0] if len(words) == 1 else ""


def _alternatives(words: Sequence[str], entity: Entity) -> Json:
    """How many records have each word, and similar words that more have."""
    fields = [words_field(entity, name) for name in phrase_fields(entity)]
    counts = {word: {"multi_match": {"query": word, "fields": fields}} for word in words}
    term = {"suggest_mode": "always", "min_word_length": LEAST_LETTERS, "prefix_length": 1, "size": 3}
    return {
        "size": 0,
        "track_total_hits": False,
        "query": {"bool": {"should": list(counts.values())}},
        "aggs": {"words": {"filters": {"filters": counts}}},
        "suggest": {
            f"{field} {word}": {"text": word, "term": {"field": field, **term}} for field in fields for word in words
        },
    }


def _best(word: str, found: Json) -> str | None:
    counts = found.get("aggregations", {}).get("words", {}).get("buckets", {})
    if (count := counts.get(word, {}).get("doc_count", 0)) >= FEW:
        return None
    options = [option for option in _options(word, found) if option["freq"] > count]
    return max(options, key=lambda option: (option["score"], option["freq"]))["text"] if options else None


def _options(word: str, found: Json) -> Iterator[Json]:
    for name, entries in found.get("suggest", {}).items():
        if name.endswith(f" {word}"):
            for entry in entries:
                yield from entry["options"]


def _total(answer: Json) -> int:
    return int(answer["hits"]["total"]["value"])


def did_you_mean(query: Query) -> str | None:
    """The words that match as well."""
    return next((node.instead for node in query.root.nodes if isinstance(node, FreeText)), None)
