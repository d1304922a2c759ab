"""The reference is up to date and says everything: fields, conditions, reasons, metrics, options, settings."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from tests.fakes.admission import admit

from setpoint.api.conditions import CONDITION_MEANING, REASON_MEANING
from setpoint.api.crdgen import object_schema
from setpoint.api.kind_conditions import KIND_CONDITIONS
from setpoint.api.v1alpha1 import KINDS
from setpoint.cli.examples import EXAMPLES
from setpoint.cli.generate import generate, generated_files, stale_files, write_files
from setpoint.cli.main import cli, summaries
from setpoint.runtime.metric_specs import METRICS
from setpoint.settings import Settings
from setpoint.wiring import targets

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def first_cells(text: str) -> dict[str, str]:
    """First cell of each row in all tables of a page, without backticks, to the first such row."""
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return {re.split(r"(?<!\\) \| ", row[2:])[0].strip("` |"): row for row in reversed(rows)}


def field_paths(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from field_paths(field, f"{path}.{name}")
        yield from field_paths(field.get("items", {}), f"{path}.{name}[]")


def commands(group: click.Group, prefix: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")


def test_generated_files__are_up_to_date() -> None:
    assert stale_files(ROOT) == [], "run python -m setpoint.cli.generate"


@kinds
def test_kind_page__every_field__has_its_type_default_and_description(kind: Any) -> None:
    rows = first_cells(page(kind.__name__.lower()))
    properties = object_schema(kind)["properties"]
    for part in properties.keys() & {"spec", "status"}:
        for path, field in field_paths(properties[part], part):
            assert field["description"].replace("|", "\\|") in rows[path]
            default = field.get("default")
            assert default in (None, {}) or str(default).lower() in rows[path].lower()


@kinds
def test_kind_page__every_condition_and_reason__is_explained(kind: Any) -> None:
    text = page(kind.__name__.lower())
    for type_, reasons in KIND_CONDITIONS[kind.__name__].items():
        section = text.split(f"### {type_}\n")[1].split("\n##")[0]
        assert CONDITION_MEANING[type_] in section
        for reason in reasons:
            assert f"| `{reason}` | {REASON_MEANING[reason]} |" in section


@kinds
def test_kind_page__every_column_and_rule__is_listed(kind: Any) -> None:
    text = page(kind.__name__.lower())
    for column in kind.META.columns:
        assert f"| {column.name} |" in text
    assert kind.META.summary in text
    assert ("spec is immutable" in text) == kind.META.spec_immutable


@kinds
def test_kind_page__example__is_valid(kind: Any) -> None:
    shown = yaml.safe_load(page(kind.__name__.lower()).split("```yaml\n")[1].split("```")[0])
    assert shown == EXAMPLES[kind.__name__]
    assert kind.model_validate(shown).kind == kind.__name__
    assert admit(object_schema(kind), shown) == []


def test_index__every_kind__is_linked() -> None:
    linked = set(re.findall(r"\]\(([a-z]+\.md)\)", page("README")))
    assert linked == {path.name for path in PAGES.glob("*.md")} - {"README.md"}


def test_conditions_page__every_type_and_reason__is_explained() -> None:
    rows = first_cells(page("conditions"))
    for name, meaning in [*CONDITION_MEANING.items(), *REASON_MEANING.items()]:
        assert any(meaning in row for row in page("conditions").splitlines() if f"`{name}`" in row)
        assert name in rows


def test_metrics_page__every_metric_and_label__is_listed() -> None:
    rows = first_cells(page("metrics"))
    for metric in (*METRICS, *targets.metrics()):
        assert metric.help in rows[metric.name]
        assert all(f"`{label}`" in rows[metric.name] for label in metric.labels)


def test_settings_page__every_setting__is_listed() -> None:
    rows = first_cells(page("settings"))
    for name, setting in Settings.model_fields.items():
        assert setting.description
        assert setting.description in rows[f"SETPOINT_{name.upper()}"]


def test_cli_page__every_command_and_option__is_listed() -> None:
    text = page("cli")
    everywhere = {param.name for param in cli.params}
    for path, command in commands(cli, "setpoint"):
        section = text.split(f"## {path}\n")[1].split("\n## ")[0]
        for option in [param for param in command.params if isinstance(param, click.Option)]:
            assert option.help, f"{path} {option.name}"
            if option.name not in everywhere:
                assert f"`{', '.join(option.opts)}" in section
                assert option.help in section
    assert all(f"`{', '.join(param.opts)}" in text for param in cli.params)


@pytest.mark.parametrize("name", summaries())
def test_command__summary_in_the_list__is_its_first_sentence(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help is not None
    assert command.help.split("\n")[0] == summaries()[name]


def test_generate__into_an_empty_folder__writes_all_and_then_nothing(tmp_path: Path) -> None:
    assert write_files(tmp_path) == sorted(dict(generated_files()))
    assert write_files(tmp_path) == []


def test_generate_check__stale_and_foreign_files__are_named_with_exit_1(tmp_path: Path) -> None:
    write_files(tmp_path)
    (tmp_path / "crds" / "setpoint.dev_changes.yaml").write_text("other", encoding="utf-8")
    (tmp_path / "docs" / "reference" / "gone.md").write_text("old", encoding="utf-8")
    result = CliRunner().invoke(generate, ["--check", "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.splitlines() == ["stale: crds/setpoint.dev_changes.yaml", "stale: docs/reference/gone.md"]
    assert CliRunner().invoke(generate, ["--root", str(tmp_path)]).exit_code == 0
    assert CliRunner().invoke(generate, ["--check", "--root", str(tmp_path)]).output == ""
    assert not (tmp_path / "docs" / "reference" / "gone.md").exists()
