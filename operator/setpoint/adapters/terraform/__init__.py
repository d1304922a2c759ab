"""Drives Terraform and OpenTofu: the ports Terraform and TerraformSession. The only user of python_terraform."""

from setpoint.adapters.terraform.adapter import TerraformAdapter, TerraformOptions

__all__ = ["TerraformAdapter", "TerraformOptions"]
