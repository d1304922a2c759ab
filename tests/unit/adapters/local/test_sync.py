"""How manifests become objects, and how objects outlive what goes wrong with their manifests."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from tests.fakes.local_home import OpenHome, open_local_home

from setpoint.adapters.local import ManifestSync, SyncReport, tree
from setpoint.api.meta import MANIFEST_ERROR_ANNOTATION, PLAIN_ANNOTATION, SUSPEND_ANNOTATION, JsonObject, ObjectRef
from setpoint.domain.errors import AlreadyExistsError, InvalidError, NotFoundError

GOOD = """\
apiVersion: setpoint.dev/v1alpha1
kind: Environment
metadata:
  name: shop
  labels: {team: a}
spec:
  stage: dev
  source: {inline: {main.tf: ""}}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: cloud, labels: {a: b}}
stringData: {token: hunter2}
"""
POLICIES = """\
apiVersion: setpoint.dev/v1alpha1
kind: PolicySet
metadata: {name: base}
spec: {source: {builtin: baseline}}
---
apiVersion: setpoint.dev/v1alpha1
kind: EnforcementGates
metadata: {name: gates}
spec: {gates: [{name: g, stages: [apply], approvals: 1}]}
"""
SHOP = ObjectRef("Environment", "default", "shop")
CLOUD = ObjectRef("Secret", "default", "cloud")
FINALIZER = "setpoint.dev/finalizer"


@dataclasses.dataclass
class Work:
    """An open home, its manifests' way in, and the file that most tests write."""

    home: OpenHome
    sync: ManifestSync
    root: Path
    file: Path

    async def shop(self) -> JsonObject:
        return await self.home.cluster.get(SHOP)

    async def mark(self) -> str | None:
        return (await self.shop())["metadata"].get("annotations", {}).get(MANIFEST_ERROR_ANNOTATION)


@pytest.fixture
async def work(tmp_path: Path) -> AsyncIterator[Work]:
    async with open_local_home(tmp_path) as home:
        yield Work(home, ManifestSync(home.cluster, home.index, settle_seconds=0), tmp_path, tmp_path / "env.yaml")


async def test_creates_once(work: Work) -> None:
    work.file.write_text(GOOD)
    assert await work.sync.sync() == SyncReport(created=(SHOP,))
    first = await work.shop()
    assert first["metadata"]["labels"] == {"team": "a"}
    assert await work.sync.sync() == SyncReport()
    assert await work.shop() == first


async def test_another_process_finds_nothing_to_do(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    before = await work.shop()
    async with open_local_home(work.root) as other:
        assert await ManifestSync(other.cluster, other.index).sync() == SyncReport()
    assert await work.shop() == before


async def test_changes_the_spec(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    work.file.write_text(GOOD.replace("stage: dev", "stage: prod"))
    assert await work.sync.sync() == SyncReport(changed=(SHOP,))
    shop = await work.shop()
    assert (shop["spec"]["stage"], shop["metadata"]["generation"]) == ("prod", 2)


@pytest.mark.parametrize("text", [GOOD + "# a comment\n", "---\n" + GOOD, GOOD + "  drift: {mode: Propose}\n"])
async def test_what_means_the_same_changes_nothing(work: Work, text: str) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    before = await work.shop()
    work.file.write_text(text)
    assert await work.sync.sync() == SyncReport()
    assert await work.shop() == before


async def test_a_secret_names_plain_keys_for_as_long_as_its_manifest_does(work: Work) -> None:
    work.file.write_text(SECRET.replace("labels: {a: b}", "annotations: {setpoint.dev/plain: token}"))
    await work.sync.sync()
    assert (await work.home.cluster.get(CLOUD))["metadata"]["annotations"] == {PLAIN_ANNOTATION: "token"}
    work.file.write_text(SECRET)
    await work.sync.sync()
    assert not (await work.home.cluster.get(CLOUD))["metadata"].get("annotations")


async def test_keeps_status_finalizers_and_what_commands_said(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    held = await work.shop()
    held["metadata"]["finalizers"] = [FINALIZER]
    held = await work.home.cluster.update(held)
    await work.home.cluster.update_status({**held, "status": {"failures": 4}})
    await work.home.cluster.annotate(SHOP, {SUSPEND_ANNOTATION: "alice", "mine": "x"})
    work.file.write_text(GOOD.replace("labels: {team: a}", "annotations: {note: hello}"))
    await work.sync.sync()
    shop = await work.shop()
    assert shop["metadata"]["annotations"] == {SUSPEND_ANNOTATION: "alice", "note": "hello"}
    assert "labels" not in shop["metadata"]
    assert shop["metadata"]["finalizers"] == [FINALIZER]
    assert shop["status"] == {"failures": 4}
    assert shop["metadata"]["generation"] == 1


async def test_deletes_what_is_gone(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    work.file.unlink()
    assert await work.sync.sync() == SyncReport(deleted=(SHOP,))
    with pytest.raises(NotFoundError):
        await work.shop()


async def test_deletes_what_went_while_nobody_looked(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    work.file.unlink()
    async with open_local_home(work.root) as other:
        report = await ManifestSync(other.cluster, other.index, settle_seconds=0).sync()
    assert report == SyncReport(deleted=(SHOP,))


async def test_deletes_one_document_of_several(work: Work) -> None:
    work.file.write_text(GOOD + "---\n" + GOOD.replace("name: shop", "name: two"))
    await work.sync.sync()
    work.file.write_text(GOOD)
    assert (await work.sync.sync()).deleted == (ObjectRef("Environment", "default", "two"),)
    assert await work.shop()


async def test_deletion_waits_for_finalizers_and_is_asked_for_once(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    shop = await work.shop()
    shop["metadata"]["finalizers"] = [FINALIZER]
    await work.home.cluster.update(shop)
    work.file.unlink()
    assert (await work.sync.sync()).deleted == (SHOP,)
    stamped = await work.shop()
    assert stamped["metadata"]["deletionTimestamp"]
    assert await work.sync.sync() == SyncReport()
    stamped["metadata"]["finalizers"] = []
    await work.home.cluster.update(stamped)
    work.file.write_text(GOOD)
    assert await work.sync.sync() == SyncReport(created=(SHOP,))
    assert (await work.shop())["metadata"]["uid"] != stamped["metadata"]["uid"]


@pytest.mark.parametrize("same", [True, False], ids=["as-it-was", "edited"])
@pytest.mark.parametrize("later", [True, False], ids=["another-process", "the-same"])
async def test_a_manifest_that_is_put_back_calls_the_deletion_off(work: Work, same: bool, later: bool) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    held = await work.shop()
    held["metadata"]["finalizers"] = [FINALIZER]
    before = await work.home.cluster.update(held)
    work.file.unlink()
    await work.sync.sync()
    work.file.write_text(GOOD if same else GOOD.replace("stage: dev", "stage: prod"))
    sync = ManifestSync(work.home.cluster, work.home.index, settle_seconds=0) if later else work.sync
    assert await sync.sync() == SyncReport(changed=(SHOP,))
    after = await work.shop()
    assert not {"deletionTimestamp", "deletionGracePeriodSeconds"} & after["metadata"].keys()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["finalizers"] == [FINALIZER]
    assert after["metadata"]["generation"] > before["metadata"]["generation"] + 1
    assert (after["spec"] == before["spec"]) is same
    assert await sync.sync() == SyncReport()


async def test_a_file_that_is_back_in_a_moment_was_never_gone(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    before = await work.shop()
    slow = ManifestSync(work.home.cluster, work.home.index, settle_seconds=0.05)
    work.file.unlink()
    syncing = asyncio.create_task(slow.sync())
    async with asyncio.timeout(60):
        while await work.home.index.read(SHOP) is not None:
            pass
    work.file.write_text(GOOD)
    assert (await syncing).deleted == ()
    assert await work.shop() == before


async def test_a_moved_manifest_is_the_same_object(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    uid = (await work.shop())["metadata"]["uid"]
    (work.root / "sub").mkdir()
    work.file.rename(work.root / "sub" / "moved.yaml")
    report = await work.sync.sync()
    assert report.deleted == ()
    assert (await work.shop())["metadata"]["uid"] == uid
    assert work.sync.folder_of(SHOP) == work.root / "sub"
    (work.root / "sub" / "moved.yaml").unlink()
    assert (await work.sync.sync()).deleted == (SHOP,)


BROKEN = {
    "not yaml": (GOOD + "  x: [\n", "env.yaml:10: not YAML"),
    "invalid": (GOOD.replace("stage: dev", "stage: 5"), "env.yaml:7: spec.stage: must be a valid string"),
    "nameless": (GOOD.replace("  name: shop\n", ""), "env.yaml:3: metadata.name: is required"),
    "another kind": (GOOD.replace("kind: Environment", "kind: Snapshot"), "env.yaml:2: kind: a Snapshot is made"),
    "unknown kind": (GOOD.replace("kind: Environment", "kind: Env"), "env.yaml:2: kind: unknown kind"),
    "too large": (GOOD + "#" * (1 << 20), "env.yaml: larger than 1 MiB"),
    "cut off": (GOOD[:60], "env.yaml:4: not YAML"),
}


@pytest.mark.parametrize(("text", "expected"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_manifest_changes_nothing_and_is_told(work: Work, text: str, expected: str) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    before = await work.shop()
    work.file.write_text(text)
    report = await work.sync.sync()
    assert (report.created, report.changed, report.deleted) == ((), (), ())
    assert str(report.errors[0]).startswith(expected)
    shop = await work.shop()
    assert shop["spec"] == before["spec"]
    assert shop["metadata"]["generation"] == before["metadata"]["generation"]
    assert (await work.mark() or "").startswith(expected)
    again = await work.sync.sync()
    assert again.errors == report.errors
    assert await work.shop() == shop
    work.file.write_text(GOOD)
    assert (await work.sync.sync()).errors == ()
    assert await work.mark() is None


async def test_a_broken_new_manifest_makes_nothing(work: Work) -> None:
    work.file.write_text(GOOD.replace("stage: dev", "stage: 5"))
    assert len((await work.sync.sync()).errors) == 1
    with pytest.raises(NotFoundError):
        await work.shop()


async def test_a_duplicate_changes_nothing(work: Work) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    (work.root / "copy.yaml").write_text(GOOD.replace("stage: dev", "stage: prod"))
    report = await work.sync.sync()
    assert [error.file for error in report.errors] == ["copy.yaml", "env.yaml"]
    assert (await work.shop())["spec"]["stage"] == "dev"
    assert "copy.yaml:1" in (await work.mark() or "") or "env.yaml:1" in (await work.mark() or "")
    (work.root / "copy.yaml").unlink()
    assert (await work.sync.sync()).errors == ()
    assert await work.mark() is None


async def test_an_unreadable_folder_deletes_nothing(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    (work.root / "sub").mkdir()
    (work.root / "sub" / "env.yaml").write_text(GOOD)
    await work.sync.sync()
    with monkeypatch.context() as patch:
        patch.setattr("setpoint.adapters.local.tree._entries", _refuse("sub/"))
        report = await work.sync.sync()
    assert report.deleted == ()
    assert "can't be read" in (await work.mark() or "")
    assert (await work.sync.sync()).errors == ()
    assert await work.mark() is None


def _refuse(folder: str):
    real = tree._entries

    def entries(root: Path, name: str):
        if name == folder:
            raise PermissionError(13, "Permission denied")
        return real(root, name)

    return entries


async def test_a_home_that_can_not_be_seen_deletes_nothing(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.file.write_text(GOOD)
    await work.sync.sync()
    monkeypatch.setattr("setpoint.adapters.local.tree._entries", _refuse(""))
    report = await work.sync.sync()
    assert (report.deleted, len(report.errors)) == ((), 1)
    assert await work.shop()


async def test_objects_of_commands_are_left_alone(work: Work) -> None:
    snapshot = {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Snapshot",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {
            "targetRef": {"kind": "Environment", "name": "shop"},
            "digest": "sha256:" + "a" * 64,
            "environment": {"stateVersion": 1},
        },
    }
    await work.home.cluster.create(snapshot)
    by_hand = {
        "apiVersion": "setpoint.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": "by-hand", "namespace": "default"},
        "spec": {"stage": "dev", "source": {"inline": {}}},
    }
    await work.home.cluster.create(by_hand)
    assert await work.sync.sync() == SyncReport()
    assert len((await work.home.cluster.list("Environment")).items) == 1


async def test_other_declared_kinds(work: Work) -> None:
    work.file.write_text(POLICIES)
    report = await work.sync.sync()
    assert {ref.kind for ref in report.created} == {"PolicySet", "EnforcementGates"}


class TestSecretsOfManifests:
    async def test_are_served_and_never_stored(self, work: Work) -> None:
        work.file.write_text(SECRET)
        assert await work.sync.sync() == SyncReport()
        assert (await work.home.cluster.get(CLOUD))["data"] == {"token": "aHVudGVyMg=="}
        assert (await work.home.store.list("Secret")).items == ()
        for file in work.home.home.state.rglob("*"):
            assert not file.is_file() or b"hunter2" not in file.read_bytes()

    async def test_are_listed_without_content(self, work: Work) -> None:
        work.file.write_text(SECRET)
        (listed,) = (await work.home.cluster.list("Secret", labels={"a": "b"})).items
        assert listed["metadata"]["name"] == "cloud"
        assert "hunter2" not in str(listed)
        assert "data" not in listed

    async def test_are_the_files_alone_to_change(self, work: Work) -> None:
        work.file.write_text(SECRET)
        secret = await work.home.cluster.get(CLOUD)
        with pytest.raises(InvalidError, match="edit that file"):
            await work.home.cluster.update(secret)
        with pytest.raises(InvalidError, match="edit that file"):
            await work.home.cluster.delete(CLOUD)
        assert work.file.read_text() == SECRET

    async def test_made_by_the_manager_are_sealed(self, work: Work) -> None:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "outputs", "namespace": "default"},
            "data": {"token": "aHVudGVyMg=="},
        }
        await work.home.cluster.create(secret)
        (row,) = (await work.home.store.list("Secret")).items
        assert "aHVudGVyMg" not in row.body
        (blob,) = await work.home.cluster.blobs()
        assert b"aHVudGVyMg" in await work.home.blobs.get(blob)
        for file in work.home.home.state.rglob("*"):
            assert not file.is_file() or b"aHVudGVyMg" not in file.read_bytes()
        assert "data" not in (await work.home.cluster.list("Secret")).items[0]

    async def test_hide_a_namesake_that_is_to_be_made(self, work: Work) -> None:
        work.file.write_text(SECRET)
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cloud", "namespace": "default"}}
        with pytest.raises(AlreadyExistsError):
            await work.home.cluster.create(secret)


async def test_an_object_that_is_too_large_is_told(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("setpoint.domain.objects._MAX_BYTES", 100)
    work.file.write_text(GOOD)
    report = await work.sync.sync()
    assert [str(error) for error in report.errors] == ["env.yaml:1: the object is larger than 1.5 MiB"]


async def test_where_manifests_stand(work: Work) -> None:
    assert work.sync.folder_of(SHOP) == work.root
    (work.root / "sub").mkdir()
    (work.root / "sub" / "env.yaml").write_text(GOOD)
    await work.sync.sync()
    assert work.sync.folder_of(SHOP) == work.root / "sub"
    assert work.sync.affected({"sub/env.yaml"}) == {SHOP}


async def test_an_object_that_was_made_otherwise_becomes_the_manifests(work: Work) -> None:
    await work.home.cluster.create(
        {
            "apiVersion": "setpoint.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": "shop", "namespace": "default"},
            "spec": {"stage": "prod", "source": {"inline": {}}},
        }
    )
    work.file.write_text(GOOD)
    assert await work.sync.sync() == SyncReport(changed=(SHOP,))
    work.file.unlink()
    assert await work.sync.sync() == SyncReport(deleted=(SHOP,))


# --- Unreadable files that may be gates ---------------------------------------------------------------------------

GATES = """\
apiVersion: setpoint.dev/v1alpha1
kind: EnforcementGates
metadata: {name: org}
spec:
  gates:
    - {name: g, stages: [apply], approvals: 1}
"""


@pytest.mark.parametrize(
    ("text", "told", "kinds", "name"),
    [
        pytest.param(
            GATES.replace("approvals", "aprovals"),
            "g.yaml:6: spec.gates[0].aprovals",
            {"EnforcementGates"},
            "org",
            id="mistyped",
        ),
        pytest.param(GATES + "---\n" + GATES, "g.yaml:1: metadata.name: ", {"EnforcementGates"}, "org", id="twice"),
        pytest.param(GATES + "  : [\n", "g.yaml:7: not YAML", {"EnforcementGates", "PolicySet"}, None, id="no YAML"),
        pytest.param(None, "g.yaml: a link that leads", {"EnforcementGates", "PolicySet"}, None, id="not to be opened"),
    ],
)
async def test_gates_that_can_not_be_read_are_told_of(
    work: Work, text: str | None, told: str, kinds: set[str], name: str | None
) -> None:
    """At first sight, and after they were good."""
    file = work.root / "g.yaml"
    for before in ("", GATES):
        file.unlink(missing_ok=True)
        file.write_text(before)
        assert not (await work.sync.sync()).errors
        assert work.sync.unread() == ()
        if text is None:
            file.unlink()
            file.symlink_to("gone.yaml")
        else:
            file.write_text(text)
        report = await work.sync.sync()
        found = work.sync.unread()[0]
        assert found.text.startswith(told)
        assert (found.kinds, found.name) == (kinds, name)
        assert report.deleted == (), "what is there stays"
    file.unlink()
    assert (await work.sync.sync()).deleted, "what somebody removed is gone on purpose"
    assert work.sync.unread() == ()


async def test_what_governs_comes_before_what_it_guards(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what can't be read: who is told of a new target must find it."""
    work.file.write_text(GOOD)
    (work.root / "g.YML").write_text(GATES)
    (work.root / "p.yaml").write_text("kind: EnforcementGates\n")
    create, seen = work.home.cluster.create_declared, []

    async def watched(obj: JsonObject, **more: str) -> JsonObject:
        seen.append((obj["kind"], [one.text for one in work.sync.unread()]))
        return await create(obj, **more)

    monkeypatch.setattr(work.home.cluster, "create_declared", watched)
    await work.sync.sync()
    assert [kind for kind, _ in seen] == ["EnforcementGates", "Environment"]
    assert all(told[0].startswith("p.yaml:1: apiVersion") for _, told in seen)


async def test_a_folder_that_can_not_be_opened_may_hold_gates(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    (work.root / "below").mkdir()
    monkeypatch.setattr("setpoint.adapters.local.tree._entries", _refuse("below/"))
    await work.sync.sync()
    assert [one.kinds for one in work.sync.unread()] == [{"EnforcementGates", "PolicySet"}]


@pytest.mark.parametrize("name", ["g.json", "code/g.yaml"], ids=["json", "among code"])
async def test_gates_that_no_longer_parse_are_kept_by_another_process(work: Work, name: str) -> None:
    """Unparsable text that says nothing of Setpoint may be anyone's, but not where it declared gates before."""
    (work.root / "code").mkdir()
    (work.root / "code" / "main.tf").write_text("")
    file = work.root / name
    file.write_text(json.dumps(yaml.safe_load(GATES)))
    await work.sync.sync()
    file.write_text("{{")
    async with open_local_home(work.root) as other:
        sync = ManifestSync(other.cluster, other.index, settle_seconds=0)
        report = await sync.sync()
        assert report.deleted == ()
        assert [error.file for error in report.errors] == [name]
        gates = await other.cluster.get(ObjectRef("EnforcementGates", "", "org"))
    assert name in gates["metadata"]["annotations"][MANIFEST_ERROR_ANNOTATION]
