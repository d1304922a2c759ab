"""Owns the generated files: `python -m setpoint.cli.generate` writes crds/ and docs/reference/, `--check` compares.

Run from the repository's root. Pages that no kind asks for any more are removed, and count as stale.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import click

from setpoint.api.crdgen import custom_resource_definition
from setpoint.api.meta import GROUP
from setpoint.api.v1alpha1 import KINDS
from setpoint.cli import reference
from setpoint.cli.context import DONE, FAILED
from setpoint.cli.output import as_yaml

_FOLDERS = ("crds", "docs/reference")
_WRITTEN = frozenset({"docs/reference/admission.md", "docs/reference/leases.md", "docs/reference/rbac.md"})
"""Pages of the reference that people write: what they describe is in manifests/ and policies/, not in the types."""
_KUSTOMIZATION = "crds/Kustomization"
"""Named so that `kubectl apply -f crds` does not take it for an object."""


def generated_files() -> Iterator[tuple[str, str]]:
    """Every generated file: path from the repository's root, and text."""
    for kind in KINDS:
        yield f"crds/{GROUP}_{kind.META.plural}.yaml", as_yaml(custom_resource_definition(kind))
        yield f"docs/reference/{kind.__name__.lower()}.md", reference.kind_page(kind)
    definitions = sorted(f"{GROUP}_{kind.META.plural}.yaml" for kind in KINDS)
    yield (
        _KUSTOMIZATION,
        as_yaml({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": definitions}),
    )
    yield "docs/reference/README.md", reference.index_page()
    yield "docs/reference/conditions.md", reference.conditions_page()
    yield "docs/reference/cli.md", reference.cli_page()
    yield "docs/reference/metrics.md", reference.metrics_page()
    yield "docs/reference/settings.md", reference.settings_page()


def stale_files(root: Path) -> list[str]:
    """The paths below `root` whose content is not what would be generated, or which would not be."""
    wanted = dict(generated_files())
    paths = itertools.chain.from_iterable((root / folder).glob("*") for folder in _FOLDERS)
    present = {path.relative_to(root).as_posix() for path in paths}
    changed = {
        name
        for name, text in wanted.items()
        if name not in present or (root / name).read_text(encoding="utf-8") != text
    }
    return sorted(changed | (present - wanted.keys() - _WRITTEN))


def write_files(root: Path) -> list[str]:
    """Brings the files below `root` up to date; returns what was stale."""
    wanted = dict(generated_files())
    stale = stale_files(root)
    for name in stale:
        path = root / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name], encoding="utf-8")
        else:
            path.unlink()
    return stale


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and name the files that are stale.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="The repository's root.",
)
@click.pass_context
def generate(ctx: click.Context, check: bool, root: Path) -> None:
    """Write the CustomResourceDefinitions and the reference pages."""
    stale = stale_files(root) if check else write_files(root)
    for name in stale:
        click.echo(f"stale: {name}" if check else f"wrote: {name}")
    ctx.exit(FAILED if check and stale else DONE)


if __name__ == "__main__":
    generate()
