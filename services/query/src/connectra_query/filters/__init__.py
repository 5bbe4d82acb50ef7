"""Filters that users are offered, and the values each can take."""
