"""Owns the names and labels of the objects that belong to a target. Pure."""

from setpoint.api.meta import GROUP
from setpoint.domain.digests import digest_bytes

TARGET_LABEL = f"{GROUP}/target"
_MAX_NAME = 253
_MAX_LABEL = 63
DIGITS = 32
"""Of a digest in a name: enough that nobody makes two things of one name, and yet no decision rests on it alone."""


def target_label(name: str) -> str:
    """The label value that finds a target's objects; a cut digest where the name is too long for a label.

    It finds; whose an object is, its `spec.targetRef` says.
    """
    return name if len(name) <= _MAX_LABEL else "h-" + digest_bytes(name.encode())[7:47]


def child_name(target: str, infix: str, digest: str) -> str:
    """`<target>[-<infix>]-<first 32 hex digits>`; a long target's name is cut, the digits keep it apart.

    Whoever finds an object of this name compares the whole digest: one of another digest is another object.
    """
    tail = "-".join(part for part in (infix, digest.removeprefix("sha256:")[:DIGITS]) if part)
    return f"{target[: _MAX_NAME - len(tail) - 1].rstrip('-.')}-{tail}"
