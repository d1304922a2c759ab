"""Drives Terraform and OpenTofu: the ports Terraform and TerraformSession. The only user of python_terraform."""

from setpoint.adapters.terraform.adapter import TerraformAdapter, TerraformOptions
from setpoint.adapters.terraform.warden import NoWatch, RunWatch, Warden

__all__ = ["NoWatch", "RunWatch", "TerraformAdapter", "TerraformOptions", "Warden"]
