"""Connectra's gateway: Envoy, configured from the contracts."""
