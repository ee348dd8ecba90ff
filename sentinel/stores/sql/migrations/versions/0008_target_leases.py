"""Leases on targets: at most one run acts on one at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "target_leases",
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("run_epoch", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_target_leases")),
    )
    op.create_index(op.f("ix_target_leases_run_id"), "target_leases", ["run_id"], unique=False)
