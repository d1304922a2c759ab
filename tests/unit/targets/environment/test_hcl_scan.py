"""The few facts that must be known of Terraform code before Terraform runs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.targets.environment.hcl_scan import (
    declared_variables,
    foreign_backend,
    installed_modules,
    needs_providers,
    prevent_destroy,
    state_encryption,
    structured_variables,
    variable_types,
    workspace_uses,
)

HIDDEN = [
    pytest.param("# {}", id="hash"),
    pytest.param("// {}", id="slashes"),
    pytest.param("/* {}\n {} */", id="comment"),
    pytest.param("/* {}", id="unclosed-comment"),
    pytest.param("locals {{\n  a = <<EOT\n{}\nEOT\n}}", id="heredoc"),
    pytest.param("locals {{\n  a = <<-EOT\n    {}\n    EOT\n}}", id="indented-heredoc"),
    pytest.param('locals {{\n  a = "x ${{join("", ["{}"])}} y"\n}}', id="template"),
    pytest.param('locals {{\n  a = "\\"{}"\n}}', id="escaped-quote"),
    pytest.param("locals {{\n  a = {{ {} }}\n}}", id="object"),
    pytest.param("locals {{\n  a = [\n    {}\n  ]\n}}", id="list"),
    pytest.param("outer {{\n  {}\n}}", id="nested"),
]


def main(text: str) -> dict[str, bytes]:
    return {"main.tf": text.encode()}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('variable "shown" {\n  type = string\n}\n', id="plain"),
        pytest.param('variable "shown" {}', id="empty"),
        pytest.param('variable "shown" { type = string }', id="one-line"),
        pytest.param("variable shown {\n}\n", id="bare-label"),
        pytest.param('\ufeffvariable "shown" {}', id="byte-order-mark"),
        pytest.param('variable "shown" {\r\n  type = string\r\n}\r\n', id="carriage-returns"),
        pytest.param('locals {\n  größe = "${1 + 1}"\n}\nvariable "shown" {}', id="letters-of-any-language"),
        pytest.param('locals {\n  a = "$${not a template"\n}\nvariable "shown" {}', id="escaped-template"),
        pytest.param('locals {\n  a = "$"\n  b = "100%"\n}\nvariable "shown" {}', id="lone-signs"),
        pytest.param('locals {\n  a = <<EOT\n"\nEOT\n}\nvariable "shown" {}', id="quote-in-heredoc"),
        pytest.param('locals {\n  a = "${"}"}"\n}\nvariable "shown" {}', id="brace-in-template"),
        pytest.param('/* "{ */ variable "shown" {}', id="after-a-comment"),
    ],
)
def test_a_variable_is_seen(text: str) -> None:
    assert declared_variables(main(text)) == {"shown"}


@pytest.mark.parametrize("wrapping", HIDDEN)
def test_a_variable_is_not_seen_where_there_is_none(wrapping: str) -> None:
    hidden = "variable hidden {}"
    assert declared_variables(main(f'variable "shown" {{}}\n{wrapping.format(hidden, hidden)}\n')) == {"shown"}


@pytest.mark.parametrize(
    ("files", "where"),
    [
        pytest.param({"main.tf": b'terraform {\n  backend "s3" {\n  }\n}\n'}, "main.tf:2", id="backend"),
        pytest.param({"a.tf": b"\n\n", "b.tf": b"terraform {\n\n  cloud {\n  }\n}\n"}, "b.tf:3", id="cloud"),
        pytest.param({"a.tf": b'terraform { backend "local" {} }'}, "a.tf:1", id="one-line"),
        pytest.param({"a.tf.json": b'{"terraform": [{"backend": {"s3": {}}}]}'}, "a.tf.json:1", id="json"),
        pytest.param({"a.tf": b'terraform {\n  required_version = ">= 1"\n}\n'}, "", id="none"),
        pytest.param({"a.tf": b'resource "x" "backend" {\n  backend "s3" {}\n}\n'}, "", id="in-a-resource"),
        pytest.param({"part/a.tf": b"terraform {\n  cloud {}\n}\n"}, "", id="in-a-folder"),
        pytest.param({".a.tf": b"terraform {\n  cloud {}\n}\n"}, "", id="hidden-file"),
        pytest.param({"a.tf.bak": b"terraform {\n  cloud {}\n}\n"}, "", id="another-ending"),
        pytest.param({}, "", id="nothing"),
    ],
)
def test_a_foreign_backend_is_found_with_its_place(files: dict[str, bytes], where: str) -> None:
    assert foreign_backend(files) == where


@pytest.mark.parametrize(
    ("files", "where"),
    [
        pytest.param({"a.tofu": b"terraform {\n  encryption {\n    state {\n    }\n  }\n}\n"}, "a.tofu:2", id="hcl"),
        pytest.param({"a.tf.json": b'{"terraform": {"encryption": {"state": {}}}}'}, "a.tf.json:1", id="json"),
        pytest.param({"a.tf": b'resource "x" "y" {\n  encryption {\n  }\n}\n'}, "", id="in-a-resource"),
    ],
)
def test_an_encryption_of_the_state_is_found(files: dict[str, bytes], where: str) -> None:
    assert state_encryption(files) == where


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        pytest.param('resource "terraform_data" "a" {}', False, id="built-in"),
        pytest.param('data "terraform_remote_state" "a" {}', False, id="built-in-data"),
        pytest.param('resource "local_file" "a" {}', True, id="resource"),
        pytest.param('data "local_file" "a" {}', True, id="data"),
        pytest.param('ephemeral "random_password" "a" {}', True, id="ephemeral"),
        pytest.param('provider "aws" {}', True, id="provider"),
        pytest.param('provider "terraform" {}', False, id="built-in-provider"),
        pytest.param('module "a" { source = "./a" }', True, id="module"),
        pytest.param("terraform {\n required_providers {\n a = { source = 1 }\n }\n}", True, id="required"),
        pytest.param("terraform {\n required_providers {\n }\n}", False, id="none-required"),
        pytest.param(
            'terraform {\n required_providers {\n  terraform = { source = "terraform.io/builtin/terraform" }\n }\n}',
            False,
            id="built-in-required",
        ),
        pytest.param(
            'terraform {\n required_providers {\n  t = {\n   source = "terraform.io/builtin/terraform"\n  }\n'
            '  a = {\n   source = "acme/terraform"\n  }\n }\n}',
            True,
            id="built-in-and-another-required",
        ),
        pytest.param(
            'terraform {\n required_providers {\n  a = { source = "acme/a" } # "terraform.io/builtin/terraform"\n }\n}',
            True,
            id="built-in-in-a-comment",
        ),
        pytest.param("locals {\n  a = 1\n}", False, id="nothing"),
    ],
)
def test_where_a_provider_is_needed(text: str, needed: bool) -> None:
    assert needs_providers(main(text)) is needed


@pytest.mark.parametrize(("source", "needed"), [("terraform.io/builtin/terraform", False), ("acme/terraform", True)])
def test_where_a_provider_is_needed_in_json(source: str, needed: bool) -> None:
    required = {"terraform": {"required_providers": {"terraform": {"source": source}}}}
    assert needs_providers({"main.tf.json": json.dumps(required).encode()}) is needed


def test_types_of_variables() -> None:
    files = {
        "a_override.tf": b'variable "b" {\n  type = number\n}\n',
        "variables.tf": (
            b'variable "a" {\n  type = object({\n    x = string # of it\n    y = list(string)\n  })\n}\n'
            b'variable "b" { type = string }\nvariable "c" {}\n'
        ),
        "z.tf.json": b'{"variable": {"d": {"type": "map(string)"}}}',
    }
    assert variable_types(files) == {
        "a": "object({\n    x = string # of it\n    y = list(string)\n  })",
        "b": "number",
        "d": "map(string)",
    }


def test_json_is_read_like_hcl() -> None:
    text = b"""{
      "//": "a comment",
      "variable": [{"one": {}}, {"two": {"type": "string"}}],
      "module": {"part": {"source": "./part"}},
      "resource": {"local_file": {"kept": {"lifecycle": [{"prevent_destroy": true}]}, "free": [{}]}},
      "ephemeral": {"random_password": {"a": {}}}
    }"""
    files = {"main.tf.json": text}
    assert declared_variables(files) == {"one", "two"}
    assert installed_modules(files) == ("part",)
    assert prevent_destroy(files) == ("local_file.kept",)
    assert needs_providers({"main.tf.json": b'{"ephemeral": {"random_password": {"a": {}}}}'})


@pytest.mark.parametrize(
    ("lifecycle", "kept"),
    [
        pytest.param("lifecycle {\n prevent_destroy = true\n }", True, id="true"),
        pytest.param("lifecycle { prevent_destroy = true }", True, id="one-line"),
        pytest.param("lifecycle {\n prevent_destroy = true # why\n }", True, id="comment-behind"),
        pytest.param("lifecycle {\n ignore_changes = [\n a,\n ]\n prevent_destroy = true\n }", True, id="after-a-list"),
        pytest.param("lifecycle {\n prevent_destroy = false\n }", False, id="false"),
        pytest.param("lifecycle {\n # prevent_destroy = true\n }", False, id="commented-out"),
        pytest.param("prevent_destroy = true", False, id="not-in-lifecycle"),
        pytest.param("settings {\n prevent_destroy = true\n }", False, id="in-another-block"),
    ],
)
def test_what_must_not_be_destroyed(lifecycle: str, kept: bool) -> None:
    text = f'resource "local_file" "a" {{\n  content = "x"\n  {lifecycle}\n}}\n'
    assert prevent_destroy(main(text)) == (("local_file.a",) if kept else ())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{" * 50_000, id="braces"),
        pytest.param(b'a "' * 20_000, id="quotes"),
        pytest.param(b"a {\n" * 20_000, id="blocks"),
        pytest.param(b'x = "${' * 20_000, id="templates"),
        pytest.param(b"<<A\n" * 20_000, id="heredocs"),
        pytest.param(b'"' + b"$" * 50_000, id="signs"),
        pytest.param(b"\xff\x00" * 1000, id="bytes"),
    ],
)
def test_a_hostile_file_neither_crashes_nor_takes_for_ever(data: bytes) -> None:
    files = {"a.tf": data, "b.tf": b'variable "shown" {}'}
    assert "shown" in declared_variables(files)
    assert needs_providers(files) is False


@pytest.mark.parametrize("text", ["[" * 500 + "]" * 500, "[]", "null", "{", '{"variable": [[{"a": {}}]]}'])
def test_odd_json_declares_nothing(text: str) -> None:
    assert declared_variables({"a.tf.json": text.encode()}) == set()


TEXT = st.text(alphabet=st.sampled_from('ab{}[]()"$%\\\n #/*<-=é'), max_size=60)


@given(TEXT)
def test_any_text_is_scanned(text: str) -> None:
    declared_variables(main(text))
    assert declared_variables({"a.tf": text.encode(), "b.tf": b'variable "shown" {}'}) >= {"shown"}


@pytest.mark.parametrize(
    ("declared", "structured"),
    [
        pytest.param("", False, id="none"),
        pytest.param("type = string", False, id="string"),
        pytest.param("type = number # list(string)", False, id="number"),
        pytest.param("type = bool", False, id="bool"),
        pytest.param('type = "string"', False, id="quoted"),
        pytest.param("type = any", True, id="any"),
        pytest.param("type = list(string)", True, id="list"),
        pytest.param("type = set(\n    number\n  )", True, id="set"),
        pytest.param("type = object({\n    a = string\n    b = optional(string)\n  })", True, id="object"),
        pytest.param('type = "map"', True, id="old map"),
    ],
)
def test_a_variable_that_takes_more_than_text_is_known(declared: str, structured: bool) -> None:
    found = structured_variables(main(f'variable "v" {{\n  default = null\n  {declared}\n  nullable = true\n}}\n'))
    assert found == ({"v"} if structured else set())


@pytest.mark.parametrize(("declared", "structured"), [("string", False), ("list(string)", True), ("any", True)])
def test_a_variables_type_is_known_in_json_too(declared: str, structured: bool) -> None:
    code = {"main.tf.json": f'{{"variable": {{"v": {{"type": "{declared}"}}}}}}'.encode()}
    assert structured_variables(code) == ({"v"} if structured else set())


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        pytest.param("locals {\n  x = terraform.workspace\n}", [2], id="expression"),
        pytest.param('a = 1\nb = "n-${terraform.workspace}"', [2], id="in a string"),
        pytest.param("a = <<X\none\n${ lower(terraform.workspace) }\nX\n", [3], id="in a heredoc"),
        pytest.param('a = "%{ if terraform.workspace == \\"p\\" }x%{ endif }"', [1], id="in a directive"),
        pytest.param("a = tofu.workspace == 1 ? terraform . workspace : 2", [1, 1], id="twice, and as OpenTofu says"),
        pytest.param("# terraform.workspace\n// ${terraform.workspace}\n/* terraform.workspace */", [], id="comments"),
        pytest.param('description = "as terraform.workspace was"', [], id="plain text"),
        pytest.param('a = "$${terraform.workspace}"', [], id="escaped"),
        pytest.param("a = var.terraform.workspaces", [], id="another name"),
        pytest.param("a = terraform.\nworkspace", [], id="two lines"),
    ],
)
def test_where_the_workspace_is_read(code: str, lines: list[int]) -> None:
    assert workspace_uses({"main.tf": code.encode()}) == tuple(f"main.tf:{line}" for line in lines)


def test_where_json_reads_the_workspace() -> None:
    code = json.dumps({"locals": {"x": "${terraform.workspace}", "y": "terraform.workspace"}}, indent=1)
    assert workspace_uses({"a.tf.json": code.encode(), "b.txt": b"terraform.workspace"}) == ("a.tf.json:3",)
