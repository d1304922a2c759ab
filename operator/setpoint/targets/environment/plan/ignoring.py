"""Owns `spec.drift.ignore`: which differences are left out of account. Pure.

The rules change what is reported and approved, never what Terraform applies.
"""

from collections.abc import Collection, Sequence

from setpoint.api.v1alpha1.environment import IgnoreRule
from setpoint.domain.globs import matches
from setpoint.domain.value_paths import Path, write_path
from setpoint.targets.environment.plan.changes import PlannedChange


class IgnoreRules:
    """Answers for one change at a time; an output is addressed as `output.NAME`, its value as `value`."""

    def __init__(self, rules: Sequence[IgnoreRule]) -> None:
        self._rules = [(rule.address, frozenset(rule.paths)) for rule in rules]

    def covers(self, change: PlannedChange, paths: Collection[Path]) -> bool:
        """True where all these paths of a change are ignored; without any, where all of it is."""
        rules = self._of(change)
        if frozenset() in rules:
            return True
        return bool(rules and paths) and self.paths(change).issuperset(paths)

    def paths(self, change: PlannedChange) -> frozenset[Path]:
        """The differing paths that are ignored."""
        rules = self._of(change)
        if not rules:
            return frozenset()
        wanted = frozenset().union(*rules)
        return frozenset(path for path in change.values.paths if frozenset() in rules or _is_under(path, wanted))

    def _of(self, change: PlannedChange) -> list[frozenset[str]]:
        return [paths for pattern, paths in self._rules if matches(pattern, change.address)]


def _is_under(path: Path, wanted: Collection[str]) -> bool:
    """True where a path is one of those named, or lies below it; `a[0].b` is found under `a`, `a[0]` and itself."""
    return any(write_path(path[:length]) in wanted for length in range(1, len(path) + 1))
