"""The settings that a connection takes from its environment, and how it sends what it is given."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from setpoint.adapters.kube import ConnectionOptions, connect
from setpoint.adapters.kube.connection import KubeRequest

TOKEN = "a-token"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """Answers with what it was asked."""

    async def tell(request: web.Request) -> web.Response:
        told = {"url": str(request.url), "authorization": request.headers.get("Authorization")}
        return web.json_response({**told, "type": request.content_type, "body": (await request.read()).decode()})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tell)
    async with TestServer(app) as running:
        yield running


def kubeconfig(folder: Path, url: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content))
    return path


async def test_a_netrc_file_that_names_the_server_is_not_ours_to_use(
    server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {server.host} login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with connect(ConnectionOptions(kubeconfig=kubeconfig(tmp_path, str(server.make_url("/"))[:-1]))) as asked:
        answer = await asked.request(KubeRequest("GET", "/version", "the version"))
    assert answer["authorization"] == f"Bearer {TOKEN}"


async def test_a_proxy_that_the_environment_names_is_used(
    server: TestServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", str(server.make_url("/")))
    async with connect(ConnectionOptions(kubeconfig=kubeconfig(tmp_path, "http://cluster.example"))) as asked:
        answer = await asked.request(KubeRequest("GET", "/version", "the version"))
    assert answer["url"] == "http://cluster.example/version"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("application/json", {"a": [1, None, "ä"], "b": {"c": True}}, id="JSON"),
        pytest.param("application/json-patch+json", [{"op": "add", "path": "/a", "value": {}}], id="JSON patch"),
        pytest.param("application/merge-patch+json", {"a": None}, id="merge patch"),
        pytest.param("application/apply-patch+yaml", {"status": {"n": 1.5}}, id="server-side apply"),
    ],
)
async def test_a_body_is_sent_as_it_is(server: TestServer, tmp_path: Path, content_type: str, body: object) -> None:
    async with connect(ConnectionOptions(kubeconfig=kubeconfig(tmp_path, str(server.make_url("/"))[:-1]))) as asked:
        answer = await asked.request(KubeRequest("PATCH", "/x", "x", body=body, content_type=content_type))
    assert (answer["type"], json.loads(answer["body"])) == (content_type, body)
