"""Snoozed questions, and the pictures on cards."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "snoozes",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("woken", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_snoozes")),
    )
    op.create_index(op.f("ix_snoozes_woken_until"), "snoozes", ["woken", "until"], unique=False)
    op.create_table(
        "card_pictures",
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("incident_id", sa.String(), nullable=False),
        sa.Column("moment", sa.String(), nullable=False),
        sa.Column("file", sa.String(), server_default="", nullable=False),
        sa.Column("upload", sa.String(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("settled", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("destination", "incident_id", name=op.f("pk_card_pictures")),
    )
