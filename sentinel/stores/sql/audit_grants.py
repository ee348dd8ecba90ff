"""The rights that the processes need on PostgreSQL: whoever writes the audit may add to it and read it, nothing else."""

from __future__ import annotations

from sentinel.errors import ConfigError
from sentinel.stores.sql import tables
from sentinel.stores.sql.tables_audit import audit_deliveries, audit_heads, audit_retention

_ADD_ONLY = (tables.audit.name, audit_heads.name)
_READ_ONLY = (audit_retention.name, "alembic_version")


def writer_grants(role: str, *, worker: bool = False) -> list[str]:
    """Statements that make `role` (which must exist) a writer; run them as the owner of the tables after each upgrade.

    The audit and its heads: SELECT and INSERT. The retention: SELECT, so that only the owner can drop days. All other
    tables, those of the graph's checkpoints included: reading and writing, but neither TRUNCATE nor anything that changes
    the schema. `worker`: CREATE on the schema as well, because LangGraph asks for its tables anew at each start; it
    gives no right on tables that are there. Raises `ConfigError` for a name that is not a plain one.
    """
    if not role.replace("_", "").isalnum():
        raise ConfigError(f"{role!r} is not a plain name of a role: letters, digits and _")
    name = f'"{role}"'
    return [
        "BEGIN;",
        f"GRANT USAGE{', CREATE' if worker else ''} ON SCHEMA public TO {name};",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {name};",
        *(f"REVOKE UPDATE, DELETE, TRUNCATE, TRIGGER ON {table} FROM {name};" for table in _ADD_ONLY),
        *(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER ON {table} FROM {name};" for table in _READ_ONLY),
        f"GRANT SELECT, INSERT, UPDATE ON {audit_deliveries.name} TO {name};",
        "COMMIT;",
    ]
