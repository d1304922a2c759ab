"""Owns telling why a resource differs: drift, a new configuration, or another difference (rules 14 to 16). Pure.

The classes and the reasons for them stand in docs/explanation/drift.md. Two things always hold: what drifted has a
finding that says so, and what Terraform would change has one that says why.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from setpoint.domain.model import DriftClass
from setpoint.domain.plan_changes import PlannedChange, is_same
from setpoint.domain.plan_references import LOCAL, References, Source, bare
from setpoint.domain.plan_values import Path

_TRIGGERED = "replace_by_triggers"
_ORDER = (DriftClass.ACTIONABLE, DriftClass.CASCADE, DriftClass.INFORMATIONAL)


class Ignore(Protocol):
    """Says which differences the rules of an Environment leave out of account."""

    def covers(self, change: PlannedChange, paths: Collection[Path]) -> bool:
        """Whether all these paths of a change are ignored; without any, whether all of it is."""
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
    references: References,
    ignore: Ignore,
) -> tuple[Reason, ...]:
    """All reasons of all differences. One change may have several: no class hides another."""
    drifted = {change.key: change for change in drift}
    acting = {change.key: change for change in changes if change.acts}
    found = [
        reason for change in acting.values() for reason in _explain(change, drifted.get(change.key), references, ignore)
    ]
    told = {reason.change.key for reason in found if reason.drift_class is DriftClass.ACTIONABLE}
    found += [_unnoticed(change, ignore) for key, change in drifted.items() if key not in told]
    shifts = _Shifts(changes, drifted, references)
    settled = _find_cascades(found, shifts)
    return (*settled, *(_explain_output(output, settled, shifts, ignore) for output in outputs if output.acts))


def _decisive(change: PlannedChange, references: References) -> tuple[Path, ...]:
    """The paths that say why a resource changes: not those that the provider computes anew since others move."""
    configured = references.attributes.get(bare(change.address))
    if configured is None:
        return change.values.paths
    return tuple(
        path
        for path in change.values.paths
        if str(path[0] if path else "") in configured or path[:1] not in change.values.unknown
    )


def _explain(
    change: PlannedChange, drift: PlannedChange | None, references: References, ignore: Ignore
) -> Iterator[Reason]:
    decisive = _decisive(change, references)
    if drift is not None and change.verb == "create":
        yield _reason(change, DriftClass.ACTIONABLE, decisive, ignore)
        if edited := _edited(change, drift, references):
            yield _reason(change, DriftClass.PENDING, edited, ignore)
        return
    if not decisive and drift is not None and change.verb == "update":
        # Nothing that is configured differs: the provider answers what moved outside by computing an attribute anew.
        yield _reason(change, DriftClass.ACTIONABLE, change.values.paths, ignore)
        return
    overwritten = _overwritten(change, drift, decisive)
    if overwritten:
        yield _reason(change, DriftClass.ACTIONABLE, overwritten, ignore)
    fresh = tuple(path for path in decisive if path not in overwritten or not _is_restored(change, drift, path))
    if fresh or not overwritten:
        yield _reason(change, DriftClass.PENDING, fresh, ignore)


def _edited(change: PlannedChange, drift: PlannedChange, references: References) -> tuple[Path, ...]:
    """Where a resource that was deleted outside would come back otherwise than recorded: its configuration is new, too.

    Only configured attributes tell: what a provider fills in need not be the same again.
    """
    configured = references.attributes.get(bare(change.address), {})
    return tuple(
        path
        for path in change.values.paths
        if path
        and path[0] in configured
        and not change.values.shows_unknown(path)
        and not _is_restored(change, drift, path)
    )


def _overwritten(change: PlannedChange, drift: PlannedChange | None, decisive: tuple[Path, ...]) -> tuple[Path, ...]:
    """Where a value that someone wrote outside would be lost; a resource that goes anyway restores nothing."""
    if drift is None or change.verb not in {"update", "replace"}:
        return ()
    outside = set(drift.values.paths)
    return tuple(path for path in decisive if path in outside)


def _is_restored(change: PlannedChange, drift: PlannedChange | None, path: Path) -> bool:
    """Whether a path gets back what the state recorded; if it gets another value, that comes from elsewhere."""
    return (
        drift is not None
        and not change.values.shows_unknown(path)
        and is_same(drift.values.before, change.values.after, path)
    )


def _unnoticed(drift: PlannedChange, ignore: Ignore) -> Reason:
    paths = drift.values.paths
    return Reason(drift, DriftClass.INFORMATIONAL, paths, ignored=ignore.covers(drift, paths))


def _reason(change: PlannedChange, kind: DriftClass, paths: tuple[Path, ...], ignore: Ignore) -> Reason:
    """Ignore rules speak of attributes: they never hide that something is made, destroyed, moved or forgotten."""
    return Reason(change, kind, paths, ignored=change.verb == "update" and ignore.covers(change, paths))


# --- What follows from what ---------------------------------------------------------------------------------------


class _Shifts:
    """Which attributes of which resources will not be what the state recorded, so that others follow."""

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

    def follows(self, change: PlannedChange, paths: Collection[Path], moved: Collection[str]) -> bool:
        """True where each of the attributes refers to one, of a resource that moved, which shifts."""
        attributes = self._references.attributes.get(bare(change.address), {})
        names = {str(path[0]) for path in paths if path}
        return bool(names) and all(
            self._behind(attributes.get(name, frozenset()), moved, known=_is_known(change, name, paths))
            for name in names
        )

    def behind_output(self, output: PlannedChange, moved: Collection[str]) -> frozenset[str]:
        """The resources that moved and lie behind an output."""
        names = self._references.outputs.get(output.address.removeprefix("output."), frozenset())
        return self._behind(names, moved, known=False)

    def _behind(self, names: frozenset[str], moved: Collection[str], *, known: bool) -> frozenset[str]:
        """The resources that moved and that the names lead to.

        A local value may stand for any that Terraform found relevant. Where the new value is `known` already, it
        may as well be the local value that was edited.
        """
        if names not in self._sources:
            self._sources[names] = self._references.sources(names)
        sources = self._sources[names]
        if LOCAL in sources:
            sources = (sources - {LOCAL}) | (frozenset() if known else self._references.relevant)
        return frozenset(source[0] for source in sources if source[0] in moved and self._shifts(source))

    def _shifts(self, source: Source) -> bool:
        if source not in self._known:
            address, attribute = source
            self._known[source] = any(self._shifts_in(one, attribute) for one in self._changes.get(address, ()))
        return self._known[source]

    def _shifts_in(self, change: PlannedChange, attribute: str) -> bool:
        drift = self._drifted.get(change.key, change)
        return any(
            not _is_restored(change, drift, path)
            for path in {*change.values.paths, *drift.values.paths}
            if not attribute or not path or path[0] == attribute
        )


def _is_known(change: PlannedChange, name: str, paths: Collection[Path]) -> bool:
    return not all(change.values.shows_unknown(path) for path in paths if path and path[0] == name)


def _find_cascades(found: Sequence[Reason], shifts: _Shifts) -> list[Reason]:
    """Pending changes that only follow from drift become cascades, and those that follow from these, and so on."""
    settled = [reason for reason in found if reason.drift_class is not DriftClass.PENDING]
    open_ = [reason for reason in found if reason.drift_class is DriftClass.PENDING]
    moved = {bare(reason.change.address) for reason in settled}
    while follows := {reason.change.key for reason in open_ if _follows(reason, open_, moved, shifts)}:
        cascades = [reason for reason in open_ if reason.change.key in follows]
        moved |= {bare(reason.change.address) for reason in cascades}
        settled += [dataclasses.replace(reason, drift_class=DriftClass.CASCADE) for reason in cascades]
        open_ = [reason for reason in open_ if reason.change.key not in follows]
    return settled + open_


def _follows(reason: Reason, open_: Sequence[Reason], moved: Collection[str], shifts: _Shifts) -> bool:
    change = reason.change
    if not moved or change.verb not in {"update", "replace"}:
        return False
    if change.reason == _TRIGGERED and not reason.paths:
        # The plan does not say what triggered it: drift did where nothing else could have.
        return all(other.change.reason == _TRIGGERED for other in open_)
    return shifts.follows(change, reason.paths, moved)


def _explain_output(output: PlannedChange, found: Sequence[Reason], shifts: _Shifts, ignore: Ignore) -> Reason:
    """An output that drift explains has that drift's class, and is ignored where all of that drift is."""
    causes = [reason for reason in found if reason.drift_class is not DriftClass.PENDING]
    moved = shifts.behind_output(output, {bare(reason.change.address) for reason in causes})
    causes = [reason for reason in causes if bare(reason.change.address) in moved]
    heard = [reason for reason in causes if not reason.ignored]
    kind = next((kind for kind in _ORDER if any(reason.drift_class is kind for reason in heard or causes)), None)
    ignored = ignore.covers(output, output.values.paths) or (bool(causes) and not heard)
    return Reason(output, kind or DriftClass.PENDING, output.values.paths, ignored)
