"""What those share who read the audit trail."""

# SQL: who created the job that an entry of `audit` names as its actor; null for other actors, and when that entry has been removed.
MADE_BY = """CASE WHEN audit.actor LIKE 'job:%' THEN (
    SELECT made.actor FROM audit made
    WHERE made.uuid = substr(audit.actor, 5) AND made.entity = 'job' AND made.operation = 'create' LIMIT 1) END"""
