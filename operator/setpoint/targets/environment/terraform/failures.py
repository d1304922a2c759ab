"""Owns what a failed command means: which reason, whether a person must act, and the scrubbed text."""

import dataclasses
import re
from collections.abc import Sequence

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError, WaitingError
from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.domain.transport_errors import Fault, fault_in
from setpoint.targets.environment.errors import DataUnreadableError
from setpoint.targets.environment.plan.stream import (
    Diagnostic,
    addresses,
    diagnostics,
    read_errors,
    read_stream,
    waits_in,
)
from setpoint.targets.environment.terraform.process import Ended

_STALLED: tuple[tuple[str, Reason], ...] = (
    (r"match(es)? any of the checksums|^inconsistent dependency lock file", Reason.LOCK_FILE_MISMATCH),
    (r"locked provider .* does not match configured version constraint", Reason.LOCK_FILE_MISMATCH),
    (r"^failed to (query available|resolve|install) provider", Reason.PROVIDER_UNAVAILABLE),
    (r"^(incompatible|invalid) provider (version|registry host)", Reason.PROVIDER_UNAVAILABLE),
    (r"^unsupported (terraform|opentofu) core version", Reason.ENGINE_VERSION_MISMATCH),
    (r"^instance cannot be destroyed", Reason.DESTROY_PREVENTED),
    (r"state snapshot was created by|^unsupported state file format", Reason.STATE_TOO_NEW),
)
_UNINITIALISED = re.compile(
    r"^(required plugins are not installed|module not installed|(backend )?initialization required)", re.IGNORECASE
)
LOCK_REMEDY = "run terraform providers lock and commit .terraform.lock.hcl, or set spec.engine.lockFile: Generate"
_REMEDIES = {
    Reason.LOCK_FILE_MISMATCH: LOCK_REMEDY,
    Reason.PROVIDER_UNAVAILABLE: "check the provider's source and version, "
    "or name a mirror with SETPOINT_TERRAFORM_MIRROR",
    Reason.DESTROY_PREVENTED: "take prevent_destroy out of the source: Setpoint plans with the source as it is then",
}
_LOGIN_REMEDY = "spec.source.git.credentials names Secrets for hosts of modules (docs/how-to/use-a-git-source.md)"
_NO_VALUE = re.compile(r'^No value for required variable: .*input variable "([^"]+)" is not set')
_DATA = re.compile(r"^(?:module\..*\.)?data\.")
_LOCKED = re.compile(r"^error acquiring the state lock", re.IGNORECASE)
_AT_CODE = re.compile(r"\.(?:tf|tofu)(?:\.json)?:\d+$")
_AT_VARIABLES = re.compile(r"\S*/variables\.tfvars\.json(?::\d+)?")
"""Our file of variables: for people these are the spec's, and its path differs from run to run."""
_ELSEWHERE = (
    (
        re.compile(r"^unreadable module directory:.*no such file", re.IGNORECASE | re.DOTALL),
        "the repository or home that the source is in has no such folder",
    ),
    (
        re.compile(
            r"(no file exists at|no such file or directory).*\.\./|\.\./.*no such file", re.IGNORECASE | re.DOTALL
        ),
        "of what is beside a root module, only what its code names comes along (docs/how-to/use-a-git-source.md)",
    ),
)
_PREAMBLE = "encountered problems during initiali"
_MAX_TEXT = 900
_MAX_WAITS = 3
_MAX_PART = 2000


def explain(ended: Ended, secrets: Scrubber) -> tuple[str, ...]:
    """The errors of a command as text, without secrets; how it ended where it named none."""
    found = tuple(_AT_VARIABLES.sub("spec.variables", str(one))[:_MAX_TEXT] for one in _errors(ended, secrets))
    return found or (_silence(ended, secrets),)


def failure(step: str, ended: Ended, secrets: Scrubber, fallback: Reason) -> ReasonedError:
    """The error to raise for a command that failed. `step` is what was tried, as in `terraform plan`."""
    if ended.stopped == "timeout":
        return TransientError(
            Reason.TIMED_OUT, f"{step} took longer than its timeout and was stopped{_waited_for(ended, secrets)}"
        )
    found = _errors(ended, secrets)
    text = "; ".join(explain(ended, secrets))[:_MAX_TEXT]
    # A diagnostic with an address is a provider's word: it may say anything.
    own = [f"{one.summary}: {one.detail}" for one in found if not one.address]
    if any(_LOCKED.search(said) for said in own):
        return WaitingError(Reason.STATE_LOCKED, f"{step}: the state is locked by another run")
    if fallback is Reason.INIT_FAILED and (transfer := _transfer(found)):
        reason, why = transfer
        return TransientError(reason, f"{step}: {text}{why}")
    for pattern, reason in _STALLED:
        if any(re.search(pattern, said, re.IGNORECASE) for said in own):
            remedy = _REMEDIES.get(reason)
            return StalledError(reason, f"{step}: {text}" + (f"; {remedy}" if remedy else ""))
    if found and all(_DATA.search(one.address) for one in found):
        addresses = tuple(sorted({one.address for one in found}))
        return DataUnreadableError(f"{step}: {text}", addresses)
    text = next((f"{text}; {why}" for words, why in _ELSEWHERE if any(words.search(said) for said in own)), text)
    wrong = _is_configuration(found)
    stalls = wrong or (fallback is Reason.INIT_FAILED and bool(found))
    error = StalledError if stalls else TransientError
    return error(Reason.CONFIGURATION_INVALID if wrong else fallback, f"{step}: {text}")


def _waited_for(ended: Ended, secrets: Scrubber) -> str:
    """Names what a provider never answered to; the text says nothing of how long."""
    waits = [secrets.address(one.address) for one in waits_in(read_stream(ended.stdout), now=0.0)]
    if not waits:
        return ""
    more = f" and {len(waits) - _MAX_WAITS} more" if len(waits) > _MAX_WAITS else ""
    return f"; no answer came for {', '.join(sorted(waits)[:_MAX_WAITS])}{more}"


def _transfer(found: Sequence[Diagnostic]) -> tuple[Reason, str] | None:
    """The reason, and what to add, where a module or provider could not be had through no fault of the code."""
    faults = [(fault_in(f"{one.summary}: {one.detail}"), "module" in one.summary.lower()) for one in found]
    for fault, is_module in faults:
        if fault is Fault.LOGIN:
            return Reason.SOURCE_UNAUTHORIZED, f"; {_LOGIN_REMEDY}"
        if fault in {Fault.OUTAGE, Fault.CERTIFICATE}:
            why = "; its certificate is none that is trusted here" if fault is Fault.CERTIFICATE else ""
            return Reason.SOURCE_UNAVAILABLE if is_module else Reason.PROVIDER_UNAVAILABLE, why
    return None


def missing_variables(ended: Ended) -> tuple[str, ...]:
    """The variables that were given no value, where nothing else was wrong."""
    found = _errors(ended, NO_SECRETS)
    names = [_NO_VALUE.search(f"{one.summary}: {one.detail}") for one in found if not one.address]
    return tuple(sorted({name[1] for name in names if name})) if all([*names, len(names) == len(found)]) else ()


def lock_mismatch(unpinned: Sequence[str]) -> str:
    """The message where providers are needed that the lock file does not name."""
    return f".terraform.lock.hcl does not name {', '.join(unpinned)}; {LOCK_REMEDY}"


def is_uninitialised(ended: Ended) -> bool:
    """True where what init had installed is gone."""
    return any(_UNINITIALISED.search(one.summary) for one in _errors(ended, NO_SECRETS) if not one.address)


def _errors(ended: Ended, secrets: Scrubber) -> list[Diagnostic]:
    """Scrubbed while they are whole: half of a secret that was cut is not found any more."""
    messages = tuple(read_stream(ended.stdout))
    secrets = secrets.sparing(addresses(messages))
    streamed = [one for one in diagnostics(messages) if one.severity == "error"]
    if streamed:
        return [_scrubbed(one, secrets) for one in streamed]
    plain = read_errors((ended.stderr or ended.stdout).decode("utf-8", "replace"))
    told = [one for one in plain if _PREAMBLE not in one.summary] or list(plain)
    return [_scrubbed(one, secrets) for one in told]


def _scrubbed(one: Diagnostic, secrets: Scrubber) -> Diagnostic:
    shown = {name: secrets.scrub(text)[:_MAX_PART] for name, text in dataclasses.asdict(one).items()}
    return Diagnostic(**{**shown, "address": secrets.address(one.address)})


def _is_configuration(found: Sequence[Diagnostic]) -> bool:
    """An error that points at code or at our variables and at no resource: no later try will help."""
    return bool(found) and all(
        not one.address and (_AT_CODE.search(one.at) or _AT_VARIABLES.fullmatch(one.at)) for one in found
    )


def _silence(ended: Ended, secrets: Scrubber) -> str:
    """For a command that named no error: how it ended, and the last of what it printed besides its stream."""
    said = secrets.scrub(" ".join(ended.stderr.decode("utf-8", "replace").split()))
    how = f"ended by signal {-ended.exit_code}" if ended.exit_code < 0 else f"ended with exit code {ended.exit_code}"
    return f"{how}: {said[-_MAX_TEXT:]}" if said else how
