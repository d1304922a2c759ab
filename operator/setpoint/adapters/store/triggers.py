"""Owns the triggers that refuse to rewrite what is only appended.

They are against our own mistakes: whoever owns the database can drop them, and the hash chain shows what was done.
"""

from collections.abc import Iterator

_FUNCTION = """
CREATE OR REPLACE FUNCTION setpoint_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$
"""


_UNSEALED = "rows of this trail are sealed, which an older Setpoint can not do: let the newer one lead"
_SEALED_FUNCTION = f"""
CREATE OR REPLACE FUNCTION setpoint_sealed_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM trail) THEN RAISE EXCEPTION '{_UNSEALED}'; END IF;
    RETURN NEW;
END $$
"""


def sealed_only(dialect: str) -> Iterator[str]:
    """The statements that refuse audit rows without a seal, once there is one with it."""
    if dialect == "sqlite":
        yield (
            "CREATE TRIGGER audit_row_sealed BEFORE INSERT ON audit_row WHEN NEW.mac IS NULL "  # noqa: S608 constants
            f"AND EXISTS (SELECT 1 FROM trail) BEGIN SELECT RAISE(ABORT, '{_UNSEALED}'); END"
        )
        return
    yield _SEALED_FUNCTION
    yield (
        "CREATE TRIGGER audit_row_sealed BEFORE INSERT ON audit_row FOR EACH ROW WHEN (NEW.mac IS NULL) "
        "EXECUTE FUNCTION setpoint_sealed_only()"
    )


def append_only(dialect: str, table: str, *, deletable: bool = False) -> Iterator[str]:
    """The statements that make a table of this SQLAlchemy dialect append-only, or only never updated."""
    verbs = ("UPDATE",) if deletable else ("UPDATE", "DELETE")
    if dialect == "sqlite":
        for verb in verbs:
            yield (
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    yield _FUNCTION
    for verb in verbs if deletable else (*verbs, "TRUNCATE"):
        yield (
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION setpoint_append_only()"
        )
