"""Modules in private repositories: a password reaches its own host, and nothing else of it is ever seen."""

import base64
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.fakes.git_repository import Repository
from tests.fakes.git_server import GitServer
from tests.fixtures.terraform import TARGET, Rig, tree

from setpoint.domain.errors import ReasonedError, StalledError
from setpoint.targets.environment.ports import Bundle, ModuleHost
from setpoint.targets.environment.terraform.module_access import module_access

SECRET = "pine-marten-77"
KEYS = {"username": "reader", "password": SECRET}
ENCODED = base64.b64encode(f"reader:{SECRET}".encode()).decode()


@pytest.fixture
async def private(tmp_path: Path) -> AsyncIterator[GitServer]:
    """A module behind a password."""
    (tmp_path / "module").mkdir()
    repository = Repository(tmp_path / "module")
    repository.commit({"main.tf": 'resource "terraform_data" "badge" {}\n'})
    async with GitServer(repository, "reader", SECRET) as server:
        yield server


@contextlib.asynccontextmanager
async def listening(to: str = "") -> AsyncIterator[tuple[str, list[str]]]:
    """A host that asks everybody for a password, or sends them on; what it was told of passwords."""
    told: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        told.append(request.headers.get("Authorization", ""))
        if to:
            return web.Response(status=302, headers={"Location": to + request.path_qs.removeprefix("/code.git")})
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/code.git", told
    await runner.cleanup()


def host_of(url: str) -> str:
    return url.split("/")[2]


async def bundle(rig: Rig, url: str, *hosts: ModuleHost) -> Bundle:
    files = {"main.tf": f'module "m" {{\n  source = "git::{url}"\n}}\n'}
    return await rig.adapter.bundle(TARGET, tree(files), rig.inputs(module_hosts=hosts))


async def refusal(rig: Rig, url: str, *hosts: ModuleHost) -> ReasonedError:
    with pytest.raises(ReasonedError) as raised:
        await bundle(rig, url, *hosts)
    assert not {SECRET, ENCODED} & set(raised.value.message.split())
    assert SECRET not in raised.value.message
    assert rig.left_behind() == []
    return raised.value


async def test_a_module_comes_with_its_hosts_password(rig: Rig, private: GitServer) -> None:
    made = await bundle(rig, private.url, ModuleHost("http", host_of(private.url), KEYS))
    archive = await rig.stores.blobs.get(made.blob)
    assert b"badge" in archive
    assert SECRET in rig.secrets
    assert "reader" not in rig.secrets
    held = [path.read_bytes() for path in rig.root.rglob("*") if path.is_file()]
    assert not [one for one in (archive, *held) if SECRET.encode() in one or ENCODED.encode() in one]


async def test_what_one_password_brought_is_not_had_without_it(rig: Rig, private: GitServer) -> None:
    await bundle(rig, private.url, ModuleHost("http", host_of(private.url), KEYS))
    await refusal(rig, private.url)
    await refusal(rig, private.url, ModuleHost("http", host_of(private.url), {**KEYS, "password": "another-word"}))


async def test_another_host_and_another_scheme_see_nothing(rig: Rig, private: GitServer) -> None:
    async with listening() as (url, told):
        await refusal(rig, url, ModuleHost("http", host_of(private.url), KEYS))
        await refusal(rig, url, ModuleHost("https", host_of(url), KEYS))
        await refusal(rig, url, ModuleHost("http", host_of(url).partition(":")[0], KEYS))
    assert set(told) == {""}


async def test_a_redirect_to_another_host_carries_nothing(rig: Rig) -> None:
    async with listening() as (far, told), listening(to=far) as (near, _):
        await refusal(rig, near, ModuleHost("http", host_of(near), KEYS))
    assert set(told) == {""}


def test_keys_are_for_their_hosts_and_end_with_the_command(tmp_path: Path) -> None:
    hosts = (
        ModuleHost("https", "a.example:22", {"identity": "key a", "known_hosts": "host a"}),
        ModuleHost("https", "b.example", {"identity": "key b"}),
        ModuleHost("https", "c.example", {"password": SECRET}),
    )
    with module_access(hosts, tmp_path) as environ:
        (folder,) = tmp_path.iterdir()
        files = {path.name: path.read_text() for path in folder.iterdir()}
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())
        assert environ["GIT_SSH_COMMAND"] == f"ssh -F {folder}/config"
        assert {name: files[name] for name in files if name != "config"} == {
            "identity-0": "key a\n",
            "known_hosts-0": "host a\n",
            "identity-1": "key b\n",
        }
        assert [line for line in files["config"].splitlines() if line.startswith("Host")] == [
            "Host a.example",
            "Host b.example",
            "Host *",
        ]
        assert SECRET not in "".join(value for name, value in environ.items() if name.startswith("GIT_"))
    assert list(tmp_path.iterdir()) == []


def test_without_hosts_there_is_nothing(tmp_path: Path) -> None:
    with module_access((), tmp_path) as environ:
        assert environ == {}


@pytest.mark.parametrize("keys", [{"password": "a\nusername=x"}, {"username": "a\r", "password": "x"}])
def test_what_git_would_read_as_more_is_refused(tmp_path: Path, keys: dict[str, str]) -> None:
    with (
        pytest.raises(StalledError, match="holds a line break"),
        module_access((ModuleHost("https", "h", keys),), tmp_path),
    ):
        pass


def test_helpers_of_the_machine_stay_for_other_hosts(tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text('[credential]\n\thelper = "!echo username=machine; echo password=machine; :"\n')
    (tmp_path / "run").mkdir()
    with module_access((ModuleHost("https", "a.example", KEYS),), tmp_path / "run") as environ:
        given = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(config), **environ}
        for url, username in (
            ("https://a.example", "reader"),
            ("https://b.example", "machine"),
            ("http://a.example", "machine"),
            ("https://a.example:8443", "machine"),
        ):
            asked = subprocess.run(
                ("git", "credential", "fill"),
                input=f"url={url}\n\n",
                env=given,
                capture_output=True,
                text=True,
                check=True,
            )
            assert f"username={username}\n" in asked.stdout
