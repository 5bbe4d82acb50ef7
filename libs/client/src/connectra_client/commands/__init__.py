"""The client's own subcommands, registered as entry points in `pyproject.toml`."""
