"""Signed heads of the audit, and days that may be dropped once they are proven."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEPT = ("audit_heads", "audit_retention")
_SQLITE = """
CREATE TRIGGER {table}_no_{what} BEFORE {what} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only: {what} refused'); END
"""
_SQLITE_DELETE = """
CREATE TRIGGER audit_no_DELETE BEFORE DELETE ON audit
WHEN OLD.seq > coalesce((SELECT max(seq) FROM audit_retention), 0)
BEGIN SELECT RAISE(ABORT, 'the audit is append-only: DELETE refused'); END
"""
_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.seq <= (SELECT max(seq) FROM audit_retention) THEN RETURN OLD; END IF;
  END IF;
  RAISE EXCEPTION 'the audit is append-only: % refused', TG_OP;
END $$
"""
_POSTGRES_KEPT_FUNCTION = """
CREATE FUNCTION audit_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP; END $$
"""
_POSTGRES_KEPT = (
    "CREATE TRIGGER {0}_no_change BEFORE UPDATE OR DELETE ON {0} FOR EACH ROW EXECUTE FUNCTION audit_kept()",
    "CREATE TRIGGER {0}_no_truncate BEFORE TRUNCATE ON {0} FOR EACH STATEMENT EXECUTE FUNCTION audit_kept()",
)


def upgrade() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_heads")),
    )
    op.create_index(op.f("ix_audit_heads_day"), "audit_heads", ["day"], unique=False)
    op.create_table(
        "audit_deliveries",
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("number", _BIG, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_audit_deliveries")),
    )
    op.create_table(
        "audit_retention",
        sa.Column("number", _BIG, autoincrement=False, nullable=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["number"], ["audit_heads.number"], name=op.f("fk_audit_retention_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_retention")),
    )
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TRIGGER audit_no_DELETE")
        op.execute(_SQLITE_DELETE)
        for table in _KEPT:
            for what in ("UPDATE", "DELETE"):
                op.execute(_SQLITE.format(table=table, what=what))
        return
    op.execute(_POSTGRES_FUNCTION)
    op.execute(_POSTGRES_KEPT_FUNCTION)
    for table in _KEPT:
        for statement in _POSTGRES_KEPT:
            op.execute(statement.format(table))
