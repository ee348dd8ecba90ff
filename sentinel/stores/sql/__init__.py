"""The truth in SQL: incidents, approvals, runs, ledger, outcomes and audit, on SQLite or PostgreSQL."""
