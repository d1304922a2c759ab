"""The composition root: settings to adapters to reconcilers to manager. Nothing else names a concrete adapter.

What is asked for here is imported then: a command that shows objects does without all that plans and applies.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from setpoint.wiring.home import Home, open_home
    from setpoint.wiring.machine import doctor
    from setpoint.wiring.manager import run_manager
    from setpoint.wiring.stores import open_operator_store

__all__ = ["Home", "doctor", "open_home", "open_operator_store", "run_manager"]

_OWNERS = {
    "Home": "home",
    "open_home": "home",
    "doctor": "machine",
    "run_manager": "manager",
    "open_operator_store": "stores",
}


def __getattr__(name: str) -> Any:
    if name not in _OWNERS:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(f"{__name__}.{_OWNERS[name]}"), name)
