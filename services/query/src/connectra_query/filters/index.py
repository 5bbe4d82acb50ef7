"""Values of filters that are read from the search index: of keywords, which it has whole, in lower case and in the order of their bytes.

Nearly every record has a value of its own in them. Without a text the index walks over its values in order and stops at the end of the
page; with one it looks at each value once.
"""

from connectra_common.call import Call
from connectra_common.records.fields import Entity, Field

from connectra_query.search.compile import Json, literal
from connectra_query.search.engine import Search


class IndexedValues:
    """Reads values from the index."""

    def __init__(self, search: Search) -> None:
        self._search = search

    async def page(
        self, entity: Entity, field: Field, text: str, after: str | None, skip: int, limit: int, call: Call
    ) -> list[str]:
        """At most `limit` values that contain a text, `skip` values after `after`. Raises as `Search.run`.

        Elasticsearch makes as many buckets as `skip + limit`, which are to be few thousand.
        """
        answer = await self._search.run(entity.alias, _body(field.name, text, after or "", skip + limit), call)
        buckets = answer.get("aggregations", {}).get("values", {}).get("buckets", [])
        return [bucket["key"]["value"] for bucket in buckets[skip:]]


def _body(name: str, text: str, after: str, size: int) -> Json:
    values = {"size": size, "sources": [{"value": {"terms": {"field": name}}}], "after": {"value": after}}
    body: Json = {"size": 0, "track_total_hits": False, "aggs": {"values": {"composite": values}}}
    if text:
        # In lower case, as the values are: a wildcard is normalized as they are.
        body["query"] = {"wildcard": {name: {"value": f"*{literal(text)}*"}}}
    return body
