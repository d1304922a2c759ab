"""Owns the exceptions of Environments alone: each is one of domain.errors, with what a drill asks of it."""

from collections.abc import Sequence

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError


class VariablesMissingError(StalledError):
    """A configuration of the past needs variables that nothing gives today; `names` says which."""

    def __init__(self, names: Sequence[str]) -> None:
        listed = ", ".join(names)
        super().__init__(
            Reason.SECRET_NOT_FOUND,
            f"nothing gives {listed} today, which the configuration of the past needs: bring the key back into a "
            "Secret of spec.variablesFrom",
        )
        self.names = tuple(names)


class DataUnreadableError(TransientError):
    """Data sources of the code can't be read, and nothing else is wrong; `addresses` are theirs."""

    def __init__(self, message: str, addresses: tuple[str, ...]) -> None:
        super().__init__(Reason.DATA_UNREADABLE, message)
        self.addresses = addresses
