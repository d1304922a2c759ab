"""Owns seeing what in a work folder is not as Setpoint put it: what Terraform would load beside it is removed, by name.

Code that ran earlier may have put it there, and it would outlive the source that made it: an override file leads the
state elsewhere, a variable file changes what is planned. What Terraform does not load is none of our business.
"""

import contextlib
import itertools
import os
import posixpath
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

Stamp = tuple[int, ...]
"""Type, size, inode and time of change of a file: what moves when something writes over it, or puts another there.

The time of change is the kernel's: no program can set it, as it can the time of modification.
"""
_CODE = (".tf", ".tofu", ".tf.json", ".tofu.json")
_TEST_FORMS = itertools.product(("tf", "tofu"), ("test", "query"), ("hcl", "json"))
_TESTS = tuple(f".{engine}{kind}.{form}" for engine, kind, form in _TEST_FORMS)
_TEST_FOLDER = "tests"
_VALUES = (".auto.tfvars", ".auto.tfvars.json")
_VALUES_EXACTLY = frozenset({"terraform.tfvars", "terraform.tfvars.json"})
_STATES = frozenset({"terraform.tfstate", "terraform.tfstate.backup"})
_SETTINGS = ("environment", "plugin_path")
"""Within `.terraform`: the workspace, and where providers are; Setpoint chooses both."""


def stamp_of(path: Path | str) -> Stamp:
    """Empty where there is nothing."""
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    return stat.S_IFMT(status.st_mode), status.st_size, status.st_ino, status.st_ctime_ns


def find_changed(path: Path, stamps: Mapping[str, Stamp]) -> tuple[str, ...]:
    """The files within `path` that have other stamps now, and the folders above them that are links."""
    folders = set(itertools.chain.from_iterable(map(_above, stamps)))
    linked = (folder for folder in sorted(folders) if (path / folder).is_symlink())
    moved = (name for name, stamp in stamps.items() if stamp_of(f"{path}/{name}") != stamp)
    return (*linked, *moved)


def _above(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def remove_strays(path: Path, root: str, modules: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Removes what Terraform would load beside the `known` files, all by names within `path`; returns what there was.

    `root` is the root module's folder; `modules` are those that it calls.
    """
    found: list[str] = []
    for folder in dict.fromkeys((root, *modules)):
        found += [name for name in _loaded(path, folder, at_root=folder == root) if name not in known]
    found += [name for one in _SETTINGS if os.path.lexists(path / (name := posixpath.join(root, ".terraform", one)))]
    # Terraform would follow a link to write its state, and wait at a pipe.
    states = (posixpath.join(root, one) for one in ("errored.tfstate", *sorted(_STATES)))
    found += [name for name in states if os.path.lexists(path / name) and not _is_file(path / name)]
    for name in found:
        remove(path / name)
    return tuple(sorted(found))


def find_states(path: Path, root: str) -> tuple[Path, ...]:
    """States that something else than Setpoint's backend has written there: maybe the only record of what it made."""
    return tuple(path / root / name for name in sorted(_STATES) if _is_file(path / root / name))


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _loaded(path: Path, folder: str, *, at_root: bool) -> Iterator[str]:
    """The files that Terraform loads of one module's folder. A folder is never loaded, whatever its name."""
    for entry in _entries(path / folder):
        if entry.is_dir(follow_symlinks=False):
            if at_root and entry.name == _TEST_FOLDER:
                tests = posixpath.join(folder, _TEST_FOLDER)
                yield from (posixpath.join(tests, one.name) for one in _entries(path / tests) if _is_test(one.name))
        elif _is_loaded(entry.name, at_root=at_root):
            yield posixpath.join(folder, entry.name)


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as opened:
            return list(opened)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_loaded(name: str, *, at_root: bool) -> bool:
    if name.startswith(".") or name.endswith("~") or (name.startswith("#") and name.endswith("#")):
        return False
    if name.endswith(_CODE):
        return True
    return at_root and (name in _VALUES_EXACTLY or name.endswith(_VALUES) or _is_test(name))


def _is_test(name: str) -> bool:
    return name.endswith(_TESTS)


def remove(path: Path) -> None:
    """Whatever it is, and nothing of what a link leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(NotADirectoryError):
            path.unlink(missing_ok=True)
