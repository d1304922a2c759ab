"""Rego policies: reading them, and evaluating them in worker processes."""
