"""Looking at the store while a manager runs on it: what is said, and when, and what ends the manager."""

import asyncio
import logging

import pytest
from tests.fakes.store import MemoryAuditLog

from setpoint.domain.errors import StoreError, StoreMovedError
from setpoint.wiring import standing
from setpoint.wiring.standing import StoreWatch


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "STORE_SECONDS", 0.001)


class Looks(MemoryAuditLog):
    """A trail that says one thing after another, and then ends the watch."""

    def __init__(self, *said: str | Exception) -> None:
        super().__init__()
        self.said = list(said)
        self.ended = asyncio.Event()

    async def require_standing(self) -> None:
        said = self.said.pop(0)
        if not self.said:
            self.ended.set()
        if isinstance(said, Exception):
            raise said
        self.set_back = said
        await super().require_standing()


@pytest.mark.parametrize(
    ("said", "logged", "woken"),
    [
        pytest.param(["", ""], [], 0, id="it stands"),
        pytest.param(["older", "older", "older"], ["older"], 0, id="said once"),
        pytest.param(["older", "", ""], ["older", "the store is the one that was accepted"], 1, id="accepted"),
        pytest.param(["", StoreError("full"), ""], ["full", "the store is the one"], 1, id="it fails for a while"),
        pytest.param(["a", "b"], ["a", "b"], 0, id="another thing"),
    ],
)
async def test_what_changes_is_said_once(
    said: list[str | Exception], logged: list[str], woken: int, caplog: pytest.LogCaptureFixture
) -> None:
    trail, calls = Looks(*said), []

    async def wake() -> None:
        calls.append(None)

    with caplog.at_level(logging.WARNING):
        await StoreWatch(trail, on_standing=wake).run(trail.ended)
    assert len(calls) == woken
    assert [record.message[: len(text)] for record, text in zip(caplog.records, logged, strict=True)] == logged


async def test_one_that_is_quiet_keeps_it_for_the_report(caplog: pytest.LogCaptureFixture) -> None:
    trail = Looks("older")
    watch = StoreWatch(trail, quiet=True)
    await watch.run(trail.ended)
    assert (watch.problem, caplog.records) == ("older", [])


async def test_files_that_were_taken_away_end_it() -> None:
    trail = Looks("", StoreMovedError("gone"), "")
    with pytest.raises(StoreMovedError, match="gone"):
        await StoreWatch(trail).run(trail.ended)
