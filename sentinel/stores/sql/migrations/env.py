"""Alembic's entry: the caller (`sentinel.stores.sql.migrate`) hands over its connection and transaction."""

from alembic import context

from sentinel.stores.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    compare_server_default=True,
)
context.run_migrations()
