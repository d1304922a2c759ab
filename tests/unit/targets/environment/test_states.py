"""The handling of a state that Terraform could not save."""

import json
from pathlib import Path

import pytest
from tests.fakes.store import memory_stores, state_file

from setpoint.domain.errors import StalledError, StoreError
from setpoint.targets.environment.ports import EngineVersion, ErroredState
from setpoint.targets.environment.state_ports import StateStore
from setpoint.targets.environment.states import refuse_newer_state, save_errored_state

KEY = "environment/default/web"
PLACE = Path("home/errored/web/run-9.1.tfstate")


async def save(states: StateStore, data: bytes, base: int | None = 1) -> tuple[str, list[Path]]:
    """The message on the state, and the place where it was put."""
    moved: list[Path] = []
    errored = ErroredState("run-9", data, base)
    message = await save_errored_state(states, KEY, errored, set_aside=lambda: moved.append(PLACE) or PLACE)
    return message, moved


@pytest.mark.parametrize(
    ("head", "errored", "serial"),
    [
        pytest.param(state_file(3), state_file(5), 5, id="follows"),
        pytest.param(state_file(3), state_file(3), 3, id="the same"),
        pytest.param(state_file(3), state_file(0, lineage=""), 4, id="before its first save"),
        pytest.param(None, state_file(0, lineage=""), 1, id="first of all"),
    ],
)
async def test_one_that_follows_becomes_a_version(head: bytes | None, errored: bytes, serial: int) -> None:
    states = memory_stores().states
    if head is not None:
        await states.append(KEY, head, run="run-1")
    assert await save(states, errored) == ("", [])
    assert (await states.head(KEY)).serial == serial


@pytest.mark.parametrize(
    ("head", "errored", "remedy"),
    [
        pytest.param(state_file(3), state_file(9, lineage="other"), "import blocks", id="another lineage"),
        pytest.param(state_file(3), state_file(2), "import blocks", id="older"),
        pytest.param(state_file(3), state_file(3, resources=2), "import blocks", id="same serial, other content"),
        pytest.param(state_file(3), state_file(4)[:-20], "import blocks", id="torn"),
        pytest.param(None, b'{"version": 4', "setpoint import-state", id="torn, and there is no other"),
    ],
)
async def test_one_that_is_refused_is_set_aside_and_said_so(
    head: bytes | None, errored: bytes, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    states = memory_stores().states
    if head is not None:
        await states.append(KEY, head, run="run-1")
    before = await states.head(KEY)
    message, moved = await save(states, errored)
    assert moved == [PLACE]
    assert await states.head(KEY) == before
    for part in ("run-9", str(PLACE), "terraform state list", remedy):
        assert part in message
    assert message in caplog.text


async def test_one_that_another_leader_has_outrun_is_set_aside_whatever_its_serial() -> None:
    """Killed in an apply, its work folder out of reach: another leads and applies; then the first leads again."""
    states = memory_stores().states
    await states.append(KEY, state_file(1), run="run-1")
    await states.append(KEY, state_file(2), run="run-of-another")
    message, moved = await save(states, state_file(5), base=1)
    assert moved == [PLACE]
    assert (await states.head(KEY)).serial == 2
    assert "run run-of-another has written version 2 since" in message


async def test_one_whose_own_run_saved_a_part_becomes_a_version() -> None:
    states = memory_stores().states
    await states.append(KEY, state_file(1), run="run-1")
    await states.append(KEY, state_file(2), run="run-9")
    assert await save(states, state_file(5), base=1) == ("", [])
    assert (await states.head(KEY)).serial == 5


async def test_one_of_an_earlier_setpoint_is_judged_by_its_serial() -> None:
    states = memory_stores().states
    await states.append(KEY, state_file(1), run="run-1")
    await states.append(KEY, state_file(2), run="run-2")
    assert await save(states, state_file(5), base=None) == ("", [])


async def test_one_that_can_not_be_set_aside_is_not_taken_for_settled() -> None:
    def fail() -> Path:
        raise StoreError("no space left")

    with pytest.raises(StoreError):
        await save_errored_state(memory_stores().states, KEY, ErroredState("run-9", b"torn"), set_aside=fail)


@pytest.mark.parametrize(("version", "refused"), [("1.11.3", True), ("1.11.4", False), ("1.12.0", False)])
async def test_the_state_of_a_newer_terraform_is_refused(version: str, refused: bool) -> None:
    head = await memory_stores().states.append(KEY, state_file(1), run="run-1")
    assert json.loads(state_file(1))["terraform_version"] == "1.11.4"
    try:
        refuse_newer_state(EngineVersion("terraform", version), head)
    except StalledError:
        assert refused
    else:
        assert not refused
