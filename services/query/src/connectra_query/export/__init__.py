"""Exports: every record that a query finds, once, as a file in pieces."""
