"""Owns an operator whose wall clock others set: `python -m tests.cluster.clockwork FILE ...`.

What follows is `setpoint`'s own arguments. FILE holds by how many seconds the wall clock is ahead. The monotonic clock,
on which all delays and deadlines are measured, is the machine's, as where a node's time is set.
"""

import datetime as dt
import sys
import time
import types
from pathlib import Path
from typing import Any

_FILE = Path(sys.argv[1])
_TIME, _TIME_NS = time.time, time.time_ns


def _ahead() -> float:
    return float(_FILE.read_text() or 0)


class _AnyDatetime(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, dt.datetime)


class _Datetime(dt.datetime, metaclass=_AnyDatetime):
    """datetime, with another opinion of what time it is."""

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
        return dt.datetime.now(tz) + dt.timedelta(seconds=_ahead())


def _set_clocks() -> None:
    """Each of our modules, and kopf's, asks the set clock, under whatever name it has the module datetime."""
    time.time = lambda: _TIME() + _ahead()
    time.time_ns = lambda: _TIME_NS() + int(_ahead() * 1e9)
    shown: Any = types.ModuleType("datetime")
    vars(shown).update({**vars(dt), "datetime": _Datetime})
    for name, module in [*sys.modules.items()]:
        if name.partition(".")[0] in {"setpoint", "kopf"}:
            for attribute in [key for key, value in vars(module).items() if value is dt]:
                setattr(module, attribute, shown)


if __name__ == "__main__":
    import setpoint.wiring.operator  # noqa: F401 all that is to be set
    from setpoint.cli.main import main

    _set_clocks()
    sys.argv[1:] = sys.argv[2:]
    main()
