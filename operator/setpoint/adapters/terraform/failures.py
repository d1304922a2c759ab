"""Owns what a failed command means: which reason, whether a person must act, and the scrubbed text."""

import re

from setpoint.adapters.terraform.process import Ended
from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError, WaitingError
from setpoint.domain.plan_values import scrub
from setpoint.domain.terraform_stream import Diagnostic, diagnostics, read_stream

_STALLED: tuple[tuple[str, Reason], ...] = (
    (r"provider dependency changes detected|inconsistent dependency lock file|lock file", Reason.LOCK_FILE_MISMATCH),
    (r"checksums|does not match any of the checksums", Reason.LOCK_FILE_MISMATCH),
    (
        r"failed to query available provider packages|could not retrieve the list of available",
        Reason.PROVIDER_UNAVAILABLE,
    ),
    (r"failed to install provider|no available releases match|provider registry", Reason.PROVIDER_UNAVAILABLE),
    (r"unsupported terraform core version", Reason.ENGINE_VERSION_MISMATCH),
    (r"no value for required variable|invalid value for (?:input )?variable", Reason.CONFIGURATION_INVALID),
    (r"state snapshot was created by|unsupported state file format", Reason.STATE_TOO_NEW),
)
_REMEDIES = {
    Reason.LOCK_FILE_MISMATCH: "run terraform providers lock and commit .terraform.lock.hcl, "
    "or set spec.engine.lockFile: Generate",
    Reason.PROVIDER_UNAVAILABLE: "check the provider's source and version, "
    "or name a mirror with SETPOINT_TERRAFORM_MIRROR",
}
_LOCKED = re.compile(r"error acquiring the state lock", re.IGNORECASE)
_AT_CODE = re.compile(r"\.tf(?:\.json)?:\d+$")
_MAX_TEXT = 900


def explain(ended: Ended, secrets: frozenset[str]) -> tuple[str, ...]:
    """The errors of a command as text, without secrets; what it printed where it gave no diagnostics."""
    found = [one for one in diagnostics(read_stream(ended.stdout)) if one.severity == "error"]
    texts = [str(one) for one in found] or [_plain(ended)]
    return tuple(scrub(text, secrets)[:_MAX_TEXT] for text in texts)


def failure(step: str, ended: Ended, secrets: frozenset[str], fallback: Reason) -> ReasonedError:
    """The error to raise for a command that failed. `step` is what was tried, as in `terraform plan`."""
    if ended.stopped == "timeout":
        return TransientError(Reason.TIMED_OUT, f"{step} took longer than its timeout and was stopped")
    found = [one for one in diagnostics(read_stream(ended.stdout)) if one.severity == "error"]
    text = "; ".join(explain(ended, secrets))[:_MAX_TEXT]
    whole = f"{text} {_plain(ended)}"
    if _LOCKED.search(whole):
        return WaitingError(Reason.STATE_LOCKED, f"{step}: the state is locked by another run")
    for pattern, reason in _STALLED:
        if re.search(pattern, whole, re.IGNORECASE):
            remedy = _REMEDIES.get(reason)
            return StalledError(reason, f"{step}: {text}" + (f"; {remedy}" if remedy else ""))
    if _is_configuration(found) or fallback is Reason.INIT_FAILED:
        reason = Reason.CONFIGURATION_INVALID if _is_configuration(found) else fallback
        return StalledError(reason, f"{step}: {text}")
    return TransientError(fallback, f"{step}: {text}")


def _is_configuration(found: list[Diagnostic]) -> bool:
    """An error that points at code and at no resource is the code's: no later try will help."""
    return bool(found) and all(one.at and _AT_CODE.search(one.at) and not one.address for one in found)


def _plain(ended: Ended) -> str:
    """Terraform's boxed text on one line."""
    text = (ended.stderr or ended.stdout).decode("utf-8", "replace")
    lines = (line.strip("╷│╵ \t") for line in text.splitlines())
    return " ".join(line for line in lines if line)[: 4 * _MAX_TEXT] or f"exit code {ended.exit_code}"
