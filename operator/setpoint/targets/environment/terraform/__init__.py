"""Drives Terraform and OpenTofu: the ports Terraform and TerraformSession. The only user of python_terraform."""

from setpoint.targets.environment.terraform.adapter import TerraformAdapter, TerraformOptions
from setpoint.targets.environment.terraform.warden import NoWatch, RunWatch, Warden

__all__ = ["NoWatch", "RunWatch", "TerraformAdapter", "TerraformOptions", "Warden"]
