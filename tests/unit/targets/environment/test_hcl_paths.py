"""The places that code names by relative paths."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from setpoint.targets.environment.hcl_paths import called_folders, named_paths

MODULE, ROOT = "modules/site", "live/eu"


def named(text: str, name: str = "main.tf", module: str = MODULE) -> set[str]:
    return {found.path for found in named_paths({name: text.encode()}, module, ROOT)}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        pytest.param('a = file("${path.module}/../x.txt")', {"modules/x.txt"}, id="beside-the-module"),
        pytest.param('a = file("${path.root}/../x.txt")', {"live/x.txt"}, id="beside-the-root"),
        pytest.param('a = file("${path.cwd}/../x.txt")', {"live/x.txt"}, id="beside-the-working-folder"),
        pytest.param('a = file("${ path.module }/x.txt")', {"modules/site/x.txt"}, id="below-the-module"),
        pytest.param('a = "../../x"', {"x"}, id="relative-alone"),
        pytest.param('a = templatefile("${path.module}/../t/${var.x}.tpl", {})', {"modules/t"}, id="unknown-name"),
        pytest.param('a = "${path.module}/../${var.x}/y"', {"modules"}, id="unknown-folder"),
        pytest.param('a = fileset("${path.module}/../t", "**/*.tpl")', {"modules/t"}, id="fileset"),
        pytest.param('a = fileset(path.module, "../t/*.tpl")', {"live/t", "modules/t"}, id="pattern"),
        pytest.param('a = "bash ../../run.sh"', {"run.sh"}, id="command"),
        pytest.param('a = "${jsonencode(file("${path.module}/../x"))}"', {"modules/x"}, id="string-in-a-template"),
        pytest.param('a = <<EOT\n${file("${path.module}/../x")}\nEOT\n', {"modules/x"}, id="string-in-a-heredoc"),
        pytest.param('a = <<EOT\n "\nEOT\nb = "${path.root}/../y"', {"live/y"}, id="after-a-heredoc"),
        pytest.param('a = { b = ["${path.module}/../x"] }', {"modules/x"}, id="within-an-object"),
        pytest.param('a = "\\"${path.module}/../x\\""', {"modules/x"}, id="escaped-quotes"),
        pytest.param('a = "%{ if true }${path.module}/../x%{ endif }"', {"modules/x"}, id="directive"),
        pytest.param('module "m" {\n  source = "../../y"\n  file = "../../x"\n}', {"x"}, id="not-a-modules-source"),
        pytest.param('# "../../x"\n// "../../x"\n/* "../../x" */', set(), id="comments"),
        pytest.param('a = "$${path.module}/x"', set(), id="escaped-template"),
        pytest.param('a = "${path.module}"', set(), id="the-module-itself"),
        pytest.param('a = "${var.x}/../y"', set(), id="unknown-beginning"),
        pytest.param('a = "x/y.txt"', set(), id="below-by-itself"),
        pytest.param('a = "/etc/../x"', set(), id="absolute"),
        pytest.param('a = trimprefix(var.x, "../")', set(), id="only-up"),
        pytest.param('a = fileset("..", "*.txt")', {"live", "modules"}, id="only-up-and-read"),
        pytest.param('a = "${path.module}/../.."', {"."}, id="only-up-from-a-folder-by-name"),
        pytest.param('a = "dots... and .. so on"', set(), id="prose"),
    ],
)
def test_paths_in_the_text_are_found(text: str, paths: set[str]) -> None:
    assert named(text) == paths


def test_json_and_variable_files_are_looked_through() -> None:
    document = json.dumps({"locals": {"a": ["${path.module}/../x"], "b": {"c": '${file("../../y")}'}}})
    assert named(document, "main.tf.json") == {"modules/x", "y"}
    assert named('tpl = "../../x"', "eu.auto.tfvars") == {"x"}
    assert named('{"tpl": "../../x"}', "terraform.tfvars.json") == {"x"}
    assert named('tpl = "../../x"', "other.tfvars") == set()


@pytest.mark.parametrize("name", ["main.tf", "main.tofu"])
def test_only_local_modules_are_in_folders(name: str) -> None:
    sources = ("./x", "../y", "../../../z", "hashicorp/consul/aws", "git::https://h/x.git//a/../b")
    text = "".join(f'module "m{number}" {{\n  source = "{source}"\n}}\n' for number, source in enumerate(sources))
    found = list(called_folders({name: text.encode()}, ROOT))
    assert [(one.path, one.leaves) for one in found] == [("live/eu/x", False), ("live/y", False), ("../z", True)]
    assert found[2].at == f"live/eu/{name}:7"


def test_what_a_function_reads_is_told_apart() -> None:
    text = 'a = file("../../../x")\nb = "../../../y"'
    found = {(one.path, one.reads, one.leaves, one.at) for one in named_paths({"m.tf": text.encode()}, ROOT, ROOT)}
    assert found == {("../x", True, True, "live/eu/m.tf:1"), ("../y", False, True, "live/eu/m.tf:2")}


@given(st.text(alphabet='"$%{}\\\n#/*<EOT.~ax=(', max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    assert all("\0" not in path for path in named(text))
    list(called_folders({"main.tf": text.encode()}, ROOT))
