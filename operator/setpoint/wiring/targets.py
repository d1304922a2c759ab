"""Owns the one list of what Setpoint drives. A new kind of target is a folder in setpoint.targets and an entry here.

Imports no target: each of their modules is imported when it is asked for, since `setpoint --help` reads the list.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

if TYPE_CHECKING:
    import contextlib

    from setpoint.adapters.source.resolver import SourceResolver
    from setpoint.api.target import Target
    from setpoint.ports import ClusterClient, Code, TargetDriver
    from setpoint.ports.commands import Check, Verb
    from setpoint.runtime.logging import SecretFilter
    from setpoint.runtime.metric_specs import MetricSpec
    from setpoint.runtime.metrics import Metrics
    from setpoint.settings import Settings
    from setpoint.wiring.backends import Backends


@dataclasses.dataclass(frozen=True, slots=True)
class TargetPackage:
    """A kind of target, by its modules.

    `opening` is the module of the wiring that has `open_target`. `package` has the modules `checks`, for `setpoint
    doctor`, and `metrics`, and one named like each of the `verbs`, which stand here with their summaries; `open_stores`
    of its `stores` opens what they work on. One whose goal is files has `code`, with a ports.Code.
    """

    package: str
    opening: str
    reads_code: bool = False
    verbs: Mapping[str, str] = dataclasses.field(default_factory=dict)


TARGETS = (
    TargetPackage(
        "setpoint.targets.environment",
        opening="setpoint.wiring.environments",
        reads_code=True,
        verbs={"import-state": "Adopt an existing Terraform state."},
    ),
)


class OpenTarget(Protocol):
    """A kind of target, as a manager has it open: once, whatever its drivers work over."""

    kind: ClassVar[type[Target]]
    inputs: ClassVar[frozenset[str]]
    """The driver's: the fields of a policy's input that this kind alone has."""

    def driver(self, cluster: ClusterClient, *, settles: bool = True, lingering: float = 0.0) -> TargetDriver:
        """A driver over a cluster.

        A preview's does not settle what an earlier apply left. `lingering` is for how many seconds the runs of another
        manager, on another machine, may outlive it.
        """
        ...

    def on_renew(self) -> None:
        """Hears that the manager still leads, where `backends.lead` says for how long that holds."""
        ...

    async def source_digest(self, target: Any) -> str | None:
        """The digest of a target's source on this machine, empty for another; None where it can't be read."""
        ...


async def open_targets(
    stack: contextlib.AsyncExitStack,
    backends: Backends,
    settings: Settings,
    *,
    metrics: Metrics,
    secrets: SecretFilter,
    sources: SourceResolver,
) -> dict[str, OpenTarget]:
    """Opens each kind of target; the stack closes them. Returns them by kind."""
    opened: dict[str, OpenTarget] = {}
    for each in TARGETS:
        opening = importlib.import_module(each.opening)
        target: OpenTarget = await opening.open_target(
            stack, backends, settings, metrics=metrics, secrets=secrets, sources=sources
        )
        opened[target.kind.__name__] = target
    return opened


def verbs() -> dict[str, str]:
    """The verbs that some kind of target has alone, with their summaries."""
    return dict(itertools.chain.from_iterable(each.verbs.items() for each in TARGETS))


def verb(name: str) -> Verb | None:
    """One of them; None where there is none of that name."""
    for each in TARGETS:
        if name in each.verbs:
            return cast("Verb", importlib.import_module(f"{each.package}.{name.replace('-', '_')}").VERB)
    return None


def open_stores(verb: Verb, backends: Backends) -> contextlib.AbstractContextManager[Any]:
    """Opens the stores of a home that a verb works on."""
    (package,) = (each.package for each in TARGETS if verb.name in each.verbs)
    opened: contextlib.AbstractContextManager[Any] = importlib.import_module(f"{package}.stores").open_stores(backends)
    return opened


def codes() -> tuple[Code, ...]:
    """The files of the sources of each kind of target, as it knows them."""
    reading = (each for each in TARGETS if each.reads_code)
    return tuple(cast("Code", importlib.import_module(f"{each.package}.code").CODE) for each in reading)


def metrics() -> list[MetricSpec]:
    """The metrics that some kind of target has alone."""
    found: list[MetricSpec] = []
    for each in TARGETS:
        found += importlib.import_module(f"{each.package}.metrics").METRICS
    return found


def checks(settings: Settings) -> list[Check]:
    """Looks at the machine for the sake of each kind of target."""
    found: list[Check] = []
    for each in TARGETS:
        found += importlib.import_module(f"{each.package}.checks").checks(settings)
    return found
