"""The reference documentation and where it comes from: the table of REST calls, and the makers of the OpenAPI document and of the pages
docs/rest.md, docs/settings.md and docs/fields.md.

A tool of the project's developers; no image has it.
"""
