"""Drives Terraform and OpenTofu: the ports Terraform and TerraformSession. The only user of python_terraform."""

from setpoint.targets.environment.terraform.adapter import TerraformAdapter, TerraformOptions
from setpoint.targets.environment.terraform.watchdog import NoWatchdog, Watchdog, WatchdogProcess

__all__ = ["NoWatchdog", "TerraformAdapter", "TerraformOptions", "Watchdog", "WatchdogProcess"]
