"""The fault in a failed transfer, in words that git 2.39, curl 7.88, OpenSSH 9 and Terraform 1.11 really said."""

import json
from pathlib import Path

import pytest

from setpoint.adapters.source.git_process import GitResult
from setpoint.adapters.source.git_process import failure as git_failure
from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, TransientError
from setpoint.domain.scrubbing import NO_SECRETS
from setpoint.domain.transport_errors import Fault, fault_in
from setpoint.targets.environment.terraform.failures import failure as terraform_failure
from setpoint.targets.environment.terraform.process import Ended

SAMPLES = json.loads((Path(__file__).parents[2] / "data" / "transport_errors.json").read_text())
BY_NAME = {f"{one['tool']}: {one['situation']}": one for one in SAMPLES}
GIT = {name: one for name, one in BY_NAME.items() if one["tool"].startswith("git ")}
TERRAFORM = {name: one for name, one in BY_NAME.items() if one["tool"].startswith("terraform ")}


@pytest.mark.parametrize("name", BY_NAME)
def test_real_words(name: str) -> None:
    assert fault_in(BY_NAME[name]["text"]) == BY_NAME[name]["fault"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("fatal: unable to access 'http://h/503/x': Maximum (20) redirects followed", "outage", id="loop"),
        pytest.param("Could not download module: bad response code: 404 for http://h/503/m.zip", "absent", id="number"),
        pytest.param("Error: Unsupported argument. An argument named 'x' is not expected here.", None, id="code"),
        pytest.param("Unreadable module directory: open ../x: no such file or directory", None, id="folder"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_other_words(text: str, fault: str | None) -> None:
    assert fault_in(text) == fault


@pytest.mark.parametrize("name", GIT)
def test_what_git_says_of_a_source(name: str) -> None:
    error = git_failure(GitResult(128, "", GIT[name]["text"]), "https://h/r.git")
    expected = {
        Fault.OUTAGE: (TransientError, Reason.SOURCE_UNAVAILABLE),
        Fault.CERTIFICATE: (TransientError, Reason.SOURCE_UNAVAILABLE),
        Fault.LOGIN: (TransientError, Reason.SOURCE_UNAUTHORIZED),
        Fault.ABSENT: (StalledError, Reason.SOURCE_NOT_FOUND),
    }
    assert (type(error), error.reason) == expected[GIT[name]["fault"]]


@pytest.mark.parametrize("name", TERRAFORM)
def test_what_terraform_says_of_modules_and_providers(name: str) -> None:
    one = TERRAFORM[name]
    error = terraform_failure("terraform init", Ended(1, b"", one["text"].encode()), NO_SECRETS, Reason.INIT_FAILED)
    module = "provider" not in one["tool"]
    outage = Reason.SOURCE_UNAVAILABLE if module else Reason.PROVIDER_UNAVAILABLE
    expected = {
        Fault.OUTAGE: (TransientError, outage),
        Fault.CERTIFICATE: (TransientError, outage),
        Fault.LOGIN: (TransientError, Reason.SOURCE_UNAUTHORIZED),
        Fault.ABSENT: (StalledError, Reason.CONFIGURATION_INVALID if module else Reason.PROVIDER_UNAVAILABLE),
    }
    assert (type(error), error.reason) == expected[one["fault"]]
