"""Owns building Terraform's command lines, with python_terraform. Runs nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from python_terraform import IsFlagged, IsNotFlagged
from python_terraform import Terraform as PythonTerraform

_NO_INPUT = {"input": False, "no_color": IsFlagged}


class CommandBuilder(PythonTerraform):  # type: ignore[misc]
    """python_terraform as what it is good at: options to argv.

    Its `cmd` blocks, buffers everything and leaves variable files with secrets behind; ours returns the argv.
    """

    def __init__(self, binary: Sequence[str]) -> None:
        # The base class would read .terraform/terraform.tfstate, and raise where that is torn.
        self.terraform_bin_path = binary[-1]
        self._binary = tuple(binary)
        self.state = self.var_file = self.parallelism = self.variables = None
        self.targets: list[str] = []

    def __getattr__(self, name: str) -> Any:
        # The base class turns every misspelt name into a terraform command.
        raise AttributeError(name)

    def cmd(self, cmd: str, *args: str, **options: object) -> tuple[str, ...]:
        """The argv of a command; options that are None are left out."""
        argv: list[str] = self.generate_cmd_string(cmd, *args, **options)
        return (*self._binary[:-1], *argv)

    # --- The commands that Setpoint runs ------------------------------------------------------------------------

    def version_line(self) -> tuple[str, ...]:
        """Terraform version -json."""
        return self.cmd("version", json=IsFlagged)

    def get_line(self) -> tuple[str, ...]:
        """Installs modules alone."""
        return self.cmd("get", no_color=IsFlagged)

    def init_line(self, *, backend: bool, modules: bool) -> tuple[str, ...]:
        """Terraform init. It takes the versions that the lock file names, and adds to the file what it lacks."""
        return self.cmd(
            "init", backend=backend, get=modules, reconfigure=IsFlagged if backend else IsNotFlagged, **_NO_INPUT
        )

    def plan_line(self, out: Path, variables: Path | None, *, destroy: bool, refresh: bool = True) -> tuple[str, ...]:
        """Terraform plan -json, without a lock: a plan only reads, and one that is killed leaves none."""
        options = {**_NO_INPUT, "json": IsFlagged, "lock": False, "out": str(out)}
        if not refresh:
            options["refresh"] = False
        files = [str(variables)] if variables else None
        return self.cmd("plan", **options, var_file=files, destroy=IsFlagged if destroy else IsNotFlagged)

    def show_line(self, plan: Path) -> tuple[str, ...]:
        """Terraform show -json."""
        return self.cmd("show", str(plan), json=IsFlagged, no_color=IsFlagged)

    def apply_line(self, plan: Path, ephemeral: Path | None = None) -> tuple[str, ...]:
        """Terraform apply -json of a saved plan; `ephemeral` is a file with the variables that no plan holds."""
        files = [str(ephemeral)] if ephemeral else None
        return self.cmd("apply", str(plan), json=IsFlagged, lock_timeout="60s", var_file=files, **_NO_INPUT)
