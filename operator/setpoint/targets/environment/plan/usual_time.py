"""Owns how long an observation may take, by how long the ones before took. Pure; remembers nothing by itself.

An endpoint that takes packets and never answers must not hold a plan for as long as one may ever take.
"""

import dataclasses

FLOOR = 60.0
"""Seconds that each observation has: a busy machine must not cut what is well."""
_MULTIPLE = 5
_REMEMBERED = 5


@dataclasses.dataclass(frozen=True, slots=True)
class UsualTime:
    """The seconds of the last observations of one bundle that found nothing, and how many were cut since."""

    bundle: str
    seconds: tuple[float, ...] = ()
    cuts: int = 0

    @property
    def usual(self) -> float:
        """The longest of the last observations."""
        return max(self.seconds, default=0.0)

    def limit(self, bundle: str, timeout: float) -> float:
        """The seconds for another observation; the timeout where nothing is known of this bundle.

        Each cut doubles it: what became slow is observed in the end.
        """
        if bundle != self.bundle or not self.seconds:
            return timeout
        return min(timeout, max(FLOOR, _MULTIPLE * self.usual) * 2.0**self.cuts)

    def observed(self, bundle: str, seconds: float, *, quiet: bool) -> "UsualTime":
        """The usual time after an observation that came to its end; unknown where it found something."""
        if not quiet:
            return UsualTime(bundle)
        known = self.seconds if bundle == self.bundle else ()
        return UsualTime(bundle, (*known, seconds)[-_REMEMBERED:])

    def was_cut(self) -> "UsualTime":
        """The usual time after an observation that was cut."""
        return dataclasses.replace(self, cuts=self.cuts + 1)


UNKNOWN = UsualTime("")
"""Of a target that was never observed."""
