"""Gives the tests of the Terraform adapter their rig."""

import shutil

import pytest
from tests.fixtures.terraform import fakecloud_mirror, rig

__all__ = ["fakecloud_mirror", "rig"]


@pytest.fixture(autouse=True, scope="session")
def _terraform() -> None:
    if shutil.which("terraform") is None:
        pytest.skip("needs the terraform binary")
