"""What happened to one record, from the audit trail."""
