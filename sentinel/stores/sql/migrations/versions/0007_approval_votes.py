"""Several people may have to approve: votes by person, the one that closes a request is its decision. Edits of plans."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "approval_votes",
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("choice", sa.String(), nullable=False),
        sa.Column("closes", sa.Integer(), nullable=False),
        sa.Column("final", sa.Integer(), server_default="0", nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.Double(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["request_id"], ["approval_requests.id"], name=op.f("fk_approval_votes_request_id")),
        sa.PrimaryKeyConstraint("request_id", "person", "choice", name=op.f("pk_approval_votes")),
        sa.UniqueConstraint("actor", "idempotency_key", name=op.f("uq_approval_votes_actor_idempotency_key")),
    )
    op.create_index(
        "uq_approval_votes_closes",
        "approval_votes",
        ["request_id"],
        unique=True,
        sqlite_where=sa.text("closes = 1"),
        postgresql_where=sa.text("closes = 1"),
    )
    kept = "request_id, choice, digest, actor, role, reason, decided_at, idempotency_key"
    op.execute(
        f"INSERT INTO approval_votes (person, closes, {kept}) SELECT actor, 1, {kept} FROM approval_decisions"  # noqa: S608 only names of columns
    )
    op.drop_table("approval_decisions")
    op.create_index(op.f("ix_approval_requests_run_id"), "approval_requests", ["run_id"], unique=False)
    op.create_table(
        "approval_edits",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["approval_requests.id"], name=op.f("fk_approval_edits_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_edits")),
    )
    op.create_index(
        op.f("ix_approval_edits_request_id_asked_at"), "approval_edits", ["request_id", "asked_at"], unique=False
    )
