"""The memory of manifests from one process to the next: an untouched file is read once, and nothing else follows."""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.fakes.local_home import OpenHome, open_local_home

from setpoint.adapters.local import ManifestSync, SyncReport, manifests, memory
from setpoint.adapters.local.index import ManifestIndex
from setpoint.adapters.local.memory import Memory, recall, remember
from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, ObjectRef
from setpoint.targets.environment.code import CODE

SHOP = ObjectRef("Environment", "default", "shop")
GOOD = """\
apiVersion: setpoint.dev/v1alpha1
kind: Environment
metadata: {name: shop, labels: {team: a}}
spec: {stage: dev, source: {path: ./infra}, variablesFrom: [{secretRef: {name: cloud}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: cloud, labels: {a: b}}
stringData: {token: hunter2-very-secret}
"""
BAD = GOOD.replace("stage: dev", "stage: 7")


@contextlib.asynccontextmanager
async def process(root: Path) -> AsyncIterator[tuple[OpenHome, ManifestSync]]:
    """One process on the home, that reads what others remembered."""
    async with open_local_home(root) as home:
        index = ManifestIndex(root, [CODE], memory=home.home.state / "manifests.json")
        try:
            yield home, ManifestSync(home.cluster, index, settle_seconds=0)
        finally:
            await index.close()


async def synced(root: Path) -> SyncReport:
    async with process(root) as (_, sync):
        return await sync.sync()


def write(path: Path, text: str) -> None:
    """A file that was left alone for long enough to be known by its times."""
    path.write_text(text)
    os.utime(path, ns=(1, 1 + len(text)))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("setpoint.adapters.local.index._SETTLED_NS", -(2**62))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are parsed."""
    paths: list[str] = []
    really = manifests.parse

    def parse(path: str, data: bytes, *, lenient: bool):
        paths.append(path)
        return really(path, data, lenient=lenient)

    monkeypatch.setattr("setpoint.adapters.local.manifests.parse", parse)
    return paths


@pytest.mark.usefixtures("settled")
async def test_what_nobody_touched_is_not_read_again(tmp_path: Path, parsed: list[str]) -> None:
    write(tmp_path / "env.yaml", GOOD)
    assert (await synced(tmp_path)).created == (SHOP,)
    parsed.clear()
    assert await synced(tmp_path) == SyncReport()
    assert parsed == []
    async with process(tmp_path) as (home, sync):
        await sync.sync()
        assert sync.affected(["env.yaml"]) == {SHOP, ObjectRef("Secret", "default", "cloud")}
        assert sync.affected(["infra/main.tf"]) == {SHOP}
        assert (await home.cluster.get(SHOP))["metadata"]["labels"] == {"team": "a"}


@pytest.mark.usefixtures("settled")
async def test_an_edit_is_seen(tmp_path: Path) -> None:
    write(tmp_path / "env.yaml", GOOD)
    await synced(tmp_path)
    write(tmp_path / "env.yaml", GOOD.replace("stage: dev", "stage: production"))
    assert (await synced(tmp_path)).changed == (SHOP,)
    (tmp_path / "env.yaml").unlink()
    assert (await synced(tmp_path)).deleted == (SHOP,)
    write(tmp_path / "env.yaml", GOOD)
    assert (await synced(tmp_path)).created == (SHOP,)


@pytest.mark.usefixtures("settled")
async def test_what_is_wrong_is_said_by_every_process_and_mended_by_the_next_good_one(tmp_path: Path) -> None:
    write(tmp_path / "env.yaml", GOOD)
    await synced(tmp_path)
    good = (tmp_path / ".setpoint" / "manifests.json").read_bytes()
    write(tmp_path / "env.yaml", BAD)
    for _ in range(2):
        assert [error.field for error in (await synced(tmp_path)).errors] == ["spec.stage"]
    write(tmp_path / "env.yaml", GOOD)
    # Even where a process that saw the good one before was the last to remember.
    (tmp_path / ".setpoint" / "manifests.json").write_bytes(good)
    await synced(tmp_path)
    async with process(tmp_path) as (home, _):
        assert MANIFEST_ERROR_ANNOTATION not in (await home.cluster.get(SHOP))["metadata"].get("annotations", {})


@pytest.mark.usefixtures("settled")
async def test_an_object_that_moved_since_is_made_what_its_manifest_says(tmp_path: Path) -> None:
    write(tmp_path / "env.yaml", GOOD)
    await synced(tmp_path)
    async with process(tmp_path) as (home, _):
        found = await home.cluster.get(SHOP)
        await home.cluster.update({**found, "spec": {**found["spec"], "stage": "other"}})
    assert (await synced(tmp_path)).changed == (SHOP,)
    async with process(tmp_path) as (home, _):
        await home.cluster.delete(SHOP)
    assert (await synced(tmp_path)).created == (SHOP,)


@pytest.mark.usefixtures("settled")
async def test_no_word_of_a_secret_is_in_it(tmp_path: Path) -> None:
    write(tmp_path / "env.yaml", GOOD)
    await synced(tmp_path)
    text = (tmp_path / ".setpoint" / "manifests.json").read_text()
    (entry,) = [row for row in json.loads(text)["files"]["env.yaml"][2] if row[0] == "Secret"]
    assert entry[5] == "", "a digest of its content would tell of it"
    assert "hunter2" not in text
    assert (tmp_path / ".setpoint" / "manifests.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "meddle",
    [
        pytest.param(lambda path: path.write_text(""), id="empty"),
        pytest.param(lambda path: path.write_text("[" * 100_000), id="deep"),
        pytest.param(lambda path: path.write_text("[]"), id="a list"),
        pytest.param(
            lambda path: path.write_text(path.read_text().replace('"objects":[[', '"objects":[[[')), id="torn"
        ),
        pytest.param(lambda path: path.write_text(path.read_text().replace('"format":[1', '"format":[2')), id="newer"),
        pytest.param(lambda path: (path.unlink(), os.mkfifo(path)), id="a fifo"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a folder"),
        pytest.param(lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")), id="a link"),
        pytest.param(lambda path: os.truncate(path, 2**40), id="a terabyte"),
        pytest.param(lambda path: path.unlink(), id="gone"),
    ],
)
@pytest.mark.usefixtures("settled")
async def test_without_it_everything_is_read_anew(
    tmp_path: Path, parsed: list[str], meddle: Callable[[Path], object]
) -> None:
    write(tmp_path / "env.yaml", GOOD)
    await synced(tmp_path)
    meddle(tmp_path / ".setpoint" / "manifests.json")
    parsed.clear()
    assert await synced(tmp_path) == SyncReport()
    assert "env.yaml" in parsed


async def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("setpoint.adapters.local.index._SETTLED_NS", 2**62)
    (tmp_path / "env.yaml").write_text(GOOD)
    await synced(tmp_path)
    assert recall(tmp_path / ".setpoint" / "manifests.json").files == {}


def test_where_it_can_not_be_written_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(memory.Path, "replace", fail)
    remember(tmp_path / "manifests.json", Memory())
    assert list(tmp_path.iterdir()) == []
