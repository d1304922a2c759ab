"""`setpoint finalizers release`: what it lets go of, what it asks first, and when it refuses."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.fakes.beacon import beacon
from tests.fakes.beacon_bench import beacons
from tests.fakes.examples import ENVIRONMENT_STATUS, example
from tests.fakes.home import FakeHome, Run

from setpoint.api.meta import FINALIZER, ObjectRef
from setpoint.cli.context import Invocation
from setpoint.cli.main import cli
from setpoint.domain.errors import ConflictError, ForbiddenError

RELEASE = ("finalizers", "release")
__all__ = ["beacons"]


@dataclasses.dataclass
class FakeCluster(FakeHome):
    """A cluster whose leaders a test decides."""

    leading: tuple[str, ...] = ()
    forbidden: str = ""
    looked_in: list[str] = dataclasses.field(default_factory=list)

    async def leaders(self, namespace: str, on_wait: Callable[[str], None]) -> tuple[str, ...]:
        self.looked_in.append(namespace)
        if self.forbidden:
            raise ForbiddenError(self.forbidden)
        return self.leading


@pytest.fixture
def cluster(home: FakeHome) -> FakeCluster:
    return FakeCluster(home.root)


@pytest.fixture
def on_cluster(cluster: FakeCluster) -> Run:
    @asynccontextmanager
    async def opened(context: str) -> AsyncIterator[FakeCluster]:
        assert context == "east"
        yield cluster

    def invoke(*args: str, **options: Any) -> Result:
        invocation = Invocation(cluster=opened)
        return CliRunner().invoke(cli, ("--context", "east", *args), obj=invocation, prog_name="setpoint", **options)

    return invoke


def held(cluster: FakeCluster, name: str, *more: str, deleted: bool = True, **spec: Any) -> ObjectRef:
    """An Environment with our finalizer, and with others; deleted already unless a test says otherwise."""
    obj = example("Environment", name=name, status=ENVIRONMENT_STATUS, **spec)
    obj["metadata"]["finalizers"] = [FINALIZER, *more]
    ref = ObjectRef.of(cluster.add(obj))
    if deleted:
        asyncio.run(cluster.cluster.delete(ref))
    return ref


def names(cluster: FakeCluster) -> dict[str, list[str]]:
    """The Environments that are left, each with its finalizers."""
    found = cluster.objects("Environment")
    return {one["metadata"]["name"]: one["metadata"].get("finalizers", []) for one in found}


def test_all__lets_go_of_what_is_deleted_and_keeps_what_is_not(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "gone")
    held(cluster, "kept", deleted=False)
    result = on_cluster(*RELEASE, "--all", "--yes")
    assert result.exit_code == 0, result.stderr
    assert names(cluster) == {"kept": []}
    assert result.stderr.splitlines() == ["environment/gone released", "environment/kept released"]


def test_a_name__takes_only_our_finalizer_and_only_its_own(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "one", "example.com/other")
    held(cluster, "two")
    assert on_cluster(*RELEASE, "environment/one", "--yes").exit_code == 0
    assert names(cluster) == {"one": ["example.com/other"], "two": [FINALIZER]}


def test_namespaces__one_or_all(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "here")
    held(cluster, "there", namespace="elsewhere")
    assert on_cluster(*RELEASE, "--all", "--yes", "-n", "elsewhere").exit_code == 0
    assert [*names(cluster)] == ["here"]
    held(cluster, "there", namespace="elsewhere")
    assert on_cluster(*RELEASE, "--all", "--yes", "-A").exit_code == 0
    assert names(cluster) == {}


def test_a_dry_run__says_what_stays_behind_and_changes_nothing(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "one", protection={"deletionPolicy": "Destroy"})
    held(cluster, "two", deleted=False)
    before = cluster.cluster.writes
    result = on_cluster(*RELEASE, "--all", "--dry-run")
    assert result.exit_code == 0
    rows = [line.split(maxsplit=4) for line in result.stdout.splitlines()]
    assert rows[0] == ["NAMESPACE", "NAME", "DELETED", "POLICY", "STAYS BEHIND"]
    assert rows[1][3:] == ["Destroy", "12 resources, not destroyed; state version 7 in the operator's store"]
    assert "no: it stays" in result.stdout
    assert "Retain" in result.stdout
    assert cluster.cluster.writes == before


def test_one_without_a_state__left_nothing_behind(on_cluster: Run, cluster: FakeCluster) -> None:
    obj = example("Environment", name="young")
    obj["metadata"]["finalizers"] = [FINALIZER]
    cluster.add(obj)
    assert "nothing was ever applied" in on_cluster(*RELEASE, "--all", "--dry-run").stdout


def test_a_status_that_can_not_be_read__does_not_say_that_nothing_stays(on_cluster: Run, cluster: FakeCluster) -> None:
    obj = example("Environment", name="odd", status={"state": {"version": "seven"}})
    obj["metadata"] |= {"finalizers": [FINALIZER], "uid": "u"}
    asyncio.run(cluster.cluster.plant(obj))
    assert "unknown: its status can't be read" in on_cluster(*RELEASE, "--all", "--dry-run").stdout


@pytest.mark.usefixtures("beacons")
def test_another_kind__says_that_what_was_applied_stays(on_cluster: Run, cluster: FakeCluster) -> None:
    applied = {"blob": "sha256:" + "0" * 64, "generation": 1, "at": "2026-01-01T00:00:00Z"}
    for obj in (beacon("lit", status={"applied": applied}), beacon("dark")):
        obj["metadata"]["finalizers"] = [FINALIZER]
        cluster.add(obj)
    rows = {line.split()[1]: line for line in on_cluster(*RELEASE, "--all", "--dry-run").stdout.splitlines()}
    assert rows["lit"].endswith("what was applied")
    assert rows["dark"].endswith("nothing was ever applied")


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", 0, {}), ("n\n", 1, {"one": [FINALIZER]}), ("", 2, {"one": [FINALIZER]})]
)
def test_without_yes__asks(
    on_cluster: Run, cluster: FakeCluster, answer: str, code: int, left: dict[str, list[str]]
) -> None:
    held(cluster, "one")
    result = on_cluster(*RELEASE, "--all", input=answer)
    assert result.exit_code == code
    assert "Let go of this object?" in result.stderr
    assert names(cluster) == left
    if code:
        assert "--yes" in result.stderr or "nothing was let go of" in result.stderr


def test_while_an_operator_leads__refuses_unless_forced(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "one")
    cluster.leading = ("pod-1 (Lease setpoint-operator)",)
    refused = on_cluster(*RELEASE, "--all", "--yes", "--operator-namespace", "platform")
    assert refused.exit_code == 1
    assert "error: an operator leads: pod-1 (Lease setpoint-operator)" in refused.stderr
    assert "--force" in refused.stderr
    assert (names(cluster), cluster.looked_in) == ({"one": [FINALIZER]}, ["platform"])
    forced = on_cluster(*RELEASE, "--all", "--yes", "--force")
    assert (forced.exit_code, names(cluster)) == (0, {})
    assert "warning: an operator leads" in forced.stderr


def test_a_dry_run_while_an_operator_leads__warns(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "one")
    cluster.leading = ("pod-1 (Lease setpoint-operator)",)
    result = on_cluster(*RELEASE, "--all", "--dry-run")
    assert result.exit_code == 0
    assert "warning: an operator leads" in result.stderr


def test_where_the_leases_cant_be_read__refuses(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "one")
    cluster.forbidden = 'User "norman" cannot get resource "leases"'
    result = on_cluster(*RELEASE, "--all", "--yes")
    assert result.exit_code == 1
    assert "can't see whether an operator leads from namespace setpoint-system" in result.stderr
    assert 'User "norman" cannot get resource "leases"' in result.stderr
    assert names(cluster) == {"one": [FINALIZER]}


def test_forbidden__says_who_may_and_goes_on(
    on_cluster: Run, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = held(cluster, "one")
    held(cluster, "two")
    done = cluster.cluster.set_finalizers

    async def refuse(obj: Any, finalizers: Any, **given: Any) -> Any:
        if ObjectRef.of(obj) == one:
            raise ForbiddenError("only some may, and you are norman")
        return await done(obj, finalizers, **given)

    monkeypatch.setattr(cluster.cluster, "set_finalizers", refuse)
    result = on_cluster(*RELEASE, "--all", "--yes", "-o", "json")
    assert result.exit_code == 1
    assert "group setpoint:governance with the role setpoint-governance" in result.stderr
    outcomes = {each["name"]: each["outcome"] for each in json.loads(result.stdout)}
    assert outcomes["two"] == "Released"
    assert outcomes["one"].startswith("only some may, and you are norman")
    assert names(cluster) == {"one": [FINALIZER]}


@pytest.mark.parametrize(("conflicts", "code"), [(1, 0), (99, 1)], ids=["once", "always"])
def test_an_object_that_moves_meanwhile__is_read_anew(
    on_cluster: Run, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, conflicts: int, code: int
) -> None:
    ref = held(cluster, "one")
    done, left = cluster.cluster.set_finalizers, [None] * conflicts

    async def late(obj: Any, finalizers: Any, **given: Any) -> Any:
        if left:
            left.pop()
            await cluster.cluster.annotate(ref, {"example.com/moved": str(len(left))})
            raise ConflictError("moved")
        return await done(obj, finalizers, **given)

    monkeypatch.setattr(cluster.cluster, "set_finalizers", late)
    assert on_cluster(*RELEASE, "--all", "--yes").exit_code == code
    assert bool(names(cluster)) == bool(code)


def test_for_programs__everything_by_name(on_cluster: Run, cluster: FakeCluster) -> None:
    held(cluster, "one", deleted=False)
    shown = json.loads(on_cluster(*RELEASE, "environment/one", "--dry-run", "-o", "json").stdout)
    assert shown == [
        {
            "kind": "Environment", "namespace": "default", "name": "one", "deletionTimestamp": None,
            "deletionPolicy": "Retain", "resources": 12, "stateVersion": 7, "outcome": "WouldRelease",
        }
    ]  # fmt: skip


@pytest.mark.parametrize("words", [("--all", "-A"), ("environment/free",)], ids=["all", "name"])
def test_nothing_held__is_done(on_cluster: Run, cluster: FakeCluster, words: tuple[str, ...]) -> None:
    cluster.add(example("Environment", name="free"))
    result = on_cluster(*RELEASE, *words)
    assert (result.exit_code, result.stdout) == (0, "")
    assert FINALIZER in result.stderr
    assert json.loads(on_cluster(*RELEASE, *words, "--yes", "-o", "json").stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name one object"),
        (("environment/one", "--all"), "name one object"),
        (("environment/one", "-A"), "across all namespaces"),
        (("--all", "-o", "json"), "--yes or --dry-run"),
        (("policyset/one", "--yes"), "no target"),
    ],
    ids=["none", "both", "name_everywhere", "output_and_a_question", "no_target"],
)
def test_wrong_usage(on_cluster: Run, words: tuple[str, ...], said: str) -> None:
    result = on_cluster(*RELEASE, *words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_unknown_name__is_not_found(on_cluster: Run) -> None:
    result = on_cluster(*RELEASE, "environment/none", "--yes")
    assert result.exit_code == 1
    assert 'environments.setpoint.dev "none" not found' in result.stderr


def test_on_a_local_home__refuses_with_a_reason(run: Run, home: FakeHome) -> None:
    result = run(*RELEASE, "--all", "--yes")
    assert result.exit_code == 1
    assert "error: a local home has no use for it" in result.stderr
