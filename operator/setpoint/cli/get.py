"""Owns `setpoint get`: objects as a table, JSON or YAML, exactly as kubectl shows them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence

import click

from setpoint.api.meta import JsonObject, KubeObject, ObjectRef
from setpoint.cli.context import DONE, FAILED, Home, Invocation, ObjectMissingError, fetch
from setpoint.cli.kinds import complete_kinds, find_selection, qualified_name, reference
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import namespace_option
from setpoint.cli.output import as_list, print_value
from setpoint.cli.table import column_widths, object_cells, render, shown_columns

Kind = type[KubeObject]
Selection = list[tuple[Kind, str | None]]


@click.command(
    cls=SetpointCommand,
    examples=(
        "setpoint get environments",
        "setpoint get changes -o json",
        "setpoint get env,chg -A -o wide",
        "setpoint get change/shop-prod-a1b2c3d4e506060606060606060606060606 -o yaml",
    ),
)
@click.argument(
    "words", metavar="KINDS [NAME]... | KIND/NAME...", nargs=-1, required=True, shell_complete=complete_kinds
)
@click.option(
    "-o", "--output", type=click.Choice(["json", "yaml", "wide", "name"]), help="Print for programs, or more columns."
)
@namespace_option
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@click.option("-l", "--selector", metavar="KEY=VALUE,...", help="Only objects with these labels.")
@click.option("-w", "--watch", is_flag=True, help="Go on and show what changes, until Ctrl-C.")
@click.pass_obj
def get(
    invocation: Invocation,
    words: tuple[str, ...],
    output: str | None,
    namespace: str,
    all_namespaces: bool,
    selector: str | None,
    watch: bool,
) -> int:
    """Show objects as a table, JSON or YAML.

    KINDS is a comma-separated list of plurals, singulars or short names, or `all`.
    """
    selection = find_selection(words)
    query = Query(selection, None if all_namespaces else namespace, _read_selector(selector), output)
    if watch and len({kind for kind, _ in selection}) > 1:
        msg = "--watch takes a single kind."
        raise click.UsageError(msg)
    if all_namespaces and query.by_name:
        msg = "a resource cannot be retrieved by name across all namespaces."
        raise click.UsageError(msg)
    return invocation.run(query.watch if watch else query.show)


def _read_selector(text: str | None) -> dict[str, str]:
    pairs = [term.replace("==", "=").partition("=") for term in text.split(",")] if text else []
    if any(not key or not equals or key.endswith("!") for key, equals, _ in pairs):
        msg = f"--selector: can't read {text!r}; write KEY=VALUE,KEY=VALUE."
        raise click.UsageError(msg)
    return {key: value for key, _, value in pairs}


class Query:
    """The objects asked for, and how they are shown. `namespace` is None for all."""

    def __init__(self, selection: Selection, namespace: str | None, labels: dict[str, str], output: str | None) -> None:
        self._selection = selection
        self._namespace = namespace
        self._labels = labels
        self._output = output
        self._failed = False
        self.by_name = any(name is not None for _, name in selection)

    async def show(self, home: Home) -> int:
        """Prints what is there now; returns the exit code."""
        groups = await self._read(home)
        objects = list(itertools.chain.from_iterable(found for _, found in groups))
        if self._output in {"json", "yaml"}:
            self._print_value(objects)
        elif self._output == "name":
            self._print_names(objects)
        else:
            self._print_tables(groups)
        return FAILED if self._failed else DONE

    async def watch(self, home: Home) -> int:
        """Prints what is there now and then each change, for ever."""
        kind = self._selection[0][0]
        names = {name for _, name in self._selection}
        namespace = self._namespace if kind.META.namespaced else None
        listed = await home.cluster.list(kind.__name__, namespace=namespace, labels=self._labels or None)
        live = _LiveTable(self, kind)
        live.print([obj for obj in listed.items if self._covers(obj["metadata"], names)])
        async for event in home.cluster.watch([kind.__name__], resource_version=listed.resource_version):
            if self._covers(event.object["metadata"], names):
                live.print([event.object])
        return DONE

    def _covers(self, meta: JsonObject, names: set[str | None]) -> bool:
        labels = meta.get("labels", {})
        same_namespace = self._namespace is None or meta.get("namespace", self._namespace) == self._namespace
        same_name = None in names or meta["name"] in names
        return same_namespace and same_name and all(labels.get(key) == value for key, value in self._labels.items())

    async def _read(self, home: Home) -> list[tuple[Kind, list[JsonObject]]]:
        """(kind, objects) in the order of asking."""
        groups: dict[Kind, list[JsonObject]] = {}
        for kind, name in self._selection:
            found = groups.setdefault(kind, [])
            if name is not None:
                found += await self._read_one(home, kind, name)
                continue
            namespace = self._namespace if kind.META.namespaced else None
            found += (await home.cluster.list(kind.__name__, namespace=namespace, labels=self._labels or None)).items
        return list(groups.items())

    async def _read_one(self, home: Home, kind: Kind, name: str) -> list[JsonObject]:
        try:
            obj = await fetch(home, reference(kind, self._namespace or "", name))
        except ObjectMissingError as error:
            click.echo(error.message, err=True)
            self._failed = True
            return []
        return [obj]

    def _print_value(self, objects: list[JsonObject]) -> None:
        single = self.by_name and len(self._selection) == 1
        if objects or not self.by_name:
            print_value(objects[0] if single else as_list(objects), self._output or "")

    def _print_names(self, objects: Sequence[JsonObject]) -> None:
        for obj in objects:
            click.echo(qualified_name(ObjectRef.of(obj)))

    def _print_tables(self, groups: list[tuple[Kind, list[JsonObject]]]) -> None:
        filled = [(kind, objects) for kind, objects in groups if objects]
        now = dt.datetime.now(dt.UTC)
        tables = [
            render(self.header(kind), [self.row(kind, obj, now, full=len(groups) > 1) for obj in objects])
            for kind, objects in filled
        ]
        if tables:
            click.echo("\n\n".join(tables))
        elif not self._failed:
            click.echo(self._nothing(), err=True)

    def _nothing(self) -> str:
        scoped = self._namespace is not None and any(kind.META.namespaced for kind, _ in self._selection)
        return f"No resources found in {self._namespace} namespace." if scoped else "No resources found"

    def header(self, kind: Kind) -> list[str]:
        """The header of a kind's table."""
        columns = [column.name for column in shown_columns(kind, wide=self._output == "wide")]
        return (["NAMESPACE"] if self._shows_namespace(kind) else []) + ["NAME", *columns]

    def row(self, kind: Kind, obj: JsonObject, now: dt.datetime, *, full: bool = False) -> list[str]:
        """An object's row; `full` puts the kind before its name."""
        ref = ObjectRef.of(obj)
        wide = self._output == "wide"
        cells = object_cells(obj, shown_columns(kind, wide=wide), now, wide=wide)
        name = qualified_name(ref) if full else ref.name
        return ([ref.namespace] if self._shows_namespace(kind) else []) + [name, *cells]

    def _shows_namespace(self, kind: Kind) -> bool:
        return self._namespace is None and kind.META.namespaced

    @property
    def output(self) -> str | None:
        """The format asked for."""
        return self._output


class _LiveTable:
    """A table that goes on: the widths of its columns only grow."""

    def __init__(self, query: Query, kind: Kind) -> None:
        self._query = query
        self._kind = kind
        self._widths: list[int] = []

    def print(self, objects: Sequence[JsonObject]) -> None:
        """Prints objects as the next rows, or each as a value."""
        if self._query.output in {"json", "yaml"}:
            for obj in objects:
                print_value(obj, self._query.output or "")
        elif self._query.output == "name":
            for obj in objects:
                click.echo(qualified_name(ObjectRef.of(obj)))
        elif objects:
            self._print_rows(objects)

    def _print_rows(self, objects: Sequence[JsonObject]) -> None:
        header = self._query.header(self._kind)
        rows = [self._query.row(self._kind, obj, dt.datetime.now(dt.UTC)) for obj in objects]
        first = not self._widths
        least = self._widths or [0] * len(header)
        self._widths = [max(pair) for pair in zip(least, column_widths(header, rows), strict=True)]
        click.echo(render(header if first else [], rows, widths=self._widths))
