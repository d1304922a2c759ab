import asyncio
import base64
import fcntl
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import web
from tests.fakes.git_repository import Repository

from setpoint.adapters.source.git_access import git_environment
from setpoint.adapters.source.git_process import run_git
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.api.conditions import Reason
from setpoint.api.source import GitSource, Source
from setpoint.domain.errors import ReasonedError, StalledError, TransientError
from setpoint.ports import SourceTree
from setpoint.targets.environment.code import CODE

SECRET = "hunter2-hunter2"


async def read(
    resolver: SourceResolver, url: str, ref: str = "HEAD", path: str = ".", credentials: Mapping[str, str] | None = None
) -> SourceTree:
    source = Source(git=GitSource(url=url, ref=ref, path=path))
    return await resolver.resolve(source, origin=None, credentials=credentials or {}, code=CODE)


async def test_reads_the_files_of_a_commit(resolver: SourceResolver, repository: Repository) -> None:
    script = repository.folder / "run.sh"
    script.write_text("#!")
    script.chmod(0o755)
    (repository.folder / "link.tf").symlink_to("envs/prod/main.tf")
    commit = repository.commit({"envs/prod/main.tf": "a", "terraform.tfstate": "{}"})
    tree = await read(resolver, repository.url)
    assert tree.revision == commit
    assert {path: run for path, (_, run) in tree.files.items()} == {
        "envs/prod/main.tf": False,
        "link.tf": False,
        "run.sh": True,
    }
    assert tree.read("link.tf") == b"a"
    assert tree.marks == {"terraform.tfstate"}


async def test_a_folder_of_a_repository_is_the_same_as_that_folder(
    resolver: SourceResolver, repository: Repository, home: Path
) -> None:
    repository.commit({"envs/prod/main.tf": "a", "other/main.tf": "b"})
    (home / "code").mkdir()
    (home / "code" / "main.tf").write_text("a")
    folder = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    inline = await resolver.resolve(Source(inline={"main.tf": "a"}), origin=None, credentials={}, code=CODE)
    tree = await read(resolver, repository.url, path="envs/prod")
    assert tree.digest == folder.digest == inline.digest


async def test_refs_resolve_to_commits(resolver: SourceResolver, repository: Repository) -> None:
    first = repository.commit({"main.tf": "1"})
    repository.git("tag", "light")
    repository.git("tag", "-a", "-m", "x", "annotated")
    repository.git("branch", "feature/x")
    second = repository.commit({"main.tf": "2"})
    refs = ["HEAD", "main", "refs/heads/main", second, "light", "annotated", "refs/tags/annotated", "feature/x", first]
    found = [(await read(resolver, repository.url, ref)).revision for ref in refs]
    assert found == [second] * 4 + [first] * 5


async def test_a_new_commit_is_seen_and_an_old_one_needs_no_repository(
    resolver: SourceResolver, repository: Repository
) -> None:
    first = repository.commit({"main.tf": "1"})
    before = await read(resolver, repository.url)
    repository.commit({"main.tf": "2"})
    after = await read(resolver, repository.url)
    repository.folder.rename(repository.folder.with_name("gone"))
    assert (before.read("main.tf"), after.read("main.tf")) == (b"1", b"2")
    assert (await read(resolver, repository.url, first)).digest == before.digest


async def test_many_at_once_fetch_once(resolver: SourceResolver, repository: Repository) -> None:
    repository.commit({"main.tf": "1"})
    trees = await asyncio.gather(*(read(resolver, repository.url) for _ in range(4)))
    assert {tree.digest for tree in trees} == {trees[0].digest}


async def test_lock_files_of_a_killed_fetch_do_not_stop_the_next(
    resolver: SourceResolver, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"main.tf": "1"})
    await read(resolver, repository.url)
    (bare,) = (tmp_path / "cache" / "git").glob("*/repository")
    (bare / "shallow.lock").touch()
    repository.commit({"main.tf": "2"})
    assert (await read(resolver, repository.url)).read("main.tf") == b"2"


async def test_two_processes_do_not_fetch_at_once(
    resolver: SourceResolver, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"main.tf": "1"})
    await read(resolver, repository.url)
    repository.commit({"main.tf": "2"})
    (lock,) = (tmp_path / "cache" / "git").glob("*/lock")
    with lock.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TransientError, match="another process"):
            await read(resolver, repository.url)
    assert (await read(resolver, repository.url)).read("main.tf") == b"2"


async def test_a_cache_that_was_deleted_is_made_again(
    resolver: SourceResolver, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"main.tf": "1"})
    tree = await read(resolver, repository.url)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(TransientError, match="can't be read from the cache"):
        tree.read("main.tf")
    assert (await read(resolver, repository.url)).read("main.tf") == b"1"


async def test_a_cluster_reads_no_repository_of_its_own_machine(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"main.tf": "1"})
    resolver = SourceResolver(None, tmp_path / "cache")
    for url in (repository.url, f"file://{repository.url}"):
        with pytest.raises(StalledError, match="is none of") as caught:
            await read(resolver, url)
        assert caught.value.reason is Reason.SOURCE_REFUSED
    await resolver.close()


def _submodule(repository: Repository) -> None:
    commit = repository.commit({"main.tf": "a"})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    repository.git("commit", "-q", "-m", "x")


def _odd_name(repository: Repository) -> None:
    blob = repository.git("hash-object", "-w", "--", str(_written(repository.folder / "x")))
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},a\nb")
    repository.git("commit", "-q", "-m", "x")


def _written(path: Path) -> Path:
    path.write_text("x")
    return path


def _linking(target: str):
    def make(repository: Repository) -> None:
        (repository.folder / "link.tf").symlink_to(target)
        repository.commit({"main.tf": "a"})

    return make


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(_linking("../../etc/x"), "link.tf leaves the repository", id="escaping-link"),
        pytest.param(_linking("/etc/hostname"), "link.tf is absolute", id="absolute-link"),
        pytest.param(_linking("."), "deeper than 4|more than 12", id="link-to-itself"),
        pytest.param(lambda made: made.commit({str(n): "x" for n in range(13)}), "more than 12", id="many"),
        pytest.param(lambda made: made.commit({"main.tf": "x" * 1001}), "main.tf is larger than 1000", id="large"),
        pytest.param(
            lambda made: made.commit({f"{n}.tf": f"{n}" * 999 for n in range(4)}), "larger than 3000", id="sum"
        ),
        pytest.param(lambda made: made.commit({"1/2/3/4/5/x.tf": "x"}), "deeper than 4", id="deep"),
        pytest.param(_submodule, "sub is a submodule", id="submodule"),
        pytest.param(_odd_name, "characters that are not allowed", id="name-with-newline"),
    ],
)
async def test_refuses_content(resolver: SourceResolver, repository: Repository, make, says: str) -> None:
    make(repository)
    with pytest.raises(StalledError, match=says) as caught:
        await read(resolver, repository.url)
    assert caught.value.reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize(
    ("url", "ref", "path", "reason"),
    [
        pytest.param("ext::sh -c touch% x", "HEAD", ".", Reason.SOURCE_REFUSED, id="ext"),
        pytest.param("ext::ssh://x/y", "HEAD", ".", Reason.SOURCE_REFUSED, id="ext-with-scheme"),
        pytest.param("fd::17", "HEAD", ".", Reason.SOURCE_REFUSED, id="fd"),
        pytest.param("--upload-pack=touch x", "HEAD", ".", Reason.SOURCE_REFUSED, id="option-url"),
        pytest.param("relative/folder", "HEAD", ".", Reason.SOURCE_REFUSED, id="relative"),
        pytest.param("ftp://127.0.0.1/x", "HEAD", ".", Reason.SOURCE_REFUSED, id="ftp"),
        pytest.param(f"https://me:{SECRET}@127.0.0.1:1/x", "HEAD", ".", Reason.SOURCE_REFUSED, id="password-in-url"),
        pytest.param("UP", "--upload-pack=x", ".", Reason.SOURCE_REFUSED, id="option-ref"),
        pytest.param("UP", "a..b", ".", Reason.SOURCE_REFUSED, id="range-ref"),
        pytest.param("UP", "ma*", ".", Reason.SOURCE_REFUSED, id="glob-ref"),
        pytest.param("UP", "both", ".", Reason.SOURCE_REFUSED, id="branch-and-tag"),
        pytest.param("UP", "nothing", ".", Reason.SOURCE_NOT_FOUND, id="no-such-ref"),
        pytest.param("UP", "0" * 39 + "1", ".", Reason.SOURCE_NOT_FOUND, id="no-such-commit"),
        pytest.param("UP", "HEAD", "../x", Reason.SOURCE_REFUSED, id="dotdot-path"),
        pytest.param("UP", "HEAD", "/etc", Reason.SOURCE_REFUSED, id="absolute-path"),
        pytest.param("UP", "HEAD", "missing", Reason.SOURCE_NOT_FOUND, id="no-such-folder"),
        pytest.param("UP", "HEAD", "main.tf", Reason.SOURCE_NOT_FOUND, id="file-as-folder"),
        pytest.param("/nonexistent/repository", "HEAD", ".", Reason.SOURCE_NOT_FOUND, id="no-repository"),
        pytest.param("http://127.0.0.1:1/x", "HEAD", ".", Reason.SOURCE_UNAVAILABLE, id="nobody-answers"),
    ],
)
async def test_refuses(
    resolver: SourceResolver, repository: Repository, url: str, ref: str, path: str, reason: Reason
) -> None:
    repository.commit({"main.tf": "a"})
    repository.git("tag", "both")
    repository.git("branch", "both")
    with pytest.raises(ReasonedError) as caught:
        await read(resolver, repository.url if url == "UP" else url, ref, path)
    assert caught.value.reason is reason
    assert SECRET not in str(caught.value)


@pytest.fixture
async def server(repository: Repository) -> AsyncIterator[str]:
    """The repository over HTTP for whoever knows the password; files only, so that git can't ask for one commit."""
    repository.commit({"main.tf": "a"})
    repository.git("update-server-info")
    expected = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != expected:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        file = repository.folder / ".git" / request.match_info["path"]
        return web.FileResponse(file) if file.is_file() else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/code.git/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/code.git"
    await runner.cleanup()


async def test_reads_over_http_with_a_password(resolver: SourceResolver, server: str) -> None:
    tree = await read(resolver, server, credentials={"username": "me", "password": SECRET})
    assert tree.read("main.tf") == b"a"


@pytest.mark.parametrize("credentials", [{}, {"username": "me", "password": "wrong-password"}], ids=["none", "wrong"])
async def test_a_refused_password_is_told_without_it(
    resolver: SourceResolver, server: str, credentials: dict[str, str]
) -> None:
    with pytest.raises(TransientError) as caught:
        await read(resolver, server, credentials=credentials)
    assert caught.value.reason is Reason.SOURCE_UNAUTHORIZED
    assert "spec.source.git.secretRef" in caught.value.message
    assert "wrong-password" not in str(caught.value)


async def test_what_one_tenant_fetched_is_not_anothers(server: str, tmp_path: Path) -> None:
    resolver = SourceResolver(None, tmp_path / "cache")
    commit = (await read(resolver, server, credentials={"username": "me", "password": SECRET})).revision
    with pytest.raises(TransientError, match=r"could not read|Authentication"):
        await read(resolver, server, commit)
    await resolver.close()


async def test_nothing_of_a_secret_stays_on_disk(resolver: SourceResolver, server: str, tmp_path: Path) -> None:
    await read(resolver, server, credentials={"username": "me", "password": SECRET, "identity": f"key {SECRET}"})
    encoded = base64.b64encode(f"me:{SECRET}".encode())
    for file in (path for path in (tmp_path / "cache").rglob("*") if path.is_file()):
        assert not re.search(re.escape(SECRET.encode()) + b"|" + re.escape(encoded), file.read_bytes()), file


async def test_without_git_the_source_is_unavailable(
    resolver: SourceResolver, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TransientError, match="git can't be run"):
        await read(resolver, repository.url)


def test_the_environment_is_made_from_nothing(tmp_path: Path) -> None:
    inherited = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": SECRET, "GIT_SSH_COMMAND": "x", "GIT_DIR": "x"}
    keys = {"identity": "key", "known_hosts": "host"}
    with git_environment("git@host:x", tmp_path, keys, local=False, inherited=inherited) as environ:
        assert not {"AWS_SECRET_ACCESS_KEY", "GIT_DIR"} & environ.keys()
        assert environ["GIT_ALLOW_PROTOCOL"] == "http:https:git:ssh"
        (identity,) = tmp_path.glob("ssh-*/identity")
        assert (identity.read_text(), identity.stat().st_mode & 0o777) == ("key\n", 0o600)
        assert str(identity) in environ["GIT_SSH_COMMAND"]
    assert not list(tmp_path.iterdir())


def test_a_password_goes_to_its_own_host_only(tmp_path: Path) -> None:
    url = "https://me@host.example:8443/x/y.git"
    with git_environment(url, tmp_path, {"password": SECRET}, local=False, inherited={}) as environ:
        keys = [value for name, value in environ.items() if name.startswith("GIT_CONFIG_KEY")]
    assert "http.https://host.example:8443/.extraHeader" in keys


async def test_a_server_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"git://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    with git_environment(url, tmp_path, {}, local=False) as environ, pytest.raises(TransientError, match="took longer"):
        await run_git(("ls-remote", "--", url), cwd=tmp_path, environ=environ, seconds=0.1)
    server.close()
    await server.wait_closed()


async def test_a_server_that_says_too_much_is_given_up(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"main.tf": "x" * 1_200_000})
    with git_environment("/x", tmp_path, {}, local=True) as environ, pytest.raises(TransientError, match="more than"):
        await run_git(("show", "HEAD:main.tf"), cwd=repository.folder, environ=environ, seconds=30)


MONTH = 30 * 24 * 3600


async def test_copies_that_were_not_used_for_a_month_are_dropped(
    resolver: SourceResolver, repository: Repository, tmp_path: Path
) -> None:
    assert await resolver.drop_unused() == 0  # there is no cache yet
    repository.commit({"main.tf": "one"})
    tree = await read(resolver, repository.url)
    (place,) = (tmp_path / "cache" / "git").iterdir()
    grow_old(place)
    await read(resolver, repository.url)  # used again
    assert await resolver.drop_unused() == 0
    grow_old(place)
    assert await resolver.drop_unused() == 1
    assert list((tmp_path / "cache" / "git").iterdir()) == []
    again = await read(resolver, repository.url)
    assert again.read("main.tf") == b"one"
    assert again.digest == tree.digest


async def test_a_copy_that_is_fetched_into_is_not_dropped(
    resolver: SourceResolver, repository: Repository, tmp_path: Path
) -> None:
    repository.commit({"main.tf": "one"})
    await read(resolver, repository.url)
    (place,) = (tmp_path / "cache" / "git").iterdir()
    grow_old(place)
    with (place / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert await resolver.drop_unused() == 0
    assert await resolver.drop_unused() == 1


async def test_what_a_killed_process_had_half_dropped_is_removed(resolver: SourceResolver, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "git" / "0123.dropped"
    (left / "repository").mkdir(parents=True)
    assert await resolver.drop_unused() == 0
    assert not left.exists()


def grow_old(place: Path) -> None:
    used = place.stat().st_mtime - MONTH - 60
    os.utime(place, (used, used))
