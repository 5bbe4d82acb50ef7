"""Sizes of a record. They keep every stored value within what Elasticsearch can index (32,766 bytes a keyword)."""

MAX_TEXT_CHARS = 8_000
# Of a text as it is given, in which there may be white space that is not stored. A longer one is not looked into.
MAX_GIVEN_CHARS = 4 * MAX_TEXT_CHARS
MAX_LIST_ITEMS = 5_000
MAX_ITEM_CHARS = 1_000
# RFC 5321; also within what an index of the database can hold, as is the domain in it.
MAX_EMAIL_CHARS = 320
# A longer value is stored with its record but not offered as a filter value.
MAX_FILTER_VALUE_CHARS = 500
MAX_BATCH_RECORDS = 2_000
MAX_BATCH_ROWS = 100
# Of a row of named columns, and of its names together.
MAX_ROW_COLUMNS, MAX_HEADER_CHARS = 500, 10_000
# Of an answer.
MAX_WARNINGS = 100
