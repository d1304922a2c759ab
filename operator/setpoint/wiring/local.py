"""Owns putting a whole local home together: its objects, and what every manager and every plan has on top of them."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator

from setpoint.adapters.local import LocalHome, ManifestSync
from setpoint.adapters.store import SqlObjectStore
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import Settings
from setpoint.wiring.objects import LocalObjects, open_objects
from setpoint.wiring.parts import Parts, open_parts


@dataclasses.dataclass(frozen=True, slots=True)
class LocalParts:
    """The parts that only a local home has, beside what every home has."""

    parts: Parts
    home: LocalHome
    objects: SqlObjectStore
    sync: ManifestSync


@contextlib.asynccontextmanager
async def open_local(
    home: LocalHome, settings: Settings, secrets: SecretFilter, *, managed: bool = False
) -> AsyncIterator[LocalParts]:
    """Opens everything that a local home needs, and closes it again. Raises StoreError for a store that is damaged.

    `managed`: for the manager, which holds the lock. The whole database is read first, and both have to stay in place.
    """
    metrics = Metrics()
    held = [home.manager_lock] if managed else []
    async with (
        open_objects(home, check=managed, held=held, count_rows=metrics.count_audit_rows) as opened,
        open_parts_of(opened, settings, secrets, metrics) as parts,
    ):
        yield LocalParts(parts, home, opened.objects, opened.sync)


@contextlib.asynccontextmanager
async def open_parts_of(
    opened: LocalObjects, settings: Settings, secrets: SecretFilter, metrics: Metrics
) -> AsyncIterator[Parts]:
    """Opens what every home has, on top of objects that are open already."""
    async with contextlib.AsyncExitStack() as stack:
        yield await open_parts(
            stack, opened.foundation(), settings=settings, clock=opened.clock, metrics=metrics, secrets=secrets
        )
