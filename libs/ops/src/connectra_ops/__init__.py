"""Operators' commands: they read the stores themselves, as those may who may see everything, and serve no call."""
