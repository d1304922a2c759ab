"""A host of modules that fails is not the code's fault: with a real Terraform and a real server."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.fixtures.terraform import TARGET, Rig, tree

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ReasonedError, StalledError, TransientError


@contextlib.asynccontextmanager
async def answering(status: int) -> AsyncIterator[str]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"WWW-Authenticate": 'Basic realm="x"'} if status == 401 else {})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/module"
    await runner.cleanup()


@pytest.mark.parametrize("form", ["git::{}.git", "{}.zip"])
@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (503, TransientError, Reason.SOURCE_UNAVAILABLE),
        (429, TransientError, Reason.SOURCE_UNAVAILABLE),
        (401, TransientError, Reason.SOURCE_UNAUTHORIZED),
        (404, StalledError, Reason.CONFIGURATION_INVALID),
    ],
)
async def test_a_host_of_modules(rig: Rig, form: str, status: int, kind: type[ReasonedError], reason: Reason) -> None:
    async with answering(status) as url:
        files = {"main.tf": f'module "m" {{\n  source = "{form.format(url)}"\n}}\n'}
        with pytest.raises(kind) as caught:
            await rig.adapter.bundle(TARGET, tree(files), rig.inputs())
    assert caught.value.reason is reason
