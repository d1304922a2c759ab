"""Owns what a failed command means: which reason, whether a person must act, and the scrubbed text."""

import re
from collections.abc import Collection, Sequence

from setpoint.adapters.terraform.process import Ended
from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError, WaitingError
from setpoint.domain.plan_values import MIN_SECRET, scrub
from setpoint.domain.terraform_stream import Diagnostic, diagnostics, read_errors, read_stream

VARIABLES = "variables.tfvars.json"
"""The name of a run's variable file: in messages it stands for the spec's variables."""

_STALLED: tuple[tuple[str, Reason], ...] = (
    (r"match(es)? any of the checksums|^inconsistent dependency lock file", Reason.LOCK_FILE_MISMATCH),
    (r"locked provider .* does not match configured version constraint", Reason.LOCK_FILE_MISMATCH),
    (r"^failed to query available provider packages|^failed to install provider", Reason.PROVIDER_UNAVAILABLE),
    (r"^(incompatible|invalid) provider (version|registry host)", Reason.PROVIDER_UNAVAILABLE),
    (r"^unsupported terraform core version|^unsupported opentofu core version", Reason.ENGINE_VERSION_MISMATCH),
    (r"state snapshot was created by|^unsupported state file format", Reason.STATE_TOO_NEW),
)
_UNINITIALISED = re.compile(
    r"^(required plugins are not installed|module not installed|backend initialization required|initialization required)",
    re.IGNORECASE,
)
_REMEDIES = {
    Reason.LOCK_FILE_MISMATCH: "run terraform providers lock and commit .terraform.lock.hcl, "
    "or set spec.engine.lockFile: Generate",
    Reason.PROVIDER_UNAVAILABLE: "check the provider's source and version, "
    "or name a mirror with SETPOINT_TERRAFORM_MIRROR",
}
_LOCKED = re.compile(r"^error acquiring the state lock", re.IGNORECASE)
_AT_CODE = re.compile(r"\.(?:tf|tofu)(?:\.json)?:\d+$")
_AT_VARIABLES = re.compile(rf"\S*/{re.escape(VARIABLES)}(?::\d+)?")
_PREAMBLE = "encountered problems during initiali"
_MAX_TEXT = 900


def known_secrets(values: Collection[str]) -> tuple[str, ...]:
    """The forms in which secrets show up in messages, the longest first: whole, on one line, line by line (rule 28)."""
    forms = {form.strip() for value in values for form in (value, " ".join(value.split()), *value.splitlines())}
    return tuple(sorted((form for form in forms if len(form) >= MIN_SECRET), key=lambda form: (-len(form), form)))


def explain(ended: Ended, secrets: frozenset[str]) -> tuple[str, ...]:
    """The errors of a command as text, without secrets; what it printed where it gave no diagnostics."""
    known = _forms(secrets)
    texts = [str(one) for one in _errors(ended, known)] or [_plain(ended)]
    return tuple(scrub(text, known)[:_MAX_TEXT] for text in texts)


def is_uninitialised(ended: Ended) -> bool:
    """Whether what init had installed is gone."""
    return any(_UNINITIALISED.search(str(one)) for one in _errors(ended, ()))


def _errors(ended: Ended, known: tuple[str, ...]) -> list[Diagnostic]:
    """Scrubbed while they are whole: half of a secret that was cut is not found any more."""
    messages = (scrub_values(message, known) for message in read_stream(ended.stdout))
    return [one for one in diagnostics(messages) if one.severity == "error"]


def _forms(secrets: frozenset[str]) -> tuple[str, ...]:
    """Secrets as the texts show them, the longest first: on one line, line by line, or quoted as HCL and JSON quote."""
    lines = {line.strip() for secret in secrets for line in secret.splitlines()}
    on_one_line = {" ".join(secret.split()) for secret in secrets}
    quoted = {json.dumps(secret, ensure_ascii=False)[1:-1] for secret in secrets}
    forms = {*secrets, *lines, *on_one_line, *quoted}
    return tuple(sorted((one for one in forms if len(one) >= MIN_SECRET), key=lambda one: (-len(one), one)))


def failure(step: str, ended: Ended, secrets: Sequence[str], fallback: Reason) -> ReasonedError:
    """The error to raise for a command that failed. `step` is what was tried, as in `terraform plan`."""
    if ended.stopped == "timeout":
        return TransientError(Reason.TIMED_OUT, f"{step} took longer than its timeout and was stopped")
    found = _errors(ended)
    text = "; ".join(explain(ended, secrets))[:_MAX_TEXT]
    # What has an address is a provider's word: it may say anything.
    own = [f"{one.summary}: {one.detail}" for one in found if not one.address]
    if any(_LOCKED.search(said) for said in own):
        return WaitingError(Reason.STATE_LOCKED, f"{step}: the state is locked by another run")
    for pattern, reason in _STALLED:
        if any(re.search(pattern, said, re.IGNORECASE) for said in own):
            remedy = _REMEDIES.get(reason)
            return StalledError(reason, f"{step}: {text}" + (f"; {remedy}" if remedy else ""))
    if _is_configuration(found):
        return StalledError(Reason.CONFIGURATION_INVALID, f"{step}: {text}")
    error = StalledError if fallback is Reason.INIT_FAILED and found else TransientError
    return error(fallback, f"{step}: {text}")


def lacks_init(ended: Ended) -> bool:
    """Whether the command failed because something that init brings is gone."""
    return any(_UNINITIALISED.search(one.summary) for one in _errors(ended) if not one.address)


def _errors(ended: Ended) -> list[Diagnostic]:
    streamed = [one for one in diagnostics(read_stream(ended.stdout)) if one.severity == "error"]
    if streamed:
        return streamed
    plain = read_errors((ended.stderr or ended.stdout).decode("utf-8", "replace"))
    return [one for one in plain if _PREAMBLE not in one.summary] or list(plain)


def _is_configuration(found: Sequence[Diagnostic]) -> bool:
    """An error that points at code or at our variables and at no resource: no later try will help."""
    return bool(found) and all(
        not one.address and (_AT_CODE.search(one.at) or _AT_VARIABLES.fullmatch(one.at)) for one in found
    )


def _show(one: Diagnostic, secrets: Sequence[str]) -> str:
    return _AT_VARIABLES.sub("spec.variables", scrub(str(one), secrets))[:_MAX_TEXT]


def _silence(ended: Ended, secrets: Sequence[str]) -> str:
    """For a command that named no error: how it ended, and the last of what it printed besides its stream."""
    said = " ".join(ended.stderr.decode("utf-8", "replace").split())
    how = f"ended by signal {-ended.exit_code}" if ended.exit_code < 0 else f"ended with exit code {ended.exit_code}"
    return f"{how}: {scrub(said, secrets)[-_MAX_TEXT:]}" if said else how
