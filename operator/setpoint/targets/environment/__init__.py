"""The Environment: a cloud environment made by Terraform or OpenTofu."""
