"""Why a query finds a record, or why it does not."""
