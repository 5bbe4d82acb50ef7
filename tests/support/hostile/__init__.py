"""Callers who mean harm, from a seed: the same one makes the same calls."""
