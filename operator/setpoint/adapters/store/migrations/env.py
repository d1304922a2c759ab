"""Runs the migrations on the connection, and in the transaction, that the caller brings."""

from alembic import context

from setpoint.adapters.store import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.AUDIT_ROW.metadata,
    transactional_ddl=False,
)
context.run_migrations()
