"""Setpoint keeps targets at their declared state, and never acts without a way back."""

__version__ = "0.1.0"
