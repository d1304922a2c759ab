import json
from collections.abc import AsyncIterator

import pytest
import yaml
from tests.fakes.examples import CHANGE_STATUS, ENVIRONMENT_STATUS, example
from tests.fakes.home import FakeHome, Run

from setpoint.api.meta import ObjectRef
from setpoint.ports import WatchEvent


@pytest.fixture(autouse=True)
def _objects(home: FakeHome) -> None:
    home.add(example("Environment", status=ENVIRONMENT_STATUS, labels={"team": "shop"}))
    home.add(example("Environment", name="other", stage="dev"))
    home.add(example("Environment", name="far", namespace="elsewhere"))
    home.add(example("Change", status=CHANGE_STATUS))
    home.add(example("PolicySet"))


CHANGE = example("Change")["metadata"]["name"]


def test_get__environments__is_a_table(run: Run) -> None:
    result = run("get", "environments")
    assert result.exit_code == 0
    assert result.stdout == (
        f"NAME        READY   STAGE   DRIFT   {'CHANGE':<46}   WAY BACK   AGE\n"
        f"other               dev             {'':<46}              3h5m\n"
        "shop-prod   False   prod    1       shop-prod-a1b2c3d4e506060606060606060606060606   True       3h5m\n"
    )
    assert result.stderr == ""


def test_get__changes__has_the_columns_of_the_design(run: Run) -> None:
    assert run("get", "chg").stdout == (
        f"{'NAME':<46}   TARGET      CAUSE   ACTIONS    WAY BACK     GATE          OUTCOME   AGE\n"
        f"{CHANGE}   shop-prod   Drift   +0 ~1 -0   Reversible   GateBlocked   Blocked   3h5m\n"
    )


def test_get__wide__shows_digests_whole(run: Run, home: FakeHome) -> None:
    digest = "sha256:" + "3e" * 32
    home.add(example("PolicySet", name="mine", status={"digest": digest}))
    narrow, wide = run("get", "policysets").stdout, run("get", "policysets", "-o", "wide").stdout
    assert digest[:19] in narrow
    assert digest not in narrow
    assert digest in wide


def test_get__wide__adds_columns(run: Run) -> None:
    header, _, row = run("get", "env", "-o", "wide").stdout.splitlines()
    assert header.split()[-2:] == ["REASON", "STATUS"]
    assert row.endswith("ApprovalRequired   Change shop-prod-a1b2c3d4e506060606060606060606060606 waits for 1 approval")


def test_get__all_namespaces__shows_the_namespace_first(run: Run) -> None:
    lines = run("get", "env", "-A").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["NAMESPACE", "NAME"],
        ["default", "other"],
        ["default", "shop-prod"],
        ["elsewhere", "far"],
    ]


def test_get__cluster_scoped__knows_no_namespace(run: Run) -> None:
    assert run("get", "policysets", "-A").stdout.splitlines()[0].startswith("NAME ")
    assert "baseline" in run("get", "pset", "-n", "elsewhere").stdout


def test_get__several_kinds__prefixes_names_and_separates_tables(run: Run) -> None:
    tables = run("get", "env,chg").stdout.split("\n\n")
    assert [table.splitlines()[1].split()[0] for table in tables] == [
        "environment.setpoint.dev/other",
        "change.setpoint.dev/shop-prod-a1b2c3d4e506060606060606060606060606",
    ]


def test_get__all__shows_every_kind_that_has_objects(run: Run) -> None:
    assert [table.splitlines()[1].split(".")[0] for table in run("get", "all").stdout.split("\n\n")] == [
        "environment",
        "change",
        "policyset",
    ]


def test_get__json_of_a_kind__is_a_list_as_kubectl_prints_it(run: Run) -> None:
    printed = run("get", "changes", "-o", "json").stdout
    value = json.loads(printed)
    assert printed.startswith('{\n    "apiVersion": "v1",\n    "items": [\n        {\n')
    assert list(value) == ["apiVersion", "items", "kind", "metadata"]
    assert (value["apiVersion"], value["kind"], value["metadata"]) == ("v1", "List", {"resourceVersion": ""})
    change = value["items"][0]
    assert change["spec"]["cause"] == "Drift"
    assert change["spec"]["digest"].startswith("sha256:")
    assert change["spec"]["summary"]["text"] == "+0 ~1 -0"
    assert change["status"]["conditions"][0]["reason"] == "GateBlocked"


def test_get__json_of_one__is_the_object(run: Run) -> None:
    value = json.loads(run("get", "environments", "shop-prod", "-o", "json").stdout)
    assert value["kind"] == "Environment"
    assert value["status"]["drift"]["actionable"] == 1


@pytest.mark.parametrize(
    "words", [("env", "shop-prod", "other"), ("env/shop-prod", "chg/shop-prod-a1b2c3d4e506060606060606060606060606")]
)
def test_get__json_of_several_names__is_a_list(run: Run, words: tuple[str, ...]) -> None:
    assert len(json.loads(run("get", *words, "-o", "json").stdout)["items"]) == 2


def test_get__json_of_nothing__is_an_empty_list(run: Run) -> None:
    result = run("get", "resets", "-o", "json")
    assert json.loads(result.stdout)["items"] == []
    assert (result.exit_code, result.stderr) == (0, "")


def test_get__yaml__is_the_same_value(run: Run) -> None:
    as_json = json.loads(run("get", "chg", "-o", "json").stdout)
    printed = run("get", "chg", "-o", "yaml").stdout
    assert yaml.safe_load(printed) == as_json
    assert printed.startswith("apiVersion: v1\nitems:\n- apiVersion: setpoint.dev/v1alpha1\n")


def test_get__name__is_kind_and_name(run: Run) -> None:
    assert run("get", "env,pset", "-o", "name").stdout.splitlines() == [
        "environment.setpoint.dev/other",
        "environment.setpoint.dev/shop-prod",
        "policyset.setpoint.dev/baseline",
    ]


def test_get__its_own_names__are_understood(run: Run) -> None:
    names = run("get", "env,pset", "-o", "name").stdout.split()
    assert run("get", *names, "-o", "name").stdout.split() == names


def test_get__selector__filters(run: Run) -> None:
    assert run("get", "env", "-l", "team=shop", "-o", "name").stdout == "environment.setpoint.dev/shop-prod\n"


def test_get__missing__is_said(run: Run) -> None:
    result = run("get", "environments", "nope")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == 'error: environments.setpoint.dev "nope" not found\n'


def test_get__one_found_one_missing__shows_the_one_and_fails(run: Run) -> None:
    result = run("get", "env", "other", "nope")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].startswith("other ")
    assert '"nope" not found' in result.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(("resets",), "No resources found in default namespace.\n", id="default"),
        pytest.param(("env", "-n", "void"), "No resources found in void namespace.\n", id="namespace"),
        pytest.param(("resets", "-A"), "No resources found\n", id="all-namespaces"),
        pytest.param(("gates",), "No resources found\n", id="cluster-scoped"),
    ],
)
def test_get__nothing__says_so_on_stderr(run: Run, args: tuple[str, ...], message: str) -> None:
    result = run("get", *args)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", message)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        pytest.param(("pods",), 1, 'the server doesn\'t have a resource type "pods"', id="unknown-kind"),
        pytest.param(("env/a", "b"), 2, "no need to name a kind", id="mixed"),
        pytest.param(("all", "x"), 2, "can't be combined", id="all-by-name"),
        pytest.param(("env", "-l", "team"), 2, "--selector", id="selector"),
        pytest.param(("env", "-l", "team!=x"), 2, "--selector", id="selector-inequality"),
        pytest.param(("env,chg", "-w"), 2, "single kind", id="watch-two"),
        pytest.param(("env", "x", "-A"), 2, "across all namespaces", id="name-in-all"),
        pytest.param((), 2, "Missing argument", id="nothing"),
        pytest.param(("env", "-o", "xml"), 2, "xml", id="format"),
    ],
)
def test_get__wrong_usage__is_one_line(run: Run, args: tuple[str, ...], code: int, message: str) -> None:
    result = run("get", *args)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_get__manifest_problems__are_warnings_on_stderr(run: Run, home: FakeHome) -> None:
    home.problems = ("shop.yaml: spec.stage: missing",)
    result = run("get", "env", "-o", "name")
    assert result.stderr == "warning: shop.yaml: spec.stage: missing\n"
    assert result.exit_code == 0


def test_get__control_characters__are_made_visible(run: Run, home: FakeHome) -> None:
    spoiled = {"conditions": [{**ENVIRONMENT_STATUS["conditions"][0], "message": "a\x1b[2Jb\nc\u009b"}]}
    home.add(example("Environment", name="spoiled", status=spoiled))
    assert run("get", "env", "spoiled", "-o", "wide").stdout.splitlines()[1].endswith("a\\x1b[2Jb c\\x9b")


@pytest.fixture
def _three_changes(home: FakeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """A watch that ends after three changes, the second of an object of another namespace."""
    watch = home.cluster.watch

    async def three_changes(kinds: list[str], *, resource_version: str) -> AsyncIterator[WatchEvent]:
        for number, ref in enumerate(("default/other", "elsewhere/far", "default/other")):
            await home.cluster.annotate(ObjectRef("Environment", *ref.split("/")), {"n": str(number)})
        changes = watch(kinds, resource_version=resource_version)
        for _ in range(3):
            yield await anext(changes)

    monkeypatch.setattr(home.cluster, "watch", three_changes)


@pytest.mark.usefixtures("_three_changes")
def test_get__watch__shows_what_changes(run: Run) -> None:
    lines = run("get", "env", "other", "-w").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "other", "other", "other"]
    assert lines[1] == lines[3]


@pytest.mark.usefixtures("_three_changes")
def test_get__watch_for_programs__is_one_object_after_the_other(run: Run) -> None:
    assert run("get", "env", "-w", "-o", "name").stdout.split() == [
        "environment.setpoint.dev/other",
        "environment.setpoint.dev/shop-prod",
        "environment.setpoint.dev/other",
        "environment.setpoint.dev/other",
    ]


@pytest.mark.usefixtures("_three_changes")
def test_get__watch_json__shows_whole_objects(run: Run) -> None:
    decoder, text, found = json.JSONDecoder(), run("get", "env", "other", "-w", "-o", "json").stdout, []
    while text:
        obj, end = decoder.raw_decode(text)
        found.append(obj["metadata"].get("annotations", {}).get("n"))
        text = text[end:].lstrip()
    assert found == [None, "0", "2"]
