"""Limits of a query. An error names the limit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """A query within these limits cannot harm the cluster."""

    page_size: int = 100
    default_page_size: int = 25
    pages: int = 10
    # Rows that can be reached by page or offset; a cursor reaches further.
    window: int = 1_000
    clauses: int = 200
    terms: int = 1_000
    # Of all conditions together; of a JSON document all values are counted.
    values: int = 50_000
    depth: int = 8
    text_chars: int = 1_000
    value_chars: int = 1_000
    # Of all conditions together, and dates. Each is a clause of Elasticsearch, a fuzzy one up to fifty; it takes some thousand in a query.
    words: int = 1_000
    fuzzy_words: int = 100
    # Of `q`: each is looked for in eight fields.
    free_words: int = 20
    # Parts of whole values: each looks at every value of its field.
    scans: int = 20
    # Of a part or beginning of a whole value: Elasticsearch refuses longer ones as too complex.
    part_bytes: int = 300
    # Trigrams: shorter words have none.
    substring_chars: int = 3
    sort_keys: int = 5
    columns: int = 100
    facets: int = 10
    facet_size: int = 100
    default_facet_size: int = 10
    facet_ranges: int = 50


LIMITS = Limits()
