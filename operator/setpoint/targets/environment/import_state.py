"""Owns `setpoint import-state`: the adoption of a Terraform state that was kept elsewhere."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import click

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain import audit_actions
from setpoint.domain.errors import ConflictError, InvalidError
from setpoint.ports import ObservationStore
from setpoint.ports.commands import Answer, Verb
from setpoint.targets.environment.state_ports import StateLocks, StateStore

MAX_STATE_BYTES = 512 * 1024 * 1024
_WORKSPACE = """\
note: terraform.workspace is `default` in every run here. Where the code reads it, put a variable in its place, with
the name of the workspace that this state comes from; else what is named by it would be made anew"""


class StateBackends(Protocol):
    """The places of a home where states are kept, and what is remembered of them."""

    @property
    def states(self) -> StateStore:
        """The states."""
        ...

    @property
    def locks(self) -> StateLocks:
        """The locks that runs hold on them."""
        ...

    @property
    def observations(self) -> ObservationStore:
        """The last observations of what is fresh."""
        ...


def read_state(file: Path) -> Mapping[str, bytes]:
    """Reads a state; `-` is standard input. Raises InvalidError for what is none, OSError."""
    with click.open_file(str(file), "rb") as stream:
        data: bytes = stream.read(MAX_STATE_BYTES + 1)
    if len(data) > MAX_STATE_BYTES:
        msg = f"{file}: more than {MAX_STATE_BYTES // 1024**2} MiB is no Terraform state that can be adopted"
        raise InvalidError(msg)
    check_state(data, str(file))
    return {"data": data}


def check_state(data: bytes, name: str) -> None:
    """Raises InvalidError for what is no Terraform state of version 4; its values are not looked at."""
    try:
        state = json.loads(data)
    except (ValueError, RecursionError):
        # The message of the parser would quote the file, which is full of secrets.
        msg = f"{name}: not JSON; give what 'terraform state pull' prints"
        raise InvalidError(msg) from None
    if not isinstance(state, dict) or state.get("version") != 4 or not {"serial", "lineage"} <= state.keys():
        msg = f"{name}: no Terraform state of format version 4; give what 'terraform state pull' prints"
        raise InvalidError(msg)


async def import_state(backends: StateBackends, target: ObjectRef, user: str, *, data: bytes) -> Answer:
    """Adopts a state as version 1. Raises ConflictError where a state is managed already."""
    if await backends.states.head(target.key) is not None:
        msg = f"{target} has a managed state already; a reset brings an earlier one back"
        raise ConflictError(msg)
    if any(lock.target == target.key for lock in await backends.locks.held()):
        msg = f"the state of {target} is locked by a run; try again when it is over"
        raise ConflictError(msg)
    entry = audit_actions.state_imported(target, user)
    version = await backends.states.append(target.key, data, run="import", audit=(entry,))
    # Earlier observations were of another state.
    await backends.observations.forget(target.key)
    value = {
        "version": version.version,
        "serial": version.serial,
        "lineage": version.lineage,
        "terraformVersion": version.terraform_version,
        "resources": version.resources,
    }
    text = (
        f"{target} has state version {version.version} now: serial {version.serial}, "
        f"{version.resources} resources, lineage {version.lineage}"
    )
    return Answer(value, text, _WORKSPACE)


def _refuse(target: ObjectRef) -> tuple[str, str]:
    instead = "each adoption is then an action of a Change that is gated and approved"
    return (
        "states are in the operator's store, sealed with its key",
        f"write 'import' blocks into the source of {target}: {instead}",
    )


VERB = Verb(
    name="import-state",
    kind=Environment.__name__,
    help="""Adopt an existing Terraform state.

    FILE is what `terraform state pull` prints; `-` reads standard input. It becomes version 1 of the environment's
    state, sealed. An environment that has a state takes none of another lineage and none with a lower serial.
    """,
    examples=("terraform state pull > old.tfstate", "setpoint import-state shop-prod old.tfstate"),
    params=lambda: (click.Argument(["file"], type=click.Path(path_type=Path, allow_dash=True), metavar="FILE"),),
    read=read_state,
    run=import_state,
    refuse=_refuse,
)
