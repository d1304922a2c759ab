"""Owns what a Snapshot says of an Environment: its state, outputs and configuration, by digest. Keeps nothing."""

import json
from collections.abc import Mapping
from typing import Any

from setpoint.domain.digests import canonical
from setpoint.domain.model import Captured
from setpoint.ports import BlobStore
from setpoint.targets.environment.state_ports import StateStore


async def capture_state(
    states: StateStore,
    blobs: BlobStore,
    key: str,
    recorded: Mapping[str, Any],
    *,
    engine: str,
    secret_variables: Mapping[str, str],
) -> Captured:
    """The head state under what is recorded of a configuration; outputs are sealed. The same state gives the same."""
    head = await states.head(key)
    return Captured(
        {
            "stateVersion": head.version if head else 0,
            "stateDigest": f"sha256:{head.sha256}" if head else None,
            "bundle": recorded.get("bundle"),
            "archive": recorded.get("archive"),
            "variables": recorded.get("variables"),
            "secretVariables": {name: blobs.digest(text.encode()) for name, text in sorted(secret_variables.items())},
            "outputs": await _seal_outputs(states, blobs, key) if head else None,
            "engine": engine,
            "resources": head.resources if head else 0,
        }
    )


async def _seal_outputs(states: StateStore, blobs: BlobStore, key: str) -> str | None:
    outputs = json.loads(await states.read(key)).get("outputs") or {}
    return await blobs.put(canonical(outputs)) if outputs else None
