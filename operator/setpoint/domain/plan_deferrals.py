"""Owns telling why a data source is read during the apply: it waits for drift that is repaired, or for more. Pure.

Terraform reads a data source in the apply where something that it refers to is not known yet, or where something that
it depends on acts. What is behind it is unknown in the plan, though nobody may have changed its configuration.
"""

from collections.abc import Collection, Iterable

from setpoint.domain.plan_references import LOCAL, References, bare


class DeferredReads:
    """The data sources that are read during the apply; names are without instance keys."""

    def __init__(self, deferred: Iterable[str], references: References) -> None:
        self._references = references
        self._behind = {address: references.behind(address) for address in map(bare, deferred)}
        self._of_locals: dict[str, frozenset[str]] = {}

    def explained(self, repairs: Collection[str], pending: Collection[str]) -> frozenset[str]:
        """Those of which all that they wait for, and that acts, repairs drift or follows from it; some of it does.

        A local value, which a plan does not hold, may stand for all that Terraform found relevant, but for what waits
        for the data source itself.
        """
        return frozenset(
            address
            for address in self._behind
            if not (awaited := self._awaited(address)).isdisjoint(repairs) and awaited.isdisjoint(pending)
        )

    def awaited(self, addresses: Iterable[str]) -> frozenset[str]:
        """All that these wait for."""
        return frozenset().union(*map(self._awaited, addresses))

    def _awaited(self, address: str) -> frozenset[str]:
        behind = self._behind[address]
        if LOCAL[0] not in behind:
            return behind
        if address not in self._of_locals:
            relevant = {source for source, _ in self._references.relevant}
            later = {one for one in relevant if address in self._references.behind(one)}
            self._of_locals[address] = behind | (relevant - later)
        return self._of_locals[address]
