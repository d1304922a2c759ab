"""Want of file descriptors is told as what it is, whatever failed for it."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from setpoint.api.conditions import Reason
from setpoint.domain.errors import StalledError, StoreError
from setpoint.runtime.descriptors import as_exhaustion


def caused(error: Exception, code: int) -> Exception:
    error.__cause__ = OSError(code, os.strerror(code))
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(OSError(errno.EMFILE, "Too many open files"), "raise the limit", id="itself"),
        pytest.param(OSError(errno.ENFILE, "Too many open files in system"), "fs.file-max", id="the machine"),
        pytest.param(caused(StalledError(Reason.SOURCE_NOT_FOUND, "x"), errno.EMFILE), "raise the limit", id="a cause"),
        pytest.param(caused(ValueError("x"), errno.EMFILE), "raise the limit", id="a foreign error"),
    ],
)
def test_want_of_descriptors(error: Exception, words: str) -> None:
    found = as_exhaustion(error)
    assert found is not None
    assert found.reason is Reason.OUT_OF_DESCRIPTORS
    assert words in found.message


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "x"), ValueError(), caused(StoreError("x"), errno.EIO)])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert as_exhaustion(error) is None


@pytest.fixture
def none_left() -> Iterator[None]:
    """As if no descriptor were left: the limit is at what is open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with suppress(OSError):
            while True:
                stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield


@pytest.mark.usefixtures("none_left")
def test_a_database_that_does_not_say_why() -> None:
    found = as_exhaustion(StoreError("unable to open database file"))
    assert found is not None
    assert "no file descriptor left" in found.message
