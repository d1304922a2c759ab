"""The files of its repository or home that a root module reaches: the same for git and for a folder of the home."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from tests.fakes.git_repository import Repository

from setpoint.adapters.source.folder import FolderReader
from setpoint.adapters.source.limits import Limits
from setpoint.adapters.source.resolver import SourceResolver
from setpoint.api.conditions import Reason
from setpoint.api.source import GitSource, Source
from setpoint.domain.errors import StalledError
from setpoint.ports import NamedPath, SourceTree
from setpoint.targets.environment.code import CODE

ROOT = "live/eu"
SITE = "modules/site"
FAR = {
    "live/us/main.tf": "us",
    "modules/other/main.tf": "other",
    "shared/x.txt": "x",
    "shared/deep/y.txt": "y",
    "README.md": "r",
}
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'5f' * 32}\nsize 731200\n"
HOUR = 3_600_000_000_000


def call(source: str) -> str:
    return f'module "m" {{\n  source = "{source}"\n}}\n'


def lay_out(folder: Path, files: Mapping[str, str], links: Mapping[str, str] = {}) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, target in links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)


@pytest.fixture
async def roomy(home: Path, tmp_path: Path):
    made = SourceResolver(home, tmp_path / "roomy")
    yield made
    await made.close()


async def both(
    resolver: SourceResolver, home: Path, repository: Repository, files: Mapping[str, str], links: Mapping[str, str]
) -> SourceTree:
    """The tree of ROOT: from the home, and the same from a repository."""
    lay_out(home, files, links)
    lay_out(repository.folder, {}, links)
    repository.commit(dict(files))
    tree = await resolver.resolve(Source(path=ROOT), origin=home, credentials={}, code=CODE)
    source = Source(git=GitSource(url=repository.url, path=ROOT))
    other = await resolver.resolve(source, origin=None, credentials={}, code=CODE)
    assert (other.digest, other.root, dict(other.files)) == (tree.digest, tree.root, dict(tree.files))
    assert all(other.read(name) == tree.read(name) for name in tree.files)
    return tree


@pytest.mark.parametrize(
    ("files", "links", "reached"),
    [
        pytest.param({f"{ROOT}/main.tf": call("../../modules/site"), f"{SITE}/main.tf": ""}, {},
                     {f"{SITE}/main.tf"}, id="a module"),
        pytest.param({f"{ROOT}/main.tf": call("../../modules/site"), f"{SITE}/main.tf": call("../base"),
                      "modules/base/main.tf": call("./in"), "modules/base/in/main.tf": "",
                      "modules/base/out/main.tf": ""}, {},
                     {f"{SITE}/main.tf", "modules/base/main.tf", "modules/base/in/main.tf"}, id="modules of modules"),
        pytest.param({f"{ROOT}/main.tf": call("../../modules/site"), f"{SITE}/main.tf": call("../../live/eu")}, {},
                     {f"{SITE}/main.tf"}, id="modules in a circle"),
        pytest.param({f"{ROOT}/main.tf": call("../../modules/site"), f"{SITE}/main.tf": "",
                      f"{SITE}/tpl/a/x.tpl": "t", f"{SITE}/examples/one/main.tf": "e"}, {},
                     {f"{SITE}/main.tf", f"{SITE}/tpl/a/x.tpl"}, id="a module's files without the modules below it"),
        pytest.param({f"{ROOT}/main.tf": call("../.."), "main.tf": ""}, {},
                     {"main.tf", "README.md", "shared/x.txt", "shared/deep/y.txt"}, id="the top as a module"),
        pytest.param({f"{ROOT}/main.tf": call("../../modules/none")}, {}, set(), id="a module that is not there"),
        pytest.param({f"{ROOT}/main.tf": 'x = file("${path.module}/../../shared/x.txt")'}, {},
                     {"shared/x.txt"}, id="a file by text"),
        pytest.param({f"{ROOT}/main.tf": 'x = fileset("../../shared", "**")'}, {},
                     {"shared/x.txt", "shared/deep/y.txt"}, id="a folder by text"),
        pytest.param({f"{ROOT}/main.tf": 'x = file("../../shared/${var.x}.txt")'}, {},
                     {"shared/x.txt", "shared/deep/y.txt"}, id="a folder where the name is not known"),
        pytest.param({f"{ROOT}/main.tf": call("../../modules/site"),
                      f"{SITE}/main.tf": 'x = file("${path.module}/../../shared/x.txt")'}, {},
                     {f"{SITE}/main.tf", "shared/x.txt"}, id="a file by a module's text"),
        pytest.param({f"{ROOT}/main.tf": 'x = file("../none.txt")\ny = "${path.module}/../.."\n# "../us/main.tf"'}, {},
                     {*FAR}, id="a top by text is everything"),
        pytest.param({f"{ROOT}/main.tf": call("../m"), f"{SITE}/main.tf": ""}, {"live/m": "../modules/site"},
                     {"live/m/main.tf"}, id="a module behind a link"),
        pytest.param({f"{ROOT}/main.tf": call("../m"), f"{SITE}/main.tf": call("../us")}, {"live/m": "../modules/site"},
                     {"live/m/main.tf", "live/us/main.tf"}, id="up from behind a link goes by the text"),
        pytest.param({f"{ROOT}/main.tf": call("../../modules/site"), f"{SITE}/main.tf": ""},
                     {f"{SITE}/v.tf": "../../shared/x.txt"}, {f"{SITE}/main.tf", f"{SITE}/v.tf"}, id="a module's link"),
    ],
)  # fmt: skip
async def test_what_code_reaches_is_in_the_tree(
    roomy: SourceResolver, home: Path, repository: Repository,
    files: dict[str, str], links: dict[str, str], reached: set[str],
) -> None:  # fmt: skip
    tree = await both(roomy, home, repository, {**FAR, **files}, links)
    if reached:
        assert tree.files.keys() == {f"{ROOT}/main.tf", *reached}
        assert tree.root == ROOT
    else:
        assert (set(tree.files), tree.root) == ({"main.tf"}, "")


async def test_links_alone_leave_the_folder_where_it_is(
    roomy: SourceResolver, home: Path, repository: Repository
) -> None:
    links = {f"{ROOT}/v.tf": "../../shared/x.txt", f"{ROOT}/deep": "../../shared/deep", "shared/deep/up": "../x.txt"}
    tree = await both(roomy, home, repository, {**FAR, f"{ROOT}/main.tf": "a"}, links)
    assert (tree.root, set(tree.files)) == ("", {"main.tf", "v.tf", "deep/y.txt", "deep/up"})
    plain = await roomy.resolve(
        Source(inline={"main.tf": "a", "v.tf": "x", "deep/y.txt": "y", "deep/up": "x"}),
        origin=None,
        credentials={},
        code=CODE,
    )
    assert tree.digest == plain.digest


async def test_the_digest_moves_with_what_is_reached_alone(roomy: SourceResolver, repository: Repository) -> None:
    repository.commit({**FAR, f"{ROOT}/main.tf": call("../../modules/site"), f"{SITE}/main.tf": "a"})
    source = Source(git=GitSource(url=repository.url, path=ROOT))
    before = await roomy.resolve(source, origin=None, credentials={}, code=CODE)
    repository.commit(dict.fromkeys(FAR, "another"))
    far = await roomy.resolve(source, origin=None, credentials={}, code=CODE)
    repository.commit({f"{SITE}/main.tf": "b"})
    near = await roomy.resolve(source, origin=None, credentials={}, code=CODE)
    assert (far.digest == before.digest, far.revision == before.revision) == (True, False)
    assert near.digest != before.digest


async def test_another_root_over_the_same_files_is_another_source(
    roomy: SourceResolver, repository: Repository
) -> None:
    repository.commit({"a/main.tf": call("../b"), "b/main.tf": call("../a")})
    one, two = [
        await roomy.resolve(
            Source(git=GitSource(url=repository.url, path=path)), origin=None, credentials={}, code=CODE
        )
        for path in ("a", "b")
    ]
    assert (one.files == two.files, one.digest == two.digest) == (True, False)


@pytest.mark.parametrize(
    ("files", "links", "says"),
    [
        pytest.param({f"{ROOT}/main.tf": call("../../../x")}, {}, "live/eu/main.tf:1: the module's source leads out",
                     id="module"),
        pytest.param({f"{ROOT}/main.tf": call("../../modules/site"), f"{SITE}/main.tf": "\n" + call("../../../x")}, {},
                     "modules/site/main.tf:2: the module's source leads out", id="module of a module"),
        pytest.param({f"{ROOT}/main.tf": 'x = file("${path.module}/../../../etc/x")'}, {},
                     "live/eu/main.tf:1: ../etc/x leads out", id="file"),
        pytest.param({f"{ROOT}/main.tf": ""}, {f"{ROOT}/v.tf": "../../../x"}, "live/eu/v.tf leaves the", id="link"),
        pytest.param({f"{ROOT}/main.tf": call("../m")}, {"live/m": "../.."}, "live/m leaves the", id="module link"),
        pytest.param({f"{ROOT}/main.tf": ""}, {f"{ROOT}/a": "../b", "live/b": "eu/a"}, "names nothing", id="circle"),
        pytest.param({f"{ROOT}/main.tf": 'x = "../../shared"', "shared/p.bin": POINTER}, {},
                     "shared/p.bin is kept in Git LFS", id="pointer of git lfs"),
    ],
)  # fmt: skip
async def test_what_leads_out_is_refused_by_name(
    roomy: SourceResolver, home: Path, repository: Repository, files: dict[str, str], links: dict[str, str], says: str
) -> None:
    lay_out(home, files, links)
    lay_out(repository.folder, {}, links)
    repository.commit(files)
    for source in (Source(path=ROOT), Source(git=GitSource(url=repository.url, path=ROOT))):
        with pytest.raises(StalledError, match=says) as caught:
            await roomy.resolve(source, origin=home, credentials={}, code=CODE)
        assert caught.value.reason is Reason.SOURCE_REFUSED


async def test_only_what_is_reached_is_fetched(roomy: SourceResolver, repository: Repository, tmp_path: Path) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    lay_out(repository.folder, {}, {f"{ROOT}/v.tf": "../../shared/x.txt", "live/m": "../modules/site"})
    repository.commit({**FAR, f"{ROOT}/main.tf": call("../m"), f"{SITE}/main.tf": call("../us")})
    source = Source(git=GitSource(url=f"file://{repository.url}", path=ROOT))
    tree = await roomy.resolve(source, origin=None, credentials={}, code=CODE)
    assert set(tree.files) == {f"{ROOT}/main.tf", f"{ROOT}/v.tf", "live/m/main.tf", "live/us/main.tf"}
    (copy,) = (tmp_path / "roomy").glob("git/*/repository")
    held = repository.git("--git-dir", str(copy), "cat-file", "--batch-check", "--batch-all-objects")
    assert repository.git("rev-parse", "HEAD:shared/x.txt") in held
    assert repository.git("rev-parse", "HEAD:README.md") not in held


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        pytest.param(f"{SITE}/main.tf", True, id="a module's file"),
        pytest.param(f"{SITE}/new.tf", True, id="a module's new file"),
        pytest.param("shared/x.txt", True, id="a link's target"),
        pytest.param("shared/none.txt", True, id="what was named and not there"),
        pytest.param("README.md", False, id="what is not reached"),
    ],
)
def test_an_unchanged_home_is_not_read_again(home: Path, path: str, seen: bool) -> None:
    code = call("../../modules/site") + 'x = file("../../shared/none.txt")'
    lay_out(home, {**FAR, f"{ROOT}/main.tf": code, f"{SITE}/main.tf": ""}, {f"{ROOT}/v.tf": "../../shared/x.txt"})
    reader = FolderReader(home, Limits(), now_ns=lambda: time.time_ns() + HOUR)
    first = reader.tree(home, ROOT, CODE)
    assert reader.tree(home, ROOT, CODE) is first
    (home / path).write_text("changed")
    second = reader.tree(home, ROOT, CODE)
    assert (second is not first, second.digest != first.digest) == (seen, seen)


@pytest.mark.parametrize(
    ("path", "reads"),
    [
        pytest.param(f"{ROOT}/main.tf", True, id="its own"),
        pytest.param(f"{SITE}/main.tf", True, id="a module's"),
        pytest.param(f"{SITE}/new.tf", True, id="a module's new one"),
        pytest.param(SITE, True, id="a module's folder"),
        pytest.param("shared/x.txt", True, id="a link's target"),
        pytest.param("shared/none.txt", True, id="what was named and not there"),
        pytest.param("live/us/main.tf", False, id="another's"),
        pytest.param("README.md", False, id="what is not reached"),
    ],
)
def test_who_reads_a_file_is_known(home: Path, path: str, reads: bool) -> None:
    code = call("../../modules/site") + 'x = file("../../shared/none.txt")'
    lay_out(home, {**FAR, f"{ROOT}/main.tf": code, f"{SITE}/main.tf": ""}, {f"{ROOT}/v.tf": "../../shared/x.txt"})
    reader = FolderReader(home, Limits())
    assert reader.readers_of([path]) == frozenset()
    reader.tree(home / "live", "eu", CODE)
    assert reader.readers_of(["README.md", path]) == ({ROOT} if reads else set())


# --- Another kind of target ------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class PlainFiles:
    """Files that name no others; Terraform's are like any."""

    marks: ClassVar[frozenset[str]] = frozenset({"README"})

    def leaves_out(self, _name: str) -> bool:
        return False

    def is_code(self, _name: str) -> bool:
        return False

    def names_paths(self, _name: str) -> bool:
        return False

    def called_folders(self, *_: object) -> tuple[NamedPath, ...]:
        return ()

    named_paths = called_folders


async def test_each_kind_of_target_says_what_its_files_reach(
    roomy: SourceResolver, home: Path, repository: Repository
) -> None:
    files = {"main.tf": call("../../modules/site"), ".terraform/x": "x", "terraform.tfstate": "{}", "README": "r"}
    lay_out(home, {**{f"{ROOT}/{name}": text for name, text in files.items()}, f"{SITE}/main.tf": "a"})
    repository.commit({**{f"{ROOT}/{name}": text for name, text in files.items()}, f"{SITE}/main.tf": "a"})
    for source, origin in ((Source(path=ROOT), home), (Source(git=GitSource(url=repository.url, path=ROOT)), None)):
        of_code = await roomy.resolve(source, origin=origin, credentials={}, code=CODE)
        plain = await roomy.resolve(source, origin=origin, credentials={}, code=PlainFiles())
        assert (of_code.root, f"{SITE}/main.tf" in of_code.files, of_code.marks) == (ROOT, True, {"terraform.tfstate"})
        assert (plain.root, set(plain.files), plain.marks) == ("", set(files) - {"README"}, {"README"})
    moved = [f"{SITE}/main.tf"]
    assert roomy.readers_of(moved) == {ROOT}
