"""Owns the audit trail's rules: what a row says, its canonical bytes, the hash chain, what makes a chain intact. Pure.

    leaf = SHA256(0x00 || header)           hash = SHA256(0x02 || previous row's hash || leaf)

The header is RFC 8785 text of strings alone. It holds a salted commitment to the payload, so that a payload can be
erased and the chain still verifies. A chain proves order and content; that its end was not cut off is proven by the
`Head`, which is kept outside the database and may lag behind the rows, never run ahead of them.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from setpoint.api.meta import ObjectRef

GENESIS = bytes(32)
"""What the first row follows."""
_VERSION = "1"
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_quote = json.encoder.encode_basestring
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class Phase(StrEnum):
    """An intent is written before an effect, its outcome after. A fact stands alone."""

    INTENT = "intent"
    OUTCOME = "outcome"
    FACT = "fact"


@dataclasses.dataclass(frozen=True, slots=True)
class AuditEntry:
    """What is to be recorded. `run` joins an intent with its outcome; `digests` maps a role to a digest.

    `payload` is erasable: the row's header holds only a salted commitment to it. No secret belongs in either.
    """

    action: str
    phase: Phase
    actor: str
    target: ObjectRef | None = None
    run: str = ""
    result: str = ""
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict)
    payload: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class AuditRow:
    """One recorded row. `seq` starts at 1 without gaps; `header` are the bytes that the hashes cover."""

    seq: int
    at: str
    entry: AuditEntry
    header: bytes
    leaf: bytes
    prev: bytes
    hash: bytes


class Draft(NamedTuple):
    """An entry in its final bytes, ready to be chained. `body` is the payload's text, None where there is none."""

    header: bytes
    leaf: bytes
    target: str
    run: str
    phase: str
    salt: bytes
    body: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A row as it was found, nothing about it believed yet. `salt` and `body` are None where the payload is gone.

    `target`, `run` and `phase` are copies of what the header says, kept to be searched.
    """

    seq: int
    target: str
    run: str
    phase: str
    header: bytes
    leaf: bytes
    prev: bytes
    hash: bytes
    salt: bytes | None = None
    body: bytes | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """How far the trail had certainly come: that many rows, the last of which had that hash."""

    size: int
    hash: bytes


class Verdict(StrEnum):
    """What can be said about a trail."""

    INTACT = "intact"
    TAMPERED = "tampered"
    UNVERIFIABLE = "unverifiable"


@dataclasses.dataclass(frozen=True, slots=True)
class VerifyReport:
    """The verdict over `rows` good rows, `erased` of them without their payload.

    `seq` is the first bad row, 0 where none is; `reason` is a sentence, empty where all is well.
    """

    verdict: Verdict
    rows: int
    erased: int = 0
    seq: int = 0
    reason: str = ""


class BadRowError(ValueError):
    """A row that contradicts itself or its predecessor."""


def draft(entry: AuditEntry, *, at: str, salt: bytes) -> Draft:
    """The bytes of an entry. `at` is an RFC 3339 instant in UTC; `salt` are 16 random bytes.

    Raises ValueError or TypeError for a payload that is not JSON, and for roles of digests beyond ASCII.
    """
    body = None if entry.payload is None else _utf8(_encode(dict(entry.payload)))
    header = _utf8(_header(entry, at, "" if body is None else commitment(salt, body).hex()))
    target = _encodable(entry.target.key if entry.target else "")
    return Draft(header, leaf_hash(header), target, _encodable(entry.run), entry.phase.value, salt, body)


def _header(entry: AuditEntry, at: str, committed: str) -> str:
    """RFC 8785 text: the keys are in order, and strings alone are written as JSON has them. Empty fields are left out.

    Spelled out, because it takes a quarter of the time of a JSON encoder, and a tenth of that of `rfc8785`.
    """
    fields = (
        ("action", _quote(entry.action)),
        ("actor", _quote(entry.actor)),
        ("at", _quote(at)),
        ("digests", _digests(entry.digests) if entry.digests else ""),
        ("payload", f'"{committed}"' if committed else ""),
        ("phase", f'"{entry.phase.value}"'),
        ("result", _quote(entry.result) if entry.result else ""),
        ("run", _quote(entry.run) if entry.run else ""),
        ("target", _target(entry.target) if entry.target else ""),
        ("v", f'"{_VERSION}"'),
    )
    return "{" + ",".join([f'"{name}":{text}' for name, text in fields if text]) + "}"


def _digests(digests: Mapping[str, str]) -> str:
    if not all(map(str.isascii, digests)):
        msg = "the role of a digest is not ASCII"
        raise ValueError(msg)
    return "{" + ",".join([f"{_quote(role)}:{_quote(digests[role])}" for role in sorted(digests)]) + "}"


def _target(ref: ObjectRef) -> str:
    return f'{{"kind":{_quote(ref.kind)},"name":{_quote(ref.name)},"namespace":{_quote(ref.namespace)}}}'


def _utf8(text: str) -> bytes:
    """Half a surrogate pair, which no UTF-8 can hold, becomes a question mark: the trail takes any text."""
    return text.encode("utf-8", "replace")


def _encodable(text: str) -> str:
    return text if text.isascii() else _utf8(text).decode()


def commitment(salt: bytes, body: bytes) -> bytes:
    """What a header says about a payload: nothing without the salt, everything with it."""
    return hashlib.sha256(salt + body).digest()


def leaf_hash(header: bytes) -> bytes:
    """The hash of a header alone (RFC 6962 leaf)."""
    return hashlib.sha256(b"\x00" + header).digest()


def chain_hash(prev: bytes, leaf: bytes) -> bytes:
    """The hash of a row in its place."""
    return hashlib.sha256(b"\x02" + prev + leaf).digest()


def parse(record: Record) -> AuditRow:
    """The row that a record holds. Raises BadRowError for a header that says nothing readable."""
    try:
        header = json.loads(record.header)
        entry = _entry(header, None if record.body is None else json.loads(record.body))
        at = str(header["at"])
    except _UNREADABLE as error:
        msg = "its header or payload can't be read"
        raise BadRowError(msg) from error
    return AuditRow(record.seq, at, entry, record.header, record.leaf, record.prev, record.hash)


def _entry(header: Mapping[str, Any], payload: Any) -> AuditEntry:
    return AuditEntry(
        action=header.get("action", ""),
        phase=Phase(header["phase"]),
        actor=header.get("actor", ""),
        target=ObjectRef(**header["target"]) if "target" in header else None,
        run=header.get("run", ""),
        result=header.get("result", ""),
        digests=dict(header.get("digests", {})),
        payload=payload,
    )


def verify(records: Iterable[Record], head: Head | None, *, headless: str = "there is no head") -> VerifyReport:
    """Checks a whole trail, first row first, one row at a time.

    `head` None: nothing vouches for its end, since `headless`.
    """
    seq, erased, last = 0, 0, GENESIS
    for record in records:
        try:
            erased += _check(record, seq + 1, last)
            _check_head(record, head)
        except BadRowError as error:
            return VerifyReport(Verdict.TAMPERED, seq, erased, seq + 1, f"row {seq + 1}: {error}")
        seq, last = record.seq, record.hash
    return _conclude(seq, erased, head, headless)


def _conclude(seq: int, erased: int, head: Head | None, headless: str) -> VerifyReport:
    if head is None:
        reason = f"the rows are a whole chain, but nothing vouches for its end: {headless}"
        return VerifyReport(Verdict.UNVERIFIABLE, seq, erased, 0, reason)
    if head.size > seq:
        reason = f"row {seq + 1}: it is missing: the trail had {head.size} rows and ends after {seq}"
        return VerifyReport(Verdict.TAMPERED, seq, erased, seq + 1, reason)
    return VerifyReport(Verdict.INTACT, seq, erased)


def _check_head(record: Record, head: Head | None) -> None:
    if head and record.seq == head.size and record.hash != head.hash:
        msg = "it is not the row that stood here: the trail was written anew"
        raise BadRowError(msg)


def _check(record: Record, seq: int, prev: bytes) -> int:
    """Returns 1 where the payload was erased, else 0."""
    leaf = leaf_hash(record.header) if isinstance(record.header, bytes) else None
    if record.seq != seq:
        why = f"it is missing: row {record.seq} follows"
    elif record.prev != prev:
        why = "it does not follow the row before it"
    elif leaf is None or leaf != record.leaf:
        why = "its header was changed"
    elif chain_hash(prev, leaf) != record.hash:
        why = "its hash is not that of its content"
    else:
        return _check_content(record)
    raise BadRowError(why)


def _check_content(record: Record) -> int:
    try:
        header = json.loads(record.header)
        target = ObjectRef(**header["target"]).key if "target" in header else ""
        copies = (target, header.get("run", ""), header["phase"])
    except _UNREADABLE as error:
        msg = "its header can't be read"
        raise BadRowError(msg) from error
    if copies != (record.target, record.run, record.phase):
        msg = "its search columns contradict its header"
        raise BadRowError(msg)
    return _check_payload(record, header.get("payload"))


def _check_payload(record: Record, committed: str | None) -> int:
    if record.body is None or record.salt is None:
        return int(committed is not None)
    whole = committed is not None and isinstance(record.salt, bytes) and isinstance(record.body, bytes)
    if not whole or commitment(record.salt, record.body).hex() != committed:
        msg = "its payload was changed"
        raise BadRowError(msg)
    return 0
