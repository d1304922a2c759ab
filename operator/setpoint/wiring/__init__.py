"""The composition root: settings to adapters to reconcilers to manager. Nothing else names a concrete adapter."""

from setpoint.wiring.home import Home, open_home
from setpoint.wiring.machine import doctor
from setpoint.wiring.manager import run_manager

__all__ = ["Home", "doctor", "open_home", "run_manager"]
