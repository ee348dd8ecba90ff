"""Circuit breakers, and the results that trip them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "breakers",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("tripped_until", sa.Double(), nullable=True),
        sa.Column("counts_from", sa.Double(), nullable=False),
        sa.Column("probe", sa.String(), nullable=False),
        sa.Column("probe_until", sa.Double(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_breakers")),
    )
    op.create_table(
        "action_results",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("ok", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_action_results")),
    )
    op.create_index(op.f("ix_action_results_at"), "action_results", ["at"], unique=False)
