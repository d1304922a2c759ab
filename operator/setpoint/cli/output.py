"""Owns output for programs. Standard output carries nothing else then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click


def print_value(value: Any, output: str) -> None:
    """Prints a JSON value as kubectl does: keys sorted, four spaces in JSON."""
    if output == "json":
        click.echo(json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False))
        return
    click.echo(as_yaml(value, sort_keys=True), nl=False)


def as_yaml(value: Any, *, sort_keys: bool = False) -> str:
    """A JSON value as YAML, without aliases: what is the same twice is written twice."""
    import yaml  # noqa: PLC0415 30 ms that JSON and tables need not pay

    class PlainDumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 PyYAML's signature
            return True

    return yaml.dump(value, Dumper=PlainDumper, sort_keys=sort_keys, allow_unicode=True, width=110)


def as_list(objects: Sequence[Any]) -> dict[str, Any]:
    """The `List` that kubectl makes of several objects."""
    return {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}
