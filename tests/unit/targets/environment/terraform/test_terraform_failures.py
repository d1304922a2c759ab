"""The meaning of a failed command, for outputs as Terraform 1.11.4 writes them."""

import json
from typing import Any

import pytest

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError, WaitingError
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.targets.environment.errors import DataUnreadableError
from setpoint.targets.environment.terraform.failures import explain, failure, is_uninitialised, missing_variables
from setpoint.targets.environment.terraform.process import Ended

SECRET = "hunter2-hunter2"


def boxed(summary: str, body: str) -> Ended:
    """A command without -json."""
    return Ended(1, b"Initializing the backend...\n", f"\nError: {summary}\n\n{body}\n".encode())


def streamed(summary: str, detail: str = "", *, at: str = "", line: int = 1, address: str = "") -> Ended:
    """A command with -json."""
    one: dict[str, Any] = {"severity": "error", "summary": summary, "detail": detail, "address": address}
    if at:
        one["range"] = {"filename": at, "start": {"line": line, "column": 1, "byte": 0}}
    version = {"@level": "info", "type": "version", "terraform": "1.11.4"}
    messages = [version, {"@level": "error", "type": "diagnostic", "diagnostic": one}]
    return Ended(1, "\n".join(map(json.dumps, messages)).encode(), b"")


NOT_LISTED = "Failed to query available provider packages"
LISTING = "Could not retrieve the list of available versions for provider\nacme/fakecloud: "
HINT = "\n\nTo see which modules are currently depending on acme/fakecloud and what\nversions are specified, run:\n"
LOCKED = "Error message: HTTP remote state already locked: ID=0a1b2c3d"

CASES = {
    "core version": (
        boxed(
            "Unsupported Terraform Core version",
            '  on main.tf line 2, in terraform:\n   2:  required_version = ">= 9"\n\n'
            "This configuration does not support Terraform version 1.11.4.",
        ),
        Reason.INIT_FAILED, StalledError, Reason.ENGINE_VERSION_MISMATCH, "1.11.4",
    ),
    "checksum": (
        boxed(
            "Failed to install provider",
            "Error while installing acme/fakecloud v0.1.0: the local package for\n"
            "registry.terraform.io/acme/fakecloud 0.1.0 doesn't match any of the checksums\n"
            "previously recorded in the dependency lock file",
        ),
        Reason.INIT_FAILED, StalledError, Reason.LOCK_FILE_MISMATCH, "terraform providers lock",
    ),
    "locked to another": (
        boxed(
            NOT_LISTED,
            f"{LISTING}locked provider registry.terraform.io/acme/fakecloud 0.1.0\n"
            f"does not match configured version constraint 0.2.0; must use terraform init\n-upgrade{HINT}",
        ),
        Reason.INIT_FAILED, StalledError, Reason.LOCK_FILE_MISMATCH, "0.2.0",
    ),
    "lock file behind the code": (
        streamed("Inconsistent dependency lock file", "The following dependency selections are inconsistent"),
        Reason.PLAN_FAILED, StalledError, Reason.LOCK_FILE_MISMATCH, "lockFile: Generate",
    ),
    "no such provider": (
        boxed(NOT_LISTED, f"{LISTING}no available releases match the given constraints 9.9.9{HINT}"),
        Reason.INIT_FAILED, StalledError, Reason.PROVIDER_UNAVAILABLE, "SETPOINT_TERRAFORM_MIRROR",
    ),
    "no such provider, in OpenTofu": (
        boxed(
            "Failed to resolve provider packages",
            f"Could not resolve provider acme/fakecloud: no available releases match the given constraints 9.9.9{HINT}",
        ),
        Reason.INIT_FAILED, StalledError, Reason.PROVIDER_UNAVAILABLE, "SETPOINT_TERRAFORM_MIRROR",
    ),
    "registry out of reach": (
        boxed(
            NOT_LISTED,
            f"{LISTING}could not connect to registry.terraform.io: failed to request\n"
            f"discovery document: dial tcp 127.0.0.1:9: connect: connection refused{HINT}",
        ),
        Reason.INIT_FAILED, TransientError, Reason.PROVIDER_UNAVAILABLE, "could not connect",
    ),
    "code at init": (
        boxed(
            "Terraform encountered problems during initialisation, including problems\nwith the configuration, "
            "described below.",
            "The Terraform configuration must be valid before initialization.\n\n\n"
            'Error: Unclosed configuration block\n\n  on main.tf line 7, in resource "x":\n   7: resource "x" {\n\n'
            "There is no closing brace for this block before the end of the file.",
        ),
        Reason.INIT_FAILED, StalledError, Reason.CONFIGURATION_INVALID, "main.tf:7",
    ),
    "init otherwise": (
        boxed("Duplicate provider configuration", "A default provider configuration was already given."),
        Reason.INIT_FAILED, StalledError, Reason.INIT_FAILED, "Duplicate provider",
    ),
    "code at plan": (
        streamed("Reference to undeclared input variable", 'no "nope"', at="more.tf", line=3),
        Reason.PLAN_FAILED, StalledError, Reason.CONFIGURATION_INVALID, "more.tf:3",
    ),
    "required variable": (
        streamed("No value for required variable", 'The root module input variable "a" is not set', at="main.tf"),
        Reason.PLAN_FAILED, StalledError, Reason.CONFIGURATION_INVALID, '"a"',
    ),
    "variable of the wrong type": (
        streamed("Invalid value for input variable", "a number is required", at="/home/r/variables.tfvars.json"),
        Reason.PLAN_FAILED, StalledError, Reason.CONFIGURATION_INVALID, "spec.variables",
    ),
    "the cloud": (
        streamed("quota exceeded", "no room", at="main.tf", line=4, address="x_y.z"),
        Reason.PLAN_FAILED, TransientError, Reason.PLAN_FAILED, "x_y.z",
    ),
    "a cloud that talks of checksums": (
        streamed("upload", "does not match any of the checksums", at="main.tf", line=4, address="x_y.z"),
        Reason.PLAN_FAILED, TransientError, Reason.PLAN_FAILED, "upload",
    ),
    "data that is gone": (
        streamed("Unable to find remote state", "none", at="main.tf", line=4, address="module.m[0].data.x_y.z"),
        Reason.PLAN_FAILED, DataUnreadableError, Reason.DATA_UNREADABLE, "module.m[0].data.x_y.z",
    ),
    "a resource that is called data": (
        streamed("quota exceeded", "no room", at="main.tf", line=4, address="x_y.data"),
        Reason.PLAN_FAILED, TransientError, Reason.PLAN_FAILED, "x_y.data",
    ),
    "what must not be destroyed": (
        streamed("Instance cannot be destroyed", "Resource a.b has lifecycle.prevent_destroy set", at="main.tf"),
        Reason.PLAN_FAILED, StalledError, Reason.DESTROY_PREVENTED, "out of the source",
    ),
    "locked state": (
        streamed("Error acquiring the state lock", LOCKED),
        Reason.PLAN_FAILED, WaitingError, Reason.STATE_LOCKED, "locked by another run",
    ),
    "newer state": (
        streamed("Error loading state", "state snapshot was created by Terraform v9.0.0, which is newer"),
        Reason.PLAN_FAILED, StalledError, Reason.STATE_TOO_NEW, "v9.0.0",
    ),
    "killed": (Ended(-9, b"", b""), Reason.PLAN_FAILED, TransientError, Reason.PLAN_FAILED, "9"),
    "panic": (Ended(2, b"", b"panic: oh"), Reason.PLAN_FAILED, TransientError, Reason.PLAN_FAILED, "panic: oh"),
    "deadline": (
        Ended(1, b"", b"Error: interrupted", "timeout"),
        Reason.PLAN_FAILED, TransientError, Reason.TIMED_OUT, "timeout",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_failure(name: str) -> None:
    ended, fallback, kind, reason, words = CASES[name]
    error = failure("terraform step", ended, NO_SECRETS, fallback)
    assert (type(error), error.reason) == (kind, reason)
    assert error.message.startswith("terraform step")
    assert words in error.message


LONG = "k" * 3000
KEY = "-----BEGIN KEY-----\nabcdefghijklmnopqrstuvwxyz\n  0123456789012345678901234567\n-----END KEY-----\n"
TOLD = {
    "as it is": (SECRET, SECRET),
    "on lines of its own": (KEY, KEY),
    "within JSON": ('quoted "secret" text', '{"a": "quoted \\"secret\\" text"}'),
    "longer than any message": (LONG, LONG),
    "at the cut": (LONG, "y" * 800 + LONG),
}


@pytest.mark.parametrize("shape", [streamed, boxed, lambda s, t: Ended(1, b"", f"{s} {t}".encode())])
@pytest.mark.parametrize("name", TOLD)
def test_no_secret_is_told(shape: Any, name: str) -> None:
    secret, text = TOLD[name]
    ended = shape("denied", f"the key is {text}")
    error: ReasonedError = failure("terraform plan", ended, Scrubber([secret]), Reason.PLAN_FAILED)
    told = " ".join([error.message, *explain(ended, Scrubber([secret]))])
    parts = [part.strip() for part in secret.splitlines()]
    assert not [part for part in parts if part[:40] in told]
    assert "denied" in told


@pytest.mark.parametrize("secret", ["", "a", "12345"])
def test_short_secrets_leave_the_text_readable(secret: str) -> None:
    assert explain(streamed("a summary", "of 12345 parts"), Scrubber([secret])) == ("a summary: of 12345 parts",)


def test_a_text_is_cut() -> None:
    (text,) = explain(streamed("x" * 5000), NO_SECRETS)
    assert len(text) <= 1000


@pytest.mark.parametrize(
    ("summary", "expected"),
    [("Required plugins are not installed", True), ("Module not installed", True),
     ("Backend initialization required, please run", True), ("quota exceeded", False)],
)  # fmt: skip
def test_whether_init_is_needed_again(summary: str, expected: bool) -> None:
    assert is_uninitialised(streamed(summary)) is expected
    assert not is_uninitialised(streamed(summary, address="x_y.z"))


NO_VALUE = (
    "No value for required variable",
    'The root module input variable "a" is not set, and has no default value.',
)


@pytest.mark.parametrize(
    ("ended", "names"),
    [
        pytest.param(streamed(*NO_VALUE), ("a",), id="streamed"),
        pytest.param(boxed(*NO_VALUE), ("a",), id="boxed"),
        pytest.param(streamed(*NO_VALUE, address="x_y.z"), (), id="a provider's word"),
        pytest.param(streamed("Unsupported argument", "no"), (), id="another fault"),
        pytest.param(
            Ended(1, streamed(*NO_VALUE).stdout + streamed("Other", "no").stdout, b""), (), id="and another fault"
        ),
        pytest.param(Ended(1, b"", b""), (), id="silence"),
    ],
)
def test_which_variables_lack_a_value(ended: Ended, names: tuple[str, ...]) -> None:
    assert missing_variables(ended) == names
