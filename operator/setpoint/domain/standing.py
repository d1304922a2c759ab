"""Owns whether a trail still is the one that its head was written of, so that something may be applied on it. Pure.

A database that was put back, emptied or exchanged contradicts its head. Then states, Changes and approvals are of an
earlier day, and what would be applied on them was perhaps applied already.
"""

import dataclasses

from setpoint.domain.audit import Head

ACCEPT = "setpoint store accept --reason WHY"
REMEDY = f"put back the database that belongs to it, or, where this one is to be gone on with: {ACCEPT}"


@dataclasses.dataclass(frozen=True, slots=True)
class SeenHead:
    """The head as it was found; where there is none to be read, `problem` says why."""

    head: Head | None
    problem: str = ""


def contradiction(seen: SeenHead, newest: Head, there: bytes | None, since: int = 0) -> str:
    """The contradiction between the head and the trail, as a clause; empty where the trail goes on from the head.

    `newest` is how far the rows go, and of which trail; `there` is the hash of the row that the head names, None where
    there is none; `since` is the first row that bears a seal, 0 where none does.
    """
    head = seen.head
    if head is None:
        return f"nothing vouches for the {newest.size} rows of the audit trail: {seen.problem}"
    if head.size > newest.size:
        return (
            f"the audit trail had {head.size} rows and ends after {newest.size}: an older database was put back, or "
            "rows were removed"
        )
    if head.trail and head.trail != newest.trail:
        return "the head is that of another audit trail: the database is not the one that belongs to it"
    if not head.trail and 0 < since <= head.size:
        return "the head bears no seal, though the rows that it vouches for do: it was written by another"
    if there != head.hash:
        return (
            f"row {head.size} of the audit trail is not the one that stood there: an older or another database was put "
            "back, or the rows were written anew"
        )
    return ""


def refusal(problem: str) -> str:
    """The message for people where something would be applied."""
    return f"nothing is applied, for {problem}; {REMEDY}"
