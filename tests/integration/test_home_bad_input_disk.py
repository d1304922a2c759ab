"""A disk that is full, or fills up: it is said so, nothing is lost, and nothing is made twice in silence.

What a home keeps is on a small disk of its own; manifests, code and the log of what was really made are not.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.typed_home import TypedHome

DISK = 32 * 1024 * 1024
CODE = """
variable "log" { type = string }
variable "count_of" { type = number }
variable "first" { type = string }
variable "release" { type = number }
resource "terraform_data" "made" {
  count            = var.count_of
  triggers_replace = [var.release]
  provisioner "local-exec" {
    command = "echo ${count.index} >> ${var.log}; ${var.first}"
  }
}
"""


class SmallDisk:
    """A home on a disk that a test can fill."""

    def __init__(self, folder: Path) -> None:
        self.home = TypedHome(folder, CODE)
        self.home.state.mkdir()
        self.log = folder / "made.log"
        self.filler = self.home.state / "filler"

    def declare(self, count: int, first: str = "true", release: int = 1) -> None:
        """So many resources; each runs a command as it is made. Another release replaces them."""
        variables = {"log": str(self.log), "count_of": count, "first": first, "release": release}
        self.home.declare(variables=variables)

    def made(self) -> list[str]:
        """The resources that were really made, in the order of their number."""
        return sorted(self.log.read_text().split())

    def fill(self, left: int) -> None:
        """Leaves so many bytes."""
        disk = os.statvfs(self.home.state)
        self.filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - left))

    def require_whole(self) -> None:
        """The trail is intact, and the state is that of one resource."""
        assert self.home.setpoint("audit", "verify").returncode == 0
        assert self.home.status()["state"]["resources"] == 1


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A home on a small disk, with one resource at its setpoint."""
    small = SmallDisk(tmp_path / "home")
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(small.home.state)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        small.declare(1)
        assert small.home.up().returncode == 0
        yield small
    finally:
        subprocess.run(["umount", "--lazy", str(small.home.state)], check=True)


@pytest.mark.parametrize("left", [0, 80_000], ids=["none is left", "some is left"])
def test_a_full_disk_is_said_and_nothing_is_lost(disk: SmallDisk, left: int) -> None:
    disk.declare(3)
    disk.fill(left)
    ended = disk.home.up()
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "disk is full" in ended.stderr or "no space left" in ended.stderr
    assert disk.made() == ["0"], "nothing was applied without a durable intent"
    disk.filler.unlink()
    disk.require_whole()
    assert disk.home.up().returncode == 0
    assert disk.made() == ["0", "1", "2"]


def test_a_disk_that_fills_up_in_the_middle_of_an_apply(disk: SmallDisk) -> None:
    """Not even Terraform can save its state: what it made is named, and made again only with a person's word."""
    disk.declare(3, first=f"head -c {DISK} /dev/zero > {disk.filler} || true")
    ended = disk.home.up()
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert disk.made() == ["0", "1", "2"]
    disk.filler.unlink()
    assert disk.home.setpoint("audit", "verify").returncode == 0
    disk.declare(3)
    ended = disk.home.up()
    assert disk.made() == ["0", "1", "2"], ended.stderr
    assert disk.home.condition("Ready") == ("False", "ApprovalRequired")
    named = [text.split(" ")[0] for text in disk.home.status()["orphans"]]
    assert named == ["terraform_data.made[1]", "terraform_data.made[2]"]


def test_a_disk_that_fills_up_in_the_middle_of_a_replacement(disk: SmallDisk) -> None:
    """The old object stands at the address of the new one, and most of what Terraform says is lost, too."""
    disk.declare(30, first=f"head -c {DISK} /dev/zero > {disk.filler} || true", release=2)
    assert disk.home.up().returncode == 1
    made = {f"terraform_data.made[{number}]" for number in disk.made()}
    assert len(made) == 30
    disk.filler.unlink()
    disk.declare(30, release=2)
    ended = disk.home.up()
    assert len(disk.made()) == 31, ended.stderr
    assert disk.home.condition("Ready") == ("False", "ApprovalRequired")
    orphans = disk.home.status()["orphans"]
    assert {text.split(" ")[0] for text in orphans} == made
    assert any(text.startswith("terraform_data.made[0] (") for text in orphans)
