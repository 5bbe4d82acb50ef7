"""Numbers about the records that match: groups of them, and measures of each group."""
