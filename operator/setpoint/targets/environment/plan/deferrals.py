"""Owns telling why a data source is read during the apply: it waits for drift that is repaired, or for more. Pure.

Terraform reads a data source in the apply where something that it refers to is not known yet, or where something that
it depends on acts. What is behind it is unknown in the plan, though nobody may have changed its configuration.
"""

from collections.abc import Collection, Iterable, Mapping

from setpoint.targets.environment.plan.references import LOCAL, References, bare


class DeferredReads:
    """The data sources that are read during the apply; names are without instance keys."""

    def __init__(self, deferred: Iterable[str], references: References) -> None:
        self._deferred = frozenset(map(bare, deferred))
        self._dependents: Mapping[str, frozenset[str]] = references.dependents() if self._deferred else {}
        self._relevant = frozenset(address for address, _ in references.relevant)
        self._of_locals = self._deferred & self._reach((LOCAL[0],))
        self._behind: dict[str, frozenset[str]] = {}

    def explained(self, repairs: Collection[str], pending: Collection[str]) -> frozenset[str]:
        """Those of which all that they wait for, and that acts, repairs drift or follows from it; some of it does."""
        return self.waiting_for(repairs) - self.waiting_for(pending)

    def waiting_for(self, addresses: Collection[str]) -> frozenset[str]:
        """Those that wait for any of these, however far.

        A local value, which a plan does not hold, may stand for all that Terraform found relevant, but for what waits
        for the data source itself.
        """
        if not self._deferred:
            return self._deferred
        relevant = self._relevant.intersection(addresses)
        through_locals = (address for address in self._of_locals if relevant and relevant - self._after(address))
        return (self._deferred & self._reach(addresses)).union(through_locals)

    def _after(self, address: str) -> frozenset[str]:
        if address not in self._behind:
            self._behind[address] = self._reach((address,))
        return self._behind[address]

    def _reach(self, addresses: Iterable[str]) -> frozenset[str]:
        """All that waits for any of these."""
        found: set[str] = set()
        open_ = list(addresses)
        while open_:
            fresh = self._dependents.get(open_.pop(), frozenset()) - found
            found |= fresh
            open_ += fresh
        return frozenset(found)
