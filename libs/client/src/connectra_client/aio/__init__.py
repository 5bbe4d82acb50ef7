"""The typed client: `Connectra` over its stubs."""
