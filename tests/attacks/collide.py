"""Owns the search for two bundles whose Changes have one name. The attacker is given all: even the home's key.

Usage: the home has seen both bundles, each with its nonce file as "00000000", so that their Changes show the parts of
the subject. The search then computes the subjects of other nonces as Setpoint does.
"""

import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from setpoint.adapters.store.sealing import Sealer, load_key
from setpoint.api.v1alpha1.change import ChangeSpec
from setpoint.api.v1alpha1.environment import EnvironmentSpec
from setpoint.domain.digests import canonical
from setpoint.domain.gates import gates_digest
from setpoint.domain.subject import Subject, rules_digest

NONCE = "zz.txt"
ZERO = "00000000"
_MAX_TRIES = 1 << 16


def archive(files: Mapping[str, str], nonce: str) -> bytes:
    """The bundle of these files, byte by byte as Setpoint packs it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in sorted({**files, NONCE: nonce}.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def bundle_digest(files: Mapping[str, str], nonce: str) -> str:
    return "sha256:" + hashlib.sha256(archive(files, nonce)).hexdigest()


@dataclasses.dataclass(frozen=True)
class Seen:
    """The view that a home gives of a bundle that it has planned: its Change, the Snapshot before, the Environment."""

    files: Mapping[str, str]
    change: dict[str, Any]
    snapshot: dict[str, Any]
    environment: dict[str, Any]
    key: Path

    def subjects(self) -> Callable[[str], str]:
        """The subject by nonce; refuses to start where it can't compute the one that is known."""
        spec = ChangeSpec.model_validate(self.change["spec"])
        declared = EnvironmentSpec.model_validate(self.environment["spec"])
        metadata = self.environment["metadata"]
        parts: dict[str, Any] = {
            "target": f"environment/{metadata['namespace']}/{metadata['name']}",
            "cause": spec.cause,
            "content": spec.digest,
            "summary": spec.summary,
            "orphans": spec.orphans,
            "snapshot": self.snapshot["spec"]["digest"],
            "reset_plan": spec.reset_plan.digest,
            "policies": {},
            "gates": gates_digest(()),
            "rules": rules_digest(declared.protection, declared.approvals, spec.approvals_required),
            "attempt": self.environment["status"].get("attempts", 0),
        }

        variables = Sealer(load_key(self.key, guards="all")).digest(canonical(declared.variables))
        named = {"stateVersion": self.change["spec"]["environment"]["stateVersion"], "variables": variables}

        def subject(nonce: str) -> str:
            return Subject(**parts, named={**named, "bundle": bundle_digest(self.files, nonce)}).digest

        assert subject(ZERO) == spec.subject, "the attack does not know the subject's form any more: mend it"
        return subject


def collide(harmless: Seen, hostile: Seen, digits: int) -> tuple[str, str]:
    """Nonces of both with which their subjects begin alike."""
    one, other = harmless.subjects(), hostile.subjects()
    known = {one(nonce)[7 : 7 + digits]: nonce for nonce in map("{:08x}".format, range(1, 1 << (2 * digits + 1)))}
    for nonce in map("{:08x}".format, range(1, _MAX_TRIES)):
        if (met := known.get(other(nonce)[7 : 7 + digits])) is not None:
            return met, nonce
    raise AssertionError("no collision was found")
