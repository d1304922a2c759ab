"""The memory of a container, as the kernel's files of each version of control groups tell it."""

from pathlib import Path

import pytest

from setpoint.runtime.memory import memory_group

GIB = 1 << 30


def second(root: Path, limit: str) -> None:
    """The files of version 2."""
    (root / "memory.max").write_text(limit + "\n")
    (root / "memory.current").write_text(f"{3 * GIB}\n")
    (root / "memory.stat").write_text(f"anon 1\ninactive_anon 7\ninactive_file {GIB}\n")


def first(root: Path, limit: str) -> None:
    """The files of version 1."""
    (root / "memory").mkdir()
    (root / "memory" / "memory.limit_in_bytes").write_text(limit + "\n")
    (root / "memory" / "memory.usage_in_bytes").write_text(f"{3 * GIB}\n")
    (root / "memory" / "memory.stat").write_text(f"inactive_file 5\ntotal_inactive_file {GIB}\n")


@pytest.mark.parametrize("version", [first, second])
def test_the_limit_and_what_is_used_but_for_what_can_be_dropped(tmp_path: Path, version: object) -> None:
    version(tmp_path, str(4 * GIB))  # type: ignore[operator]
    group = memory_group(tmp_path)
    assert group is not None
    assert (group.limit, group.used()) == (4 * GIB, 2 * GIB)


@pytest.mark.parametrize(("version", "limit"), [(first, "9223372036854771712"), (second, "max"), (second, "")])
def test_there_may_be_no_limit(tmp_path: Path, version: object, limit: str) -> None:
    version(tmp_path, limit)  # type: ignore[operator]
    assert memory_group(tmp_path) is None


def test_there_may_be_no_control_groups(tmp_path: Path) -> None:
    assert memory_group(tmp_path) is None


def test_without_statistics_all_counts(tmp_path: Path) -> None:
    second(tmp_path, str(4 * GIB))
    (tmp_path / "memory.stat").write_text("")
    group = memory_group(tmp_path)
    assert group is not None
    assert group.used() == 3 * GIB
