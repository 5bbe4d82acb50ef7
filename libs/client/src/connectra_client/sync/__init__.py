"""The typed client, blocking: `SyncConnectra` over its stubs."""
