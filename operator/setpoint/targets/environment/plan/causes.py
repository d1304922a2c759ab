"""Owns telling why a resource differs: drift, a new configuration, or another difference. Pure.

The classes and the reasons for them stand in docs/explanation/drift.md. Two things always hold: what drifted has a
finding that says so, and what Terraform would change has one that says why.
"""

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import filterfalse
from typing import Protocol

from setpoint.domain.findings import DriftClass
from setpoint.domain.value_paths import Path, write_path
from setpoint.targets.environment.plan.changes import PlannedChange
from setpoint.targets.environment.plan.deferrals import DeferredReads
from setpoint.targets.environment.plan.meaning import means_same, stood_before
from setpoint.targets.environment.plan.references import LOCAL, References, Source, bare, is_data
from setpoint.targets.environment.plan.restoring import find_untouched, reordered_paths, restored_paths

_TRIGGERED = "replace_by_triggers"
_ORDER = (DriftClass.ACTIONABLE, DriftClass.CASCADE, DriftClass.INFORMATIONAL)


class Ignore(Protocol):
    """Says which differences the rules of an Environment leave out of account."""

    def covers(self, change: PlannedChange, paths: Collection[Path]) -> bool:
        """True where all these paths of a change are ignored; without any, where all of it is."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Reason:
    """One way in which one change differs; `paths` are those that this reason speaks of, none where it is the whole."""

    change: PlannedChange
    drift_class: DriftClass
    paths: tuple[Path, ...]
    ignored: bool


def explain(
    changes: Sequence[PlannedChange],
    drift: Sequence[PlannedChange],
    outputs: Sequence[PlannedChange],
    deferred: Collection[str],
    references: References,
    ignore: Ignore,
) -> tuple[Reason, ...]:
    """All reasons of all differences. One change may have several: no class hides another.

    `deferred` are the addresses of the data sources that are read during the apply.
    """
    untouched = find_untouched(changes, drift, references)
    drifted = {change.key: change for change in drift}
    acting = {change.key: change for change in changes if change.acts}
    found: list[Reason] = []
    for change in acting.values():
        found += _explain(change, drifted.get(change.key), change.key in untouched, references, ignore)
    told = {reason.change.key for reason in found if reason.drift_class is DriftClass.ACTIONABLE}
    unnoticed = [_unnoticed(change, ignore) for key, change in drifted.items() if key not in told]
    found += [reason for reason in unnoticed if reason.change.key not in untouched]
    shifts = _Shifts(changes, drifted, references)
    reads = DeferredReads(deferred, references)
    settled = _find_cascades(found, shifts, reads)
    written = [reason.change for reason in unnoticed if reason.change.key in untouched]
    told_of = _Outputs(settled, written, shifts, reads, references, ignore)
    return (*settled, *(told_of.explain(output) for output in outputs if output.acts))


def _decisive(change: PlannedChange, references: References) -> tuple[Path, ...]:
    """The paths that say why a resource changes: not those that the provider computes anew since others move.

    Nor those that are written otherwise and mean the same, unless nothing else says why.
    """
    configured = references.attributes.get(bare(change.address))
    paths = tuple(
        path
        for path in change.values.paths
        if configured is None or str(path[0] if path else "") in configured or path[:1] not in change.values.unknown
    )
    alike = change.values.alike - reordered_paths(change)
    return tuple(path for path in paths if path not in alike or _forces_replacement(change, path)) or paths


def _forces_replacement(change: PlannedChange, path: Path) -> bool:
    return any(write_path(path[:length]) in change.replace_paths for length in range(1, len(path) + 1))


def _explain(
    change: PlannedChange, drift: PlannedChange | None, is_untouched: bool, references: References, ignore: Ignore
) -> Iterator[Reason]:
    decisive = _decisive(change, references)
    if is_untouched and not (decisive and change.values.alike.issuperset(decisive)):
        drift = None
    if drift is not None and change.verb == "create":
        yield _reason(change, DriftClass.ACTIONABLE, decisive, ignore)
        if edited := _edited(change, drift, references):
            yield _reason(change, DriftClass.PENDING, edited, ignore)
        return
    if not decisive and drift is not None and change.verb == "update":
        # Nothing that is configured differs: the provider answers what moved outside by computing an attribute anew.
        yield _reason(change, DriftClass.ACTIONABLE, change.values.paths, ignore)
        return
    restored = restored_paths(change, drift) if drift is not None else frozenset()
    overwritten = _overwritten(change, drift, decisive, restored)
    if overwritten:
        yield _reason(change, DriftClass.ACTIONABLE, overwritten, ignore)
    fresh = tuple(path for path in decisive if path not in overwritten or path not in restored)
    if fresh or not overwritten:
        yield _reason(change, DriftClass.PENDING, fresh, ignore)


def _edited(change: PlannedChange, drift: PlannedChange, references: References) -> tuple[Path, ...]:
    """Paths at which a resource deleted outside would come back otherwise than recorded: its configuration is new, too.

    Only configured attributes tell: what a provider fills in need not be the same again.
    """
    configured = references.attributes.get(bare(change.address), {})
    restored = restored_paths(change, drift)
    return tuple(
        path
        for path in change.values.paths
        if path and path[0] in configured and not change.values.shows_unknown(path) and path not in restored
    )


def _overwritten(
    change: PlannedChange, drift: PlannedChange | None, decisive: tuple[Path, ...], restored: Collection[Path]
) -> tuple[Path, ...]:
    """Paths at which a value that someone wrote outside would be lost; a resource that goes anyway restores nothing.

    A list that was empty may come back as no list: then what is put back stands at another path of the attribute.
    """
    if drift is None or change.verb not in {"update", "replace"}:
        return ()
    outside = set(drift.values.telling or drift.values.paths)
    names = {path[:1] for path in outside}
    return tuple(path for path in decisive if path in outside or (path in restored and path[:1] in names))


def _unnoticed(drift: PlannedChange, ignore: Ignore) -> Reason:
    paths = drift.values.telling or drift.values.paths
    return Reason(drift, DriftClass.INFORMATIONAL, paths, ignored=ignore.covers(drift, paths))


def _reason(change: PlannedChange, kind: DriftClass, paths: tuple[Path, ...], ignore: Ignore) -> Reason:
    """Ignore rules speak of attributes: they never hide that something is made, destroyed, moved or forgotten."""
    return Reason(change, kind, paths, ignored=change.verb == "update" and ignore.covers(change, paths))


# --- What follows from what ---------------------------------------------------------------------------------------


class _Shifts:
    """The attributes of resources that will not be what the state recorded, so that others follow."""

    def __init__(
        self,
        changes: Sequence[PlannedChange],
        drifted: Mapping[tuple[str, str, str], PlannedChange],
        references: References,
    ) -> None:
        planned = {change.key: change for change in changes}
        self._references = references
        self._drifted = drifted
        self._changes: dict[str, list[PlannedChange]] = {}
        for change in {**drifted, **planned}.values():
            self._changes.setdefault(bare(change.address), []).append(change)
        self._sources: dict[Collection[str], frozenset[Source]] = {}
        self._known: dict[Source, bool] = {}
        self._restored: dict[tuple[str, str, str], frozenset[Path]] = {}

    def follows(self, change: PlannedChange, paths: Collection[Path], moved: Collection[str]) -> bool:
        """True where each of the attributes refers to one, of a resource that moved, which shifts."""
        attributes = self._references.attributes.get(bare(change.address), {})
        names = {str(path[0]) for path in paths if path}
        return bool(names) and all(
            self._behind(attributes.get(name, frozenset()), moved, known=_is_known(change, name, paths))
            for name in names
        )

    def behind_output(self, output: PlannedChange, moved: Collection[str]) -> frozenset[str]:
        """The resources that moved and lie behind an output, and the data sources that are read in the apply."""
        names = self._references.outputs.get(output.address.removeprefix("output."), frozenset())
        found = self._behind(names, moved, known=False)
        return found if not _is_known(output, "value", output.values.paths) else frozenset(filterfalse(is_data, found))

    def _behind(self, names: frozenset[str], moved: Collection[str], *, known: bool) -> frozenset[str]:
        """The resources that moved, and the data sources that are read in the apply, to which the names lead.

        A local value may stand for any that Terraform found relevant. Where the new value is `known` already, it
        may as well be the local value that was edited, and it does not come from what is yet to be read.
        """
        if names not in self._sources:
            self._sources[names] = self._references.sources(names)
        sources = self._sources[names]
        if LOCAL in sources:
            sources = (sources - {LOCAL}) | (frozenset() if known else self._references.relevant)
        found = frozenset(source[0] for source in sources if source[0] in moved and self._shifts(source))
        return frozenset(filterfalse(is_data, found)) if known else found

    def _shifts(self, source: Source) -> bool:
        if source not in self._known:
            address, attribute = source
            self._known[source] = is_data(address) or any(
                self._shifts_in(one, attribute) for one in self._changes.get(address, ())
            )
        return self._known[source]

    def _shifts_in(self, change: PlannedChange, attribute: str) -> bool:
        drift = self._drifted.get(change.key, change)
        if change.key not in self._restored:
            self._restored[change.key] = restored_paths(change, drift)
        return any(
            path not in self._restored[change.key]
            for path in {*change.values.paths, *drift.values.paths}
            if not attribute or not path or path[0] == attribute
        )


def _is_known(change: PlannedChange, name: str, paths: Collection[Path]) -> bool:
    """True where anything of an attribute's new value is both known and new."""
    values = change.values
    if all(values.shows_unknown(path) for path in paths if path and path[0] == name):
        return False
    return not (values.unknown and stood_before(values.old, values.new, name, values.unknown))


def _find_cascades(found: Sequence[Reason], shifts: _Shifts, reads: DeferredReads) -> list[Reason]:
    """Pending changes that only follow from drift become cascades, and those that follow from these, and so on."""
    settled = [reason for reason in found if reason.drift_class is not DriftClass.PENDING]
    open_ = [reason for reason in found if reason.drift_class is DriftClass.PENDING]
    while follows := _following(settled, open_, shifts, reads):
        cascades = [reason for reason in open_ if reason.change.key in follows]
        settled += [dataclasses.replace(reason, drift_class=DriftClass.CASCADE) for reason in cascades]
        open_ = [reason for reason in open_ if reason.change.key not in follows]
    return settled + open_


def _following(
    settled: Sequence[Reason], open_: Sequence[Reason], shifts: _Shifts, reads: DeferredReads
) -> frozenset[tuple[str, str, str]]:
    """The pending changes that follow from what is settled."""
    moved = _addresses(settled) | reads.explained(_addresses(_repairs(settled)), _addresses(open_))
    return frozenset(reason.change.key for reason in open_ if _follows(reason, open_, moved, shifts))


def _repairs(reasons: Iterable[Reason]) -> Iterator[Reason]:
    return (reason for reason in reasons if reason.drift_class in {DriftClass.ACTIONABLE, DriftClass.CASCADE})


def _addresses(reasons: Iterable[Reason]) -> frozenset[str]:
    return frozenset(bare(reason.change.address) for reason in reasons)


def _follows(reason: Reason, open_: Sequence[Reason], moved: Collection[str], shifts: _Shifts) -> bool:
    change = reason.change
    if not moved or change.verb not in {"update", "replace"}:
        return False
    if change.reason == _TRIGGERED and not reason.paths:
        # The plan does not say what triggered it: drift did where nothing else could have.
        return all(other.change.reason == _TRIGGERED for other in open_)
    return shifts.follows(change, reason.paths, moved)


class _Outputs:
    """Tells why outputs differ: an output that drift explains has that drift's class."""

    def __init__(
        self,
        found: Sequence[Reason],
        written: Sequence[PlannedChange],
        shifts: _Shifts,
        reads: DeferredReads,
        references: References,
        ignore: Ignore,
    ) -> None:
        pending = (reason for reason in found if reason.drift_class is DriftClass.PENDING)
        self._causes: dict[str, list[Reason]] = {}
        for reason in found:
            if reason.drift_class is not DriftClass.PENDING:
                self._causes.setdefault(bare(reason.change.address), []).append(reason)
        self._read = reads.explained(_addresses(_repairs(found)), _addresses(pending))
        self._heard = reads.waiting_for(_addresses(reason for reason in _repairs(found) if not reason.ignored))
        self._written: dict[str, list[PlannedChange]] = {}
        for change in written:
            self._written.setdefault(bare(change.address), []).append(change)
        self._shifts, self._references, self._ignore = shifts, references, ignore

    def explain(self, output: PlannedChange) -> Reason:
        """The reason for which an output differs, ignored where all of the drift behind it is.

        What waits for a data source is a cascade of what the data source waits for.
        """
        moved = self._shifts.behind_output(output, self._causes.keys() | self._read)
        reasons = list(itertools.chain.from_iterable(self._causes.get(address, ()) for address in moved))
        causes = [(reason.drift_class, reason.ignored) for reason in reasons]
        causes += [(DriftClass.CASCADE, address not in self._heard) for address in moved & self._read]
        heard = [kind for kind, ignored in causes if not ignored]
        classes = frozenset(heard or (kind for kind, _ in causes))
        kind = next((kind for kind in _ORDER if kind in classes), None) or self._unexplained(output)
        ignored = self._ignore.covers(output, output.values.paths) or (bool(causes) and not heard)
        return Reason(output, kind, output.values.paths, ignored)

    def _unexplained(self, output: PlannedChange) -> DriftClass:
        """An output that shows what the provider only answers otherwise since the apply is noted; others are pending.

        It has to mean what it meant, or to be that attribute's value: else its expression was edited.
        """
        if output.values.unknown or not self._written:
            return DriftClass.PENDING
        names = self._references.outputs.get(output.address.removeprefix("output."), frozenset())
        for address, name in self._references.sources(names):
            if any(_shows(output, change, name) for change in self._written.get(address, ())):
                return DriftClass.INFORMATIONAL
        return DriftClass.PENDING


def _shows(output: PlannedChange, change: PlannedChange, name: str) -> bool:
    moved = {path[0] for path in change.values.paths if path}
    if not output.values.telling:
        return not name or name in moved
    return name in moved and means_same(change.values.new[name], (output.values.new or {}).get("value"))
