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
