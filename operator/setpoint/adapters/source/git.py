"""Owns git sources: resolves a ref to a commit, fetches what is new into a bare repository per URL, and reads it.

Commits come without their files; those of the folder that is asked for follow in one more fetch, and then those that
its code reaches elsewhere. A server that can't leave files out sends all of them at once.

Layout of the cache: <digest of the URL>/repository, a bare repository whose refs/setpoint/* keep the commits; beside
it `lock`, which whoever fetches holds, its git processes included, so that nobody else writes there. The folder's
modification time is when it was last used; what was not for a month is dropped.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from setpoint.adapters.source.entries import AbsentBlobsError
from setpoint.adapters.source.git_access import REMOTE, check_ref, check_url, git_environment, scrub
from setpoint.adapters.source.git_objects import check_path, commit_tree, has_commit
from setpoint.adapters.source.git_process import GitResult, failure, run_git
from setpoint.adapters.source.limits import Bounds, Limits, refused, shown
from setpoint.api.conditions import Reason
from setpoint.api.source import GitSource
from setpoint.domain.digests import canonical
from setpoint.domain.errors import StalledError, TransientError
from setpoint.ports import Code, SourceTree

_ASK_SECONDS = 60.0
_FETCH_SECONDS = 600.0
_MAX_KEPT = 1024
_UNUSED_SECONDS = 30 * 24 * 3600.0
_DROPPED = ".dropped"
# With a dumb HTTP server git asks for each object that it misses with a process that misses it too, and so on for ever.
# A depth makes it refuse such a server, so that the two go together.
_SMART_ONLY = "--depth=1"
_PARTIAL = ("-c", f"remote.{REMOTE}.promisor=true", "-c", f"remote.{REMOTE}.partialCloneFilter=blob:none")
_COMMIT = re.compile(r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")
_EVERYTHING = ("+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*")
_REFUSALS = ("not our ref", "unadvertised object", "couldn't find remote ref", "does not support shallow")
_T = TypeVar("_T")


class Call(Protocol):
    """Runs blocking work on the adapter's threads."""

    def __call__(self, work: Callable[[], _T], /) -> Awaitable[_T]:
        """The work's result."""
        ...


class GitReader:
    """Reads folders of repositories. `local` admits repositories on this machine."""

    def __init__(self, cache: Path, limits: Limits, call: Call, *, local: bool) -> None:
        self._cache = cache
        self._limits = limits
        self._call = call
        self._local = local
        self._proven: set[bytes] = set()
        self._fetching: dict[str, asyncio.Lock] = {}
        self._kept: OrderedDict[tuple[str, str, str, Code], SourceTree] = OrderedDict()

    async def tree(self, source: GitSource, credentials: Mapping[str, str], code: Code) -> SourceTree:
        """The tree at the commit that the ref names now. Raises StalledError, TransientError."""
        check_url(source.url, local=self._local)
        check_ref(source.ref)
        bounds = Bounds(self._limits, code)
        check_path(source.path, bounds)
        try:
            return await self._tree(source, credentials, bounds)
        except OSError as error:
            message = f"{scrub(source.url)}: git can't be run: {error.strerror}"
            raise TransientError(Reason.SOURCE_UNAVAILABLE, message) from None

    async def _tree(self, source: GitSource, credentials: Mapping[str, str], bounds: Bounds) -> SourceTree:
        place = self._cache / hashlib.sha256(source.url.encode()).hexdigest()
        await self._call(partial(_prepare, place))
        async with self._environment(source.url, place, credentials) as environ:
            remote = _Remote(source.url, place, environ)
            name, commit = await remote.resolve(source.ref)
            await self._prove(remote, credentials)
            await self._fetch(remote, name, commit)
            kept = self._kept.get((source.url, commit, source.path, bounds.code))
            return kept or await self._read(remote, source, commit, bounds)

    async def drop_unused(self) -> int:
        """Drops the copies of repositories that were not used for a month; returns how many."""
        try:
            dropped = await self._call(partial(_drop_unused, self._cache, time.time() - _UNUSED_SECONDS))
        except OSError as error:
            message = f"unused copies of repositories can't be dropped: {error.strerror}"
            raise TransientError(Reason.SOURCE_UNAVAILABLE, message) from None
        if dropped:
            # Trees read their files from the copies as they are asked for them.
            self._kept.clear()
        return dropped

    async def _prove(self, remote: "_Remote", credentials: Mapping[str, str]) -> None:
        """Shows once that these credentials reach the repository: what another tenant fetched is not theirs to read."""
        claim = hashlib.sha256(canonical([remote.url, *sorted(credentials.items())])).digest()
        if not self._local and claim not in self._proven:
            await remote.ask("HEAD")
            self._proven.add(claim)

    async def _read(self, remote: "_Remote", source: GitSource, commit: str, bounds: Bounds) -> SourceTree:
        read = partial(commit_tree, remote.repository, commit, source.path, bounds)
        tree: SourceTree | None = None
        asked: set[str] = set()
        while tree is None:
            try:
                tree = await self._call(read)
            except AbsentBlobsError as error:
                # A read now may name more of the repository; a blob that was asked for once and did not come, won't.
                if asked.issuperset(error.blobs):
                    raise
                asked.update(error.blobs)
                async with self._exclusive(remote) as handle:
                    await remote.fetch_blobs(error.blobs, handle)
        self._kept[source.url, commit, source.path, bounds.code] = tree
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return tree

    async def _fetch(self, remote: "_Remote", name: str, commit: str) -> None:
        """Makes sure that the commit is in the cache."""
        known = partial(has_commit, remote.repository, commit)
        if await self._call(known):
            return
        async with self._exclusive(remote) as handle:
            if not await self._call(known):
                await remote.fetch(name, commit, handle)
        if not await self._call(known):
            raise _gone(remote.url, name, commit)

    @contextlib.asynccontextmanager
    async def _exclusive(self, remote: "_Remote") -> AsyncIterator[int]:
        """One fetch at a time per URL: the handle of the cache's lock."""
        async with self._fetching.setdefault(remote.url, asyncio.Lock()):
            with _cache_lock(remote.place) as handle:
                await self._call(partial(_remove_leftovers, remote.repository))
                yield handle

    @contextlib.asynccontextmanager
    async def _environment(
        self, url: str, place: Path, credentials: Mapping[str, str]
    ) -> AsyncIterator[dict[str, str]]:
        """git_environment, off the event loop."""
        context = git_environment(url, place / "home", credentials, local=self._local)
        environ = await self._call(context.__enter__)
        try:
            yield environ
        finally:
            await self._call(partial(context.__exit__, None, None, None))


class _Remote:
    """One repository elsewhere, and its bare copy here."""

    def __init__(self, url: str, place: Path, environ: Mapping[str, str]) -> None:
        self.url = url
        self.place = place
        self.repository = place / "repository"
        self._environ = environ

    async def resolve(self, ref: str) -> tuple[str, str]:
        """The full name of the ref and its commit; a commit is its own name, and asks nobody."""
        if _COMMIT.match(ref):
            return ref, ref
        names = [ref] if ref == "HEAD" or ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        patterns = [*names, *(f"{name}^{{}}" for name in names)]
        found = await self.ask(*patterns)
        known = [name for name in names if name in found]
        if len(known) > 1:
            raise refused(f"spec.source.git.ref: {shown(ref)} is a branch and a tag; write one of {', '.join(known)}")
        if not known:
            where = f"{scrub(self.url)} has no branch, tag or commit {shown(ref)}"
            raise StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source.git.ref: {where}")
        return known[0], found.get(f"{known[0]}^{{}}", found[known[0]])

    async def ask(self, *patterns: str) -> dict[str, str]:
        """The refs that the other side advertises under these names, with the objects that they name."""
        result = await self._git("ls-remote", "--quiet", "--", self.url, *patterns, seconds=_ASK_SECONDS)
        if result.code:
            raise failure(result, self.url)
        return dict(_advertised(result.output))

    async def fetch(self, name: str, commit: str, handle: int) -> None:
        """Fetches the commit alone where the server permits it, else the ref, else all branches and tags."""
        init = ("init", "--quiet", "--bare", "--template=", "--", str(self.repository))
        result = await self._git(*init, seconds=_ASK_SECONDS)
        if not result.code:
            result = await self._take(_PARTIAL, (f"+{commit}:refs/setpoint/{commit}",), handle, _SMART_ONLY)
        if result.code and _is_refusal(result):
            wanted = _EVERYTHING if name == commit else (f"+{name}:refs/setpoint/latest",)
            result = await self._take((), wanted, handle)
        if result.code:
            raise failure(result, self.url)

    async def fetch_blobs(self, blobs: Sequence[str], handle: int) -> None:
        """Fetches these objects, all at once; to negotiate about them would only take time."""
        result = await self._take((*_PARTIAL, "-c", "fetch.negotiationAlgorithm=noop"), blobs, handle, _SMART_ONLY)
        if result.code:
            raise failure(result, self.url)

    async def _take(self, settings: Sequence[str], wanted: Sequence[str], handle: int, *options: str) -> GitResult:
        fixed = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        arguments = ("--git-dir", str(self.repository), *settings, "fetch", *fixed, *options, "--", REMOTE, *wanted)
        return await self._git(*arguments, seconds=_FETCH_SECONDS, held=(handle,))

    async def _git(self, *arguments: str, seconds: float, held: tuple[int, ...] = ()) -> GitResult:
        return await run_git(arguments, cwd=self.place, environ=self._environ, seconds=seconds, held=held)


def _advertised(output: str) -> Iterator[tuple[str, str]]:
    for line in output.splitlines():
        commit, _, name = line.partition("\t")
        if _COMMIT.match(commit):
            yield name, commit


def _is_refusal(result: GitResult) -> bool:
    """True where the server is there, but gives no single commits or no shallow history."""
    return any(text in result.complaint for text in _REFUSALS)


def _gone(url: str, name: str, commit: str) -> StalledError | TransientError:
    if name == commit:
        return StalledError(Reason.SOURCE_NOT_FOUND, f"spec.source.git.ref: {scrub(url)} has no commit {commit}")
    return TransientError(Reason.SOURCE_UNAVAILABLE, f"{scrub(url)}: {shown(name)} moved while it was fetched")


def _prepare(place: Path) -> None:
    (place / "home").mkdir(parents=True, exist_ok=True, mode=0o700)
    os.utime(place)


def _drop_unused(cache: Path, before: float) -> int:
    count = 0
    for place in [found for found in cache.glob("*") if found.is_dir()]:
        with contextlib.suppress(TransientError, FileNotFoundError):  # in use, or dropped by another process
            if place.suffix != _DROPPED:
                with _cache_lock(place):
                    if place.stat().st_mtime >= before:
                        continue
                    # Out of the way at once: who comes now begins anew, and finds nothing that is half removed.
                    place.rename(place.with_suffix(_DROPPED))
                count += 1
            shutil.rmtree(place.with_suffix(_DROPPED))
    return count


@contextlib.contextmanager
def _cache_lock(place: Path) -> Iterator[int]:
    """Holds the cache of one URL. Raises TransientError where another process fetches into it."""
    handle = os.open(place / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield handle
    except BlockingIOError:
        raise TransientError(Reason.SOURCE_UNAVAILABLE, "another process is fetching this repository") from None
    finally:
        os.close(handle)


def _remove_leftovers(repository: Path) -> None:
    """A killed git leaves locks and half packs behind; whoever holds the cache's lock knows that nobody uses them."""
    locks = (*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock"))
    for leftover in (*locks, *repository.glob("objects/pack/tmp_*")):
        leftover.unlink(missing_ok=True)
