"""Alembic migrations of the store; run by setpoint.adapters.store.schema alone."""
