"""Rate limits look for what began lately."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index(op.f("ix_ledger_started_at"), "ledger", ["started_at"], unique=False)
