"""Owns FakeTerraform: the ports Terraform and TerraformSession without a binary; a test says what happens."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.fakes.mortality import InlineExecutor

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError
from setpoint.ports import ClusterClient, Notice
from setpoint.targets.environment.driver import EnvironmentDriver
from setpoint.targets.environment.errors import DataUnreadableError
from setpoint.targets.environment.ports import AbandonedRun, ApplyRun, Bundle, EngineVersion, ErroredState, PlanRun

BUNDLE = Bundle("sha256:" + "b" * 64, "r1", "sha256:" + "a" * 64)
DONE = ApplyRun(True, False, (), ())


def driver_over(cluster: ClusterClient, stores: Any, terraform: "FakeTerraform", **options: Any) -> EnvironmentDriver:
    """The Environment's driver over these; `options` replace what it is made of."""
    parts = {
        "cluster": cluster,
        "terraform": terraform,
        "resolver": SimpleNamespace(),
        "states": stores.states,
        "locks": stores.locks,
        "blobs": stores.blobs,
        "prober": None,
        "origin_of": lambda _: Path(),
        "threads": InlineExecutor(),
    }
    return EnvironmentDriver(**{**parts, **options})


@dataclasses.dataclass
class FakeTerraform:
    """One target's Terraform. `document` is what plans show; `errored` is the errored.tfstate in the work folder.

    `unread` are data sources that are gone, `forbidding` the bundles with prevent_destroy in them, `failing` those that
    can't be planned. `made` are the blobs of the bundles that were made here, by their digests.
    """

    document: Mapping[str, Any] | None = None
    errored: bytes | None = None
    applied: ApplyRun = DONE
    unsettled: ReasonedError | None = None
    abandoned: tuple[AbandonedRun, ...] = ()
    aside: dict[str, bytes] = dataclasses.field(default_factory=dict)
    forgotten: list[str] = dataclasses.field(default_factory=list)
    plans: int = 0
    unread: tuple[str, ...] = ()
    forbidding: frozenset[str] = frozenset()
    failing: Mapping[str, ReasonedError] = dataclasses.field(default_factory=dict)
    run: str = "run-1"
    made: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

    # --- ports.Terraform --------------------------------------------------------------------------------------------

    async def engine(self, inputs: Any) -> EngineVersion:
        return EngineVersion("terraform", "1.11.4")

    async def bundle(self, target: str, tree: Any, inputs: Any) -> Bundle:
        return BUNDLE

    async def bundles(self) -> Mapping[str, str]:
        return self.made

    @contextlib.asynccontextmanager
    async def session(self, target: str) -> AsyncIterator["FakeSession"]:
        yield FakeSession(self)

    async def settle(self) -> tuple[AbandonedRun, ...]:
        return self.abandoned

    def set_errored_state_aside(self, run: str, target: str) -> Path:
        assert self.errored is not None
        self.aside[run], self.errored = self.errored, None
        return Path("errored") / f"{run}.tfstate"

    def forget(self, run: str, target: str) -> None:
        self.errored = None
        self.forgotten.append(run)


class FakeSession:
    """One pass."""

    def __init__(self, terraform: FakeTerraform) -> None:
        self._terraform = terraform

    def require_settled(self) -> None:
        if self._terraform.unsettled:
            raise self._terraform.unsettled

    async def plan(
        self,
        bundle: Bundle,
        inputs: Any,
        *,
        destroy: bool = False,
        full: bool = False,
        refresh: bool = True,
        run: str | None = None,
        progress: Any = None,
    ) -> PlanRun:
        terraform = self._terraform
        if terraform.errored is not None:
            raise TransientError("StoreFailed", "there is a state that nobody saved")
        terraform.plans += 1
        if bundle.digest in terraform.failing:
            raise terraform.failing[bundle.digest]
        if refresh and terraform.unread:
            raise DataUnreadableError(f"request {terraform.plans} failed", terraform.unread)
        if destroy and bundle.digest in terraform.forbidding:
            raise StalledError(Reason.DESTROY_PREVENTED, "terraform_data.r1 must not be destroyed.")
        return PlanRun(
            run or terraform.run, terraform.document is None, terraform.document, bundle.digest, Path("tfplan")
        )

    async def apply(self, plan: PlanRun, bundle: Bundle, inputs: Any, progress: Any) -> ApplyRun:
        self._terraform.errored = self._terraform.applied.errored_state
        return self._terraform.applied

    def errored_state(self) -> ErroredState | None:
        errored = self._terraform.errored
        return None if errored is None else ErroredState(self._terraform.run, errored)

    def outcome_recorded(self) -> None:
        """Leaves no traces anyway."""

    def take_notices(self) -> tuple[Notice, ...]:
        taken, self._terraform.notices = self._terraform.notices, ()
        return taken

    def errored_state_saved(self) -> None:
        self._terraform.errored = None

    def set_errored_state_aside(self, run: str) -> Path:
        return self._terraform.set_errored_state_aside(run, "")
