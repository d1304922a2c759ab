"""The audit trail's rules: canonical bytes, the chain, and every way to tamper with it that can be seen."""

import dataclasses
import json
from collections.abc import Callable

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.soak import dear_examples

from setpoint.api.meta import ObjectRef
from setpoint.domain import audit
from setpoint.domain.audit import GENESIS, AuditEntry, BadRowError, Head, Phase, Record, Seal, Verdict

AT = "2026-01-01T00:00:00.000000Z"
UNSEALED = Seal(b"k" * 32)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROLE = st.text(st.characters(codec="ascii"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)
ENTRIES = st.builds(
    AuditEntry,
    action=TEXT,
    phase=st.sampled_from(Phase),
    actor=TEXT,
    target=st.none() | st.builds(ObjectRef, TEXT, TEXT, TEXT),
    run=TEXT,
    result=TEXT,
    digests=st.dictionaries(ROLE, TEXT),
    payload=st.none() | st.dictionaries(TEXT, JSON),
)


def chain(count: int = 5) -> list[Record]:
    records: list[Record] = []
    for seq in range(1, count + 1):
        entry = AuditEntry("Apply", Phase.INTENT, "me", ObjectRef("K", "n", str(seq)), f"run-{seq}", payload={"n": seq})
        made = audit.draft(entry, at=AT, salt=bytes([seq]) * 16)
        prev = records[-1].hash if records else GENESIS
        columns = (made.target, made.run, made.phase, made.header, made.leaf, prev, audit.chain_hash(prev, made.leaf))
        records.append(Record(seq, *columns, made.salt, made.body))
    return records


def head_of(records: list[Record]) -> Head:
    return Head(records[-1].seq, records[-1].hash)


@given(ENTRIES)
def test_headers_are_rfc_8785_and_say_everything(entry: AuditEntry) -> None:
    made = audit.draft(entry, at=AT, salt=bytes(16))
    assert made.header == rfc8785.dumps(json.loads(made.header))
    record = Record(1, made.target, made.run, made.phase, made.header, made.leaf, GENESIS, b"", made.salt, made.body)
    row = audit.parse(record)
    assert (row.entry, row.at) == (entry, AT)


@settings(max_examples=dear_examples(30))
@given(st.lists(ENTRIES, max_size=5))
def test_what_was_chained_is_intact(entries: list[AuditEntry]) -> None:
    records, prev = [], GENESIS
    for seq, entry in enumerate(entries, start=1):
        made = audit.draft(entry, at=AT, salt=bytes(16))
        digest = audit.chain_hash(prev, made.leaf)
        payload = (None, None) if made.body is None else (made.salt, made.body)
        records.append(Record(seq, made.target, made.run, made.phase, made.header, made.leaf, prev, digest, *payload))
        prev = digest
    report = audit.verify(records, Head(len(records), prev), UNSEALED)
    assert (report.verdict, report.rows, report.erased, report.reason) == (Verdict.INTACT, len(entries), 0, "")


@pytest.mark.parametrize("text", ["half \ud800 pair", "\ud800"], ids=["inside", "alone"])
def test_any_text_can_be_recorded(text: str) -> None:
    made = audit.draft(AuditEntry("A", Phase.FACT, text, ObjectRef(text, "", text), text), at=AT, salt=bytes(16))
    record = Record(
        1, made.target, made.run, made.phase, made.header, made.leaf, GENESIS, audit.chain_hash(GENESIS, made.leaf)
    )
    assert audit.verify([record], Head(0, GENESIS), UNSEALED).verdict is Verdict.INTACT


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (AuditEntry("A", Phase.FACT, "me", payload={"x": float("nan")}), ValueError),
        (AuditEntry("A", Phase.FACT, "me", payload={"x": object()}), TypeError),
        (AuditEntry("A", Phase.FACT, "me", digests={"ü": "sha256:00"}), ValueError),
    ],
    ids=["not a number", "not json", "role"],
)
def test_an_entry_without_canonical_bytes_is_refused(entry: AuditEntry, error: type[Exception]) -> None:
    with pytest.raises(error):
        audit.draft(entry, at=AT, salt=bytes(16))


def edited(index: int, **changes: object) -> Callable[[list[Record]], list[Record]]:
    def edit(records: list[Record]) -> list[Record]:
        records[index] = dataclasses.replace(records[index], **changes)
        return records

    return edit


def edit_header(records: list[Record]) -> list[Record]:
    """One byte, nothing else."""
    return edited(2, header=records[2].header.replace(b"Apply", b"Applx"))(records)


def edit_header_and_leaf(records: list[Record]) -> list[Record]:
    header = records[2].header.replace(b"Apply", b"Applx")
    return edited(2, header=header, leaf=audit.leaf_hash(header))(records)


def edit_whole_row(records: list[Record]) -> list[Record]:
    header = records[2].header.replace(b"Apply", b"Applx")
    leaf = audit.leaf_hash(header)
    return edited(2, header=header, leaf=leaf, hash=audit.chain_hash(records[2].prev, leaf))(records)


def swap(records: list[Record]) -> list[Record]:
    second, third = records[1], records[2]
    records[1], records[2] = dataclasses.replace(third, seq=2), dataclasses.replace(second, seq=3)
    return records


def insert(records: list[Record]) -> list[Record]:
    """A back-dated row, the later ones moved up."""
    made = audit.draft(AuditEntry("Forged", Phase.FACT, "me"), at=AT, salt=bytes(16))
    prev = records[1].hash
    forged = Record(3, "", "", "fact", made.header, made.leaf, prev, audit.chain_hash(prev, made.leaf))
    return [*records[:2], forged, *(dataclasses.replace(record, seq=record.seq + 1) for record in records[2:])]


def rechain(records: list[Record]) -> list[Record]:
    """Row 3 forged, and every hash after it made anew."""
    forged = edit_whole_row(records)
    for index in range(3, len(forged)):
        prev = forged[index - 1].hash
        forged[index] = dataclasses.replace(forged[index], prev=prev, hash=audit.chain_hash(prev, forged[index].leaf))
    return forged


def start_again(records: list[Record]) -> list[Record]:
    """Wiped, and begun with another row."""
    header = records[0].header.replace(b"Apply", b"Other")
    leaf = audit.leaf_hash(header)
    return edited(0, header=header, leaf=leaf, hash=audit.chain_hash(GENESIS, leaf))(records)[:1]


@pytest.mark.parametrize(
    ("tamper", "seq", "why"),
    [
        (edit_header, 3, "header was changed"),
        (edit_header_and_leaf, 3, "hash is not that"),
        (edit_whole_row, 4, "does not follow"),
        (edited(2, leaf=bytes(32)), 3, "header was changed"),
        (edited(2, hash=bytes(32)), 3, "hash is not that"),
        (edited(2, prev=bytes(32)), 3, "does not follow"),
        (edited(2, header="text"), 3, "header was changed"),
        (edited(2, header=None), 3, "header was changed"),
        (edited(2, leaf="text"), 3, "header was changed"),
        (edited(2, run="other"), 3, "search columns"),
        (edited(2, target="other"), 3, "search columns"),
        (edited(2, phase="fact"), 3, "search columns"),
        (edited(2, body=b'{"n":4}'), 3, "payload was changed"),
        (edited(2, salt=bytes(16)), 3, "payload was changed"),
        (edited(2, body="text"), 3, "payload was changed"),
        (lambda records: [*records[:2], *records[3:]], 3, "missing: row 4 follows"),
        (lambda records: records[1:], 1, "missing: row 2 follows"),
        (lambda records: [dataclasses.replace(records[0], seq=-1), *records], 1, "missing: row -1 follows"),
        (swap, 2, "does not follow"),
        (insert, 4, "does not follow"),
        (rechain, 5, "written anew"),
        (lambda records: records[:3], 4, "had 5 rows and ends after 3"),
        (lambda _: [], 1, "had 5 rows and ends after 0"),
        (start_again, 2, "had 5 rows and ends after 1"),
    ],
    ids=[
        "header", "header and leaf", "whole row", "leaf", "hash", "prev", "header of other type", "no header",
        "leaf of other type", "run column", "target column", "phase column", "payload", "salt",
        "payload of other type", "delete", "delete first", "row before all", "swap", "insert",
        "recompute the chain", "truncate", "wipe", "wipe and restart",
    ],
)  # fmt: skip
def test_tampering_is_found(tamper: Callable[[list[Record]], list[Record]], seq: int, why: str) -> None:
    head = head_of(chain())
    report = audit.verify(tamper(chain()), head, UNSEALED)
    assert (report.verdict, report.seq, report.rows) == (Verdict.TAMPERED, seq, seq - 1)
    assert why in report.reason
    assert f"row {seq}" in report.reason


def test_a_head_that_lags_behind_is_fine() -> None:
    records = chain()
    assert audit.verify(records, head_of(records[:2]), UNSEALED).verdict is Verdict.INTACT
    assert audit.verify(records, Head(0, GENESIS), UNSEALED).verdict is Verdict.INTACT


def test_an_erased_payload_is_counted_and_no_tampering() -> None:
    records = edited(2, salt=None, body=None)(chain())
    report = audit.verify(records, head_of(records), UNSEALED)
    assert (report.verdict, report.rows, report.erased) == (Verdict.INTACT, 5, 1)


def test_without_a_head_the_end_of_the_trail_is_anyones_word() -> None:
    report = audit.verify(chain(), None, UNSEALED, headless="it is missing")
    assert (report.verdict, report.rows, report.seq) == (Verdict.UNVERIFIABLE, 5, 0)
    assert report.reason.endswith("nothing vouches for its end: it is missing")
    assert audit.verify([], None, UNSEALED).verdict is Verdict.UNVERIFIABLE


def test_without_a_head_tampering_is_still_found() -> None:
    assert audit.verify(edit_header(chain()), None, UNSEALED).verdict is Verdict.TAMPERED


def test_rows_are_looked_at_one_at_a_time() -> None:
    """A bad row ends it: nothing behind it is fetched."""
    records = iter(edit_header(chain()))
    audit.verify(records, None, UNSEALED)
    assert [record.seq for record in records] == [4, 5]


@pytest.mark.parametrize(
    "header", [b"", b"[]", b"{}", b'{"phase":"no"}', b"[" * 100_000], ids=["no", "list", "empty", "phase", "deep"]
)
def test_an_unreadable_header_is_a_bad_row(header: bytes) -> None:
    leaf = audit.leaf_hash(header)
    record = Record(1, "", "", "", header, leaf, GENESIS, audit.chain_hash(GENESIS, leaf))
    with pytest.raises(BadRowError):
        audit.parse(record)
    assert audit.verify([record], None, UNSEALED).verdict is Verdict.TAMPERED


# --- Seals --------------------------------------------------------------------------------------------------------


def sealed_chain(count: int = 5, *, since: int = 1, key: bytes = UNSEALED.key, trail: str = "t1") -> list[Record]:
    """A whole chain, whose rows bear seals from one on."""
    records: list[Record] = []
    for record in chain(count):
        made = audit.draft(audit.parse(record).entry, at=AT, salt=record.salt or b"")
        made = audit.bound(made, trail) if record.seq == since else made
        prev = records[-1].hash if records else GENESIS
        digest = audit.chain_hash(prev, made.leaf)
        seal = Seal(key, trail, since)
        mac = seal.of_row(record.seq, digest) if seal.expects(record.seq) else None
        places = {"header": made.header, "leaf": made.leaf, "prev": prev, "hash": digest, "mac": mac}
        records.append(dataclasses.replace(record, **places))
    return records


def sealed_head(records: list[Record], trail: str = "t1") -> Head:
    return Head(records[-1].seq, records[-1].hash, trail)


@pytest.mark.parametrize(("since", "unsealed"), [(1, 0), (3, 2), (5, 4)])
def test_a_sealed_trail_is_intact_and_says_what_is_from_before(since: int, unsealed: int) -> None:
    records = sealed_chain(since=since)
    report = audit.verify(records, sealed_head(records), Seal(UNSEALED.key, "t1", since))
    assert (report.verdict, report.rows, report.unsealed, report.reason) == (Verdict.INTACT, 5, unsealed, "")
    assert json.loads(records[since - 1].header)["trail"] == "t1"
    assert records[since - 1].header == rfc8785.dumps(json.loads(records[since - 1].header))


def test_a_head_of_before_the_first_seal_vouches_for_what_was_before() -> None:
    records = sealed_chain(since=3)
    head = Head(2, records[1].hash)
    assert audit.verify(records, head, Seal(UNSEALED.key, "t1", 3)).verdict is Verdict.INTACT


SEALED = Seal(UNSEALED.key, "t1", 2)


@pytest.mark.parametrize(
    ("forged", "seq", "why"),
    [
        pytest.param(sealed_chain(since=2, key=b"x" * 32), 2, "not this home's", id="a whole chain, another key"),
        pytest.param([*sealed_chain(since=2)[:4], sealed_chain(since=9)[4]], 5, "does not follow", id="another's row"),
        pytest.param(chain(), 2, "not this home's", id="a whole chain without seals"),
        pytest.param(sealed_chain(since=1), 1, "bears a seal before all", id="seals earlier than they began"),
        pytest.param(sealed_chain(since=3), 2, "not this home's", id="seals later than they began"),
        pytest.param(sealed_chain(since=2, trail="t2"), 2, "not this home's", id="another trail of this home"),
        pytest.param(sealed_chain(since=2)[:1], 2, "first sealed row was number 2", id="cut before the seals"),
    ],
)
def test_a_chain_that_is_whole_and_not_this_homes_is_found(forged: list[Record], seq: int, why: str) -> None:
    """With a head to match: whoever writes the one can write the other."""
    head = Head(forged[-1].seq, forged[-1].hash, "" if len(forged) == 1 else "t1")
    report = audit.verify(forged, head, SEALED)
    assert (report.verdict, report.seq) == (Verdict.TAMPERED, seq)
    assert why in report.reason


def test_one_forged_row_that_is_well_chained_is_named() -> None:
    records = sealed_chain(since=2)
    made = audit.draft(AuditEntry("approve", Phase.FACT, "mallory"), at=AT, salt=bytes(16))
    prev = records[-1].hash
    forged = Record(6, "", "", "fact", made.header, made.leaf, prev, audit.chain_hash(prev, made.leaf))
    for mac in (None, bytes(32), records[-1].mac, "text"):
        report = audit.verify([*records, dataclasses.replace(forged, mac=mac)], sealed_head(records), SEALED)
        assert (report.verdict, report.seq) == (Verdict.TAMPERED, 6)
        assert not SEALED.vouches(dataclasses.replace(forged, mac=mac))


@pytest.mark.parametrize(
    ("head", "seal"),
    [
        pytest.param("t2", SEALED, id="the head of another"),
        pytest.param("", SEALED, id="a head of before the seals, though it vouches for sealed rows"),
    ],
)
def test_a_head_of_another_trail_vouches_for_nothing(head: str, seal: Seal) -> None:
    records = sealed_chain(since=2)
    assert audit.verify(records, sealed_head(records, head), seal).verdict is Verdict.TAMPERED


def test_rows_that_lost_all_their_seals_are_not_those_of_the_head() -> None:
    records = chain()
    report = audit.verify(records, sealed_head(records), UNSEALED)
    assert (report.verdict, "a trail without seals" in report.reason) == (Verdict.TAMPERED, True)


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2**62), st.text("abcdef0123456789", min_size=1), st.data())
def test_a_seal_is_of_one_key_trail_place_and_hash(digest: bytes, seq: int, trail: str, data: st.DataObject) -> None:
    seal = Seal(UNSEALED.key, trail, 1)
    others = [
        (Seal(b"x" * 32, trail, 1), seq, digest),
        (Seal(UNSEALED.key, trail + "0", 1), seq, digest),
        (seal, seq + data.draw(st.integers(1, 100)), digest),
        (seal, seq, bytes([digest[0] ^ 1]) + digest[1:]),
    ]
    found = seal.of_row(seq, digest)
    assert all(other.of_row(place, content) != found for other, place, content in others)
    assert seal.of_head(Head(seq, digest, trail)) != found
