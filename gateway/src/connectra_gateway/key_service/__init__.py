"""Clients and keys by call: what the gateway serves itself, beside Envoy."""
