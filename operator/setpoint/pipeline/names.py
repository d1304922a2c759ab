"""Owns the names and labels of the objects that belong to a target. Pure."""

from setpoint.api.meta import GROUP, ObjectRef
from setpoint.domain.digests import digest_bytes

TARGET_LABEL = f"{GROUP}/target"
_MAX_NAME = 253
_MAX_LABEL = 63
DIGITS = 32
"""Of a digest in a name: enough that nobody makes two things of one name, and yet no decision rests on it alone."""

DIGITS_BESIDE = 40
"""As many where an object that was cut has that name: see `AboutTarget.is_cut`. It stays, and is nothing any more."""


def target_label(target: ObjectRef) -> str:
    """The label value that finds a target's objects: `<kind>.<name>`, a cut digest where that is too long for a label.

    It finds; whose an object is, its `spec.targetRef` says.
    """
    return _fitting(f"{target.kind.lower()}.{target.name}")


def earlier_label(target: ObjectRef) -> str:
    """The value up to version 0.1, when all targets were of one kind: the name alone."""
    return _fitting(target.name)


def _fitting(value: str) -> str:
    return value if len(value) <= _MAX_LABEL else "h-" + digest_bytes(value.encode())[7:47]


def child_name(target: str, infix: str, digest: str, *, beside: bool = False) -> str:
    """`<target>[-<infix>]-<first hex digits>`; a long target's name is cut, the digits keep it apart.

    `beside`: an object that was cut has the name, so this one has more digits.

    The digits also keep apart the children of two kinds of target of one name: the digest is of the kind, too. Whoever
    finds an object of this name compares the whole digest: one of another digest is another object.
    """
    digits = DIGITS_BESIDE if beside else DIGITS
    tail = "-".join(part for part in (infix, digest.removeprefix("sha256:")[:digits]) if part)
    return f"{target[: _MAX_NAME - len(tail) - 1].rstrip('-.')}-{tail}"
