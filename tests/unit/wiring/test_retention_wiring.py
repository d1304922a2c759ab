"""Collection by a manager: of blobs where it sees all that could need them, and only after any pass is over."""

import contextlib
import dataclasses
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from setpoint.adapters.local import LocalHome
from setpoint.adapters.store.blobs import MIN_AGE
from setpoint.api.meta import ObjectRef
from setpoint.domain.errors import NotFoundError
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import read_settings
from setpoint.wiring import work
from setpoint.wiring.local import LocalBackends, open_local
from setpoint.wiring.services import Services, open_services

MANIFESTS = """
{apiVersion: setpoint.dev/v1alpha1, kind: Environment, metadata: {name: shop}, spec: {stage: dev, source: {path: .}}}
"""


def test_blobs_are_young_for_longer_than_any_pass_lasts() -> None:
    assert MIN_AGE >= 2 * work._RECONCILE_TIMEOUT


@contextlib.asynccontextmanager
async def open_all(home: LocalHome) -> AsyncIterator[tuple[LocalBackends, Services]]:
    async with (
        open_local(home) as backends,
        open_services(backends, read_settings({}), Metrics(), SecretFilter()) as services,
    ):
        yield backends, services


async def test_a_home_collects_blobs_and_keeps_what_it_sealed(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(MANIFESTS)
    metadata = {"name": "made", "namespace": "default"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": "dmFsdWU="}}
    async with open_all(LocalHome.create(tmp_path)) as (backends, services):
        await backends.sync.sync()
        made = ObjectRef.of(await backends.cluster.create(secret))
        surplus = await backends.blobs.put(b"surplus")
        for path in (tmp_path / ".setpoint" / "blobs").glob("??/*"):
            os.utime(path, (0, time.time() - MIN_AGE - 60))
        for collect in services.collections():
            await collect()
        assert b"setpoint_blobs_removed_total 1.0" in services.metrics.render()
    async with open_local(LocalHome.open(tmp_path)) as backends:
        assert (await backends.cluster.get(made))["data"] == secret["data"]
        with pytest.raises(NotFoundError):
            await backends.blobs.get(surplus)


async def test_who_sees_some_namespaces_alone_removes_no_blob(tmp_path: Path) -> None:
    async with open_all(LocalHome.create(tmp_path)) as (backends, services):
        some = dataclasses.replace(services, backends=dataclasses.replace(backends, sees_all=False))
        assert some.collections() == (some.sources.drop_unused,)
        assert len(services.collections()) == 2
