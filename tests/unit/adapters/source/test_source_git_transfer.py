"""Transfer by git: only the files that are asked for, within a limit, and no password to another host."""

import os
import random
from collections.abc import Mapping
from pathlib import Path

import pygit2
import pytest
from aiohttp import web
from tests.fakes.git_repository import Repository
from tests.fakes.git_server import GitServer

from setpoint.adapters.source import git_process
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.api.conditions import Reason
from setpoint.api.source import GitSource, Source
from setpoint.domain.errors import ReasonedError, StalledError, TransientError
from setpoint.ports import SourceTree
from setpoint.targets.environment.code import CODE

SECRET = "hunter2-hunter2"
CREDENTIALS = {"username": "me", "password": SECRET}


async def read(
    resolver: SourceResolver, url: str, path: str = ".", credentials: Mapping[str, str] | None = None
) -> SourceTree:
    source = Source(git=GitSource(url=url, path=path))
    return await resolver.resolve(source, origin=None, credentials=credentials or {}, code=CODE)


@pytest.fixture
def filtering(repository: Repository) -> Repository:
    """As the large forges are set up: it leaves out files, and gives single objects."""
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return repository


def held(cache: Path, repository: Repository, path: str) -> bool:
    """True where the cache holds the content of a file of HEAD."""
    (copy,) = cache.glob("git/*/repository")
    return repository.git("rev-parse", f"HEAD:{path}") in pygit2.Repository(str(copy))


async def test_only_the_files_of_the_folder_come_over(
    resolver: SourceResolver, filtering: Repository, tmp_path: Path
) -> None:
    (filtering.folder / "prod").mkdir()
    (filtering.folder / "prod" / "link.tf").symlink_to("main.tf")
    filtering.commit({"prod/main.tf": "one", "prod/same.tf": "one", "other/main.tf": "two", "large": "x" * 100_000})
    tree = await read(resolver, f"file://{filtering.url}", "prod")
    assert {path: tree.read(path) for path in tree.files} == dict.fromkeys(("link.tf", "main.tf", "same.tf"), b"one")
    assert [held(tmp_path / "cache", filtering, path) for path in ("prod/main.tf", "other/main.tf", "large")] == [
        True,
        False,
        False,
    ]


async def test_another_folder_of_the_same_commit_follows(resolver: SourceResolver, filtering: Repository) -> None:
    filtering.commit({"prod/main.tf": "one", "other/main.tf": "two"})
    await read(resolver, f"file://{filtering.url}", "prod")
    assert (await read(resolver, f"file://{filtering.url}", "other")).read("main.tf") == b"two"


async def test_the_next_commit_brings_what_changed(resolver: SourceResolver, filtering: Repository) -> None:
    filtering.commit({"main.tf": "one", "same.tf": "same"})
    await read(resolver, f"file://{filtering.url}")
    commit = filtering.commit({"main.tf": "two"})
    tree = await read(resolver, f"file://{filtering.url}")
    assert (tree.revision, tree.read("main.tf"), tree.read("same.tf")) == (commit, b"two", b"same")


async def test_limits_hold_for_files_that_come_later(resolver: SourceResolver, filtering: Repository) -> None:
    filtering.commit({"main.tf": "x" * 1001})
    with pytest.raises(StalledError, match=r"main\.tf is larger than 1000") as caught:
        await read(resolver, f"file://{filtering.url}")
    assert caught.value.reason is Reason.SOURCE_REFUSED


async def test_a_file_that_the_server_lost_is_told(resolver: SourceResolver, filtering: Repository) -> None:
    filtering.commit({"main.tf": "one"})
    blob = filtering.git("rev-parse", "HEAD:main.tf")
    (filtering.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(TransientError) as caught:
        await read(resolver, f"file://{filtering.url}")
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize("transport", ["file", "http"])
async def test_a_fetch_that_would_fill_the_disk_is_refused_and_leaves_little(
    resolver: SourceResolver, repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str
) -> None:
    monkeypatch.setattr(git_process, "MAX_PACK_BYTES", 1024 * 1024)
    noise = random.Random(1)
    for number in range(101):  # so many that git keeps the pack as it comes
        (repository.folder / f"{number}.bin").write_bytes(noise.randbytes(20_000))
    repository.commit({})
    async with GitServer(repository, "me", SECRET) as server:
        url = server.url if transport == "http" else f"file://{repository.url}"
        for _ in range(2):
            with pytest.raises(StalledError, match="more than 1 MiB") as caught:
                await read(resolver, url, credentials=CREDENTIALS)
            assert caught.value.reason is Reason.SOURCE_REFUSED
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 1.2 * 1024 * 1024


async def test_over_smart_http_with_a_password(resolver: SourceResolver, filtering: Repository, tmp_path: Path) -> None:
    filtering.commit({"prod/main.tf": "one", "other/main.tf": "two"})
    async with GitServer(filtering, "me", SECRET) as server:
        tree = await read(resolver, server.url, "prod", CREDENTIALS)
        assert tree.read("main.tf") == b"one"
        assert not held(tmp_path / "cache", filtering, "other/main.tf")
        asked = len(server.asked)
        assert await read(resolver, server.url, "prod", CREDENTIALS) is tree
        assert len(server.asked) <= asked + 2  # the refs, and nothing else
        with pytest.raises(TransientError, match=r"could not read|Authentication") as caught:
            await read(resolver, server.url, credentials={**CREDENTIALS, "password": "wrong-password"})
    assert caught.value.reason is Reason.SOURCE_UNAUTHORIZED
    assert "wrong-password" not in str(caught.value)


async def test_a_server_that_turns_dumb_starts_no_chain_of_processes(
    resolver: SourceResolver, filtering: Repository
) -> None:
    filtering.commit({"main.tf": "one"})
    filtering.git("update-server-info")
    async with GitServer(filtering, "me", SECRET) as server:
        server.smart = 2  # the listing and the commit; then the files are asked for
        with pytest.raises(ReasonedError, match="dumb http transport"):
            await read(resolver, server.url, credentials=CREDENTIALS)


async def test_a_tree_that_names_a_file_twice_is_refused(resolver: SourceResolver, repository: Repository) -> None:
    first = repository.commit({"main.tf": "one"})
    entry = b"100644 main.tf\0" + bytes.fromhex(repository.git("rev-parse", f"{first}:main.tf"))
    raw = repository.folder / "tree"
    raw.write_bytes(entry * 2)
    tree = repository.git("hash-object", "-t", "tree", "-w", "--literally", "--", str(raw))
    repository.git("update-ref", "refs/heads/main", repository.git("commit-tree", "-m", "x", tree))
    with pytest.raises(StalledError, match=r"main\.tf is there twice"):
        await read(resolver, repository.url)


async def test_a_password_does_not_follow_a_redirect(resolver: SourceResolver) -> None:
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(status=404)

    async def moved(request: web.Request) -> web.Response:
        raise web.HTTPFound(f"http://localhost:{request.url.port}/elsewhere{request.path_qs}")

    app = web.Application()
    app.router.add_route("*", "/elsewhere/{path:.*}", elsewhere)
    app.router.add_route("*", "/code.git/{path:.*}", moved)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/code.git"
        with pytest.raises(TransientError, match="302"):
            await read(resolver, url, credentials=CREDENTIALS)
        assert seen == []
        with pytest.raises(StalledError):
            await read(resolver, url)
        assert seen
        assert set(seen) == {None}
    finally:
        await runner.cleanup()


async def test_a_tree_is_readable_after_its_copy_was_dropped_and_made_again(
    resolver: SourceResolver, filtering: Repository, tmp_path: Path
) -> None:
    filtering.commit({"main.tf": "one", "other/main.tf": "two"})
    async with GitServer(filtering, "me", SECRET) as server:
        await read(resolver, server.url, credentials=CREDENTIALS)
        (place,) = (tmp_path / "cache" / "git").iterdir()
        os.utime(place, (0, 0))
        assert await resolver.drop_unused() == 1
        tree = await read(resolver, server.url, credentials=CREDENTIALS)
        assert (tree.read("main.tf"), tree.read("other/main.tf")) == (b"one", b"two")
