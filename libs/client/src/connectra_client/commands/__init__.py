"""The sub-commands of the client itself; entry points of `pyproject.toml` name them."""
