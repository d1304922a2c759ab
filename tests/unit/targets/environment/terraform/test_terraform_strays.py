"""The files that Terraform and OpenTofu would load: those are removed where no source brought them."""

import os
from pathlib import Path

import pytest

from setpoint.targets.environment.terraform.strays import find_states, remove_strays


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("-")


LOADED_AT_ROOT = [
    "x.tf", "x.tf.json", "x.tofu", "x.tofu.json", "override.tf", "x_override.tf.json", "~~_override.tf.json",
    "terraform.tfvars", "terraform.tfvars.json", "x.auto.tfvars", "x.auto.tfvars.json",
    "x.tftest.hcl", "x.tofutest.json", "tests/x.tftest.hcl", ".terraform/environment", ".terraform/plugin_path",
]  # fmt: skip
LEFT = ["x.txt", "x.tfvars", ".x.tf", "x.tf~", "#x.tf#", "x.tf.bak", "sub/x.tf", "tests/x.tf", ".terraform/providers/p"]


@pytest.mark.parametrize("root", ["", "stacks/shop"])
@pytest.mark.parametrize("name", LOADED_AT_ROOT)
def test_what_is_loaded_at_the_root_goes(tmp_path: Path, root: str, name: str) -> None:
    put(tmp_path / root, name, "main.tf", *LEFT)
    main = f"{root}/main.tf" if root else "main.tf"
    assert remove_strays(tmp_path, root, [], {main}) == (f"{root}/{name}" if root else name,)
    assert all((tmp_path / root / one).exists() for one in LEFT)
    assert remove_strays(tmp_path, root, [], {main}) == ()


@pytest.mark.parametrize("name", LOADED_AT_ROOT)
def test_a_module_that_is_called_loads_code_alone(tmp_path: Path, name: str) -> None:
    put(tmp_path / "m", name)
    is_code = name.endswith((".tf", ".tf.json", ".tofu", ".tofu.json"))
    assert remove_strays(tmp_path, "", ["m"], set()) == ((f"m/{name}",) if is_code else ())


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    put(tmp_path, "outside/x.tf")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file.tf").symlink_to(tmp_path / "outside" / "x.tf")
    (tmp_path / "work" / "folder.tf").symlink_to(tmp_path / "outside")
    (tmp_path / "work" / "nowhere.tf").symlink_to(tmp_path / "nowhere")
    found = remove_strays(tmp_path / "work", "", [], set())
    assert found == ("file.tf", "folder.tf", "nowhere.tf")
    assert (tmp_path / "outside" / "x.tf").exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_a_folder_is_not_loaded_whatever_its_name(tmp_path: Path) -> None:
    put(tmp_path, "x.tf/y.txt")
    assert remove_strays(tmp_path, "", ["gone"], set()) == ()


def test_the_workspace_may_not_be_a_folder_either(tmp_path: Path) -> None:
    put(tmp_path, ".terraform/environment/x")
    assert remove_strays(tmp_path, "", [], set()) == (".terraform/environment",)
    assert not (tmp_path / ".terraform" / "environment").exists()


def test_a_link_or_pipe_in_the_place_of_an_errored_state_goes_and_a_file_stays(tmp_path: Path) -> None:
    place = tmp_path / "errored.tfstate"
    put(tmp_path, "errored.tfstate")
    assert remove_strays(tmp_path, "", [], set()) == ()
    place.rename(tmp_path / "other")
    place.symlink_to(tmp_path / "other")
    assert remove_strays(tmp_path, "", [], set()) == ("errored.tfstate",)
    os.mkfifo(place)
    assert remove_strays(tmp_path, "", [], set()) == ("errored.tfstate",)
    assert (tmp_path / "other").exists()


def test_states_are_found_and_never_removed(tmp_path: Path) -> None:
    put(tmp_path, "s/terraform.tfstate", "s/terraform.tfstate.backup")
    assert remove_strays(tmp_path, "s", [], set()) == ()
    assert [path.name for path in find_states(tmp_path, "s")] == ["terraform.tfstate", "terraform.tfstate.backup"]
