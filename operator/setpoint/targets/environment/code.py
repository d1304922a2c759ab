"""Owns what Terraform's code is to whoever reads sources: its files, and what it reaches elsewhere. Pure."""

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

from setpoint.ports.source import Files, NamedPath
from setpoint.targets.environment import hcl_paths, hcl_scan


@dataclasses.dataclass(frozen=True, slots=True)
class TerraformCode:
    """Implements ports.Code for Terraform and OpenTofu."""

    marks: ClassVar[frozenset[str]] = frozenset({"terraform.tfstate", "terraform.tfstate.d"})
    """A state that is kept in the source; Setpoint keeps it elsewhere."""

    def leaves_out(self, name: str) -> bool:
        """True for Terraform's working folder, and for states."""
        return name == ".terraform" or ".tfstate" in name

    def is_code(self, name: str) -> bool:
        """True for the files that make a folder a module."""
        return hcl_scan.is_code(name)

    def names_paths(self, name: str) -> bool:
        """True for code, and for the variables that Terraform reads by itself."""
        return hcl_paths.names_paths(name)

    def called_folders(self, files: Files, folder: str) -> Iterator[NamedPath]:
        """The local modules that a module calls."""
        return hcl_paths.called_folders(files, folder)

    def named_paths(self, files: Files, folder: str, root: str) -> Iterator[NamedPath]:
        """The paths in a module's text that may lead out of its folder."""
        return hcl_paths.named_paths(files, folder, root)


CODE = TerraformCode()
