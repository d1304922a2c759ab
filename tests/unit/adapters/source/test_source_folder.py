import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from setpoint.adapters.source.folder import FolderReader
from setpoint.adapters.source.limits import Limits
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.api.conditions import Reason
from setpoint.api.source import Source
from setpoint.domain.errors import StalledError, TransientError
from setpoint.targets.environment.code import CODE

HOUR = 3_600_000_000_000


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.tf").write_text(text)
    return folder


async def test_gives_regular_files_with_their_bytes_and_modes(resolver: SourceResolver, home: Path) -> None:
    code = write(home / "code", main="a", other="b")
    (code / "run.sh").write_text("#!")
    (code / "run.sh").chmod(0o755)
    (code / "sub").mkdir()
    (code / "sub" / "x.tf").write_text("c")
    tree = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    assert [(path, run) for path, (_, run) in tree.files.items()] == [
        ("main.tf", False),
        ("other.tf", False),
        ("run.sh", True),
        ("sub/x.tf", False),
    ]
    assert tree.read("sub/x.tf") == b"c"
    assert tree.revision == tree.digest


async def test_the_path_is_relative_to_the_manifest(resolver: SourceResolver, home: Path) -> None:
    write(home / "code", main="a")
    (home / "envs").mkdir()
    tree = await resolver.resolve(Source(path="../code"), origin=home / "envs", credentials={}, code=CODE)
    assert list(tree.files) == ["main.tf"]


async def test_leaves_out_working_files_and_shows_a_state(resolver: SourceResolver, home: Path) -> None:
    code = write(home / "code", main="a")
    for folder in (".terraform", ".git", ".setpoint", "terraform.tfstate.d"):
        (code / folder).mkdir()
        (code / folder / "x").write_text("x")
    clean = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    (code / "terraform.tfstate").write_text("{}")
    (code / "terraform.tfstate.backup").write_text("{}")
    (code / "terraform.tfstate.d" / "x").unlink()
    (code / "terraform.tfstate.d").rmdir()
    tree = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    assert list(tree.files) == ["main.tf"]
    assert tree.digest == clean.digest
    assert (tree.marks, clean.marks) == ({"terraform.tfstate"}, {"terraform.tfstate.d"})


async def test_a_state_that_goes_away_is_noticed(home: Path) -> None:
    code = write(home / "code", main="a")
    (code / "terraform.tfstate").write_text("{}")
    reader = FolderReader(home, Limits(), now_ns=lambda: time.time_ns() + HOUR)
    before = reader.tree(home, "code", CODE)
    (code / "terraform.tfstate").unlink()
    assert (before.marks, reader.tree(home, "code", CODE).marks) == ({"terraform.tfstate"}, set())


async def test_links_inside_the_source_become_files(resolver: SourceResolver, home: Path) -> None:
    code = write(home / "code", main="a")
    write(code / "real", x="x")
    (code / "link.tf").symlink_to("main.tf")
    (code / "again.tf").symlink_to("./real/../link.tf")
    (code / "folder").symlink_to("real")
    (code / "real" / "up.tf").symlink_to("../main.tf")
    tree = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    assert tree.read("link.tf") == tree.read("again.tf") == tree.read("folder/up.tf") == b"a"
    assert tree.read("folder/x.tf") == b"x"


def _dotdot(home: Path) -> str:
    write(home.parent / "outside", main="a")
    return "../outside"


def _link(target: str) -> Callable[[Path], str]:
    def make(home: Path) -> str:
        code = write(home / "code", main="a")
        write(home / "beside", x="a")
        (code / "link.tf").symlink_to(target)
        return "code"

    return make


def _link_chain(home: Path) -> str:
    code = write(home / "code", main="a")
    (code / "a.tf").symlink_to("b.tf")
    (code / "b.tf").symlink_to("a.tf")
    return "code"


def _root_link(home: Path) -> str:
    write(home.parent / "outside", main="a")
    (home / "code").symlink_to("../outside")
    return "code"


def _fifo(home: Path) -> str:
    os.mkfifo(write(home / "code", main="a") / "pipe.tf")
    return "code"


def _many(home: Path) -> str:
    write(home / "code", **{f"f{number}": "x" for number in range(13)})
    return "code"


def _empty_folders(home: Path) -> str:
    code = write(home / "code", main="a")
    for number in range(13):
        (code / f"f{number}").mkdir()
    return "code"


def _large(home: Path) -> str:
    write(home / "code", main="x" * 1001)
    return "code"


def _large_in_all(home: Path) -> str:
    write(home / "code", a="x" * 999, b="x" * 999, c="x" * 999, d="x" * 999)
    return "code"


def _large_through_links(home: Path) -> str:
    code = write(home / "code", a="x" * 999)
    for number in range(4):
        (code / f"l{number}.tf").symlink_to("a.tf")
    return "code"


def _deep(home: Path) -> str:
    write(home / "code", main="a")
    (home / "code" / "1/2/3/4/5").mkdir(parents=True)
    (home / "code" / "1/2/3/4/5/x.tf").write_text("x")
    return "code"


def _bytes_name(home: Path) -> str:
    write(home / "code", main="a")
    Path(os.fsdecode(os.fsencode(home / "code") + b"/\xff.tf")).write_text("x")
    return "code"


def _newline_name(home: Path) -> str:
    write(home / "code", **{"a\nb": "x"})
    return "code"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(_dotdot, "leads out of the home", id="dotdot"),
        pytest.param(lambda home: str(write(home / "code", main="a")), "not relative", id="absolute"),
        pytest.param(_root_link, "leads out of the home", id="folder-is-an-escaping-link"),
        pytest.param(lambda _: ".setpoint/x", "no place for a source", id="our-own-folder"),
        pytest.param(_link("/etc/hostname"), "link.tf is absolute", id="absolute-link"),
        pytest.param(_link("../../beside/x.tf"), "link.tf leaves the home", id="escaping-link"),
        pytest.param(_link("nothing.tf"), "link.tf names nothing", id="dangling-link"),
        pytest.param(_link("main.tf/x"), "link.tf names nothing", id="link-through-a-file"),
        pytest.param(_link("."), "deeper than 4|more than 12", id="link-to-itself"),
        pytest.param(_link_chain, "names nothing", id="loop-of-links"),
        pytest.param(_fifo, "pipe.tf is neither", id="fifo"),
        pytest.param(_many, "more than 12 files", id="too-many-files"),
        pytest.param(_empty_folders, "more than 12 files", id="too-many-folders"),
        pytest.param(_large, "main.tf is larger than 1000", id="large-file"),
        pytest.param(_large_in_all, "larger than 3000", id="large-in-all"),
        pytest.param(_large_through_links, "larger than 3000", id="large-through-links"),
        pytest.param(_deep, "deeper than 4", id="too-deep"),
        pytest.param(_bytes_name, "not UTF-8", id="name-not-utf8"),
        pytest.param(_newline_name, "characters that are not allowed", id="name-with-newline"),
    ],
)
async def test_refuses(resolver: SourceResolver, home: Path, make: Callable[[Path], str], says: str) -> None:
    with pytest.raises(StalledError, match=says) as caught:
        await resolver.resolve(Source(path=make(home)), origin=home, credentials={}, code=CODE)
    assert caught.value.reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize(
    "path",
    [pytest.param("missing", id="missing"), pytest.param("file.tf", id="a-file"), pytest.param("empty", id="empty")],
)
async def test_what_is_no_folder_with_files_is_not_found(resolver: SourceResolver, home: Path, path: str) -> None:
    write(home, file="a")
    (home / "empty").mkdir()
    with pytest.raises(StalledError) as caught:
        await resolver.resolve(Source(path=path), origin=home, credentials={}, code=CODE)
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND


async def test_an_unchanged_folder_is_not_read_again(home: Path) -> None:
    code = write(home / "code", **{f"f{number}": "x" for number in range(20)})
    reader = FolderReader(home, Limits(), now_ns=lambda: time.time_ns() + HOUR)
    first = reader.tree(home, "code", CODE)
    assert reader.tree(home, "code", CODE) is first
    (code / "f0.tf").write_text("y")
    second = reader.tree(home, "code", CODE)
    assert (second is first, second.digest == first.digest) == (False, False)


async def test_a_file_that_was_just_written_is_read_again(home: Path) -> None:
    write(home / "code", main="a")
    reader = FolderReader(home, Limits())
    first = reader.tree(home, "code", CODE)
    second = reader.tree(home, "code", CODE)
    assert (second is first, second == first) == (False, True)


async def test_reads_only_what_it_digested(resolver: SourceResolver, home: Path) -> None:
    code = write(home / "code", main="a")
    tree = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    (code / "main.tf").write_text("b")
    with pytest.raises(TransientError, match=r"main\.tf changed") as caught:
        tree.read("main.tf")
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE


async def test_a_file_swapped_for_a_link_leads_nowhere(resolver: SourceResolver, home: Path) -> None:
    code = write(home / "code", main="a")
    tree = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    write(home, secret="a")
    (code / "main.tf").unlink()
    (code / "main.tf").symlink_to("../secret.tf")
    with pytest.raises(TransientError, match=r"main\.tf changed"):
        tree.read("main.tf")


async def test_a_folder_swapped_for_a_link_leads_nowhere(resolver: SourceResolver, home: Path) -> None:
    code = write(home / "code", main="a")
    write(code / "sub", x="a")
    write(home / "beside", x="a")
    tree = await resolver.resolve(Source(path="code"), origin=home, credentials={}, code=CODE)
    (code / "sub").rename(home / "away")
    (code / "sub").symlink_to("../beside")
    with pytest.raises(TransientError, match=r"sub/x\.tf changed"):
        tree.read("sub/x.tf")


async def test_a_cluster_has_no_folders(tmp_path: Path) -> None:
    resolver = SourceResolver(None, tmp_path)
    with pytest.raises(StalledError, match="local home only"):
        await resolver.resolve(Source(path="code"), origin=None, credentials={}, code=CODE)
    await resolver.close()
