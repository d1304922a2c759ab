"""up, plan, doctor, crds, completion: what runs long or looks at the machine."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.fakes.examples import example
from tests.fakes.home import FakeHome, FakeWiring, Report, Run

from setpoint.api.crdgen import custom_resource_definition
from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1 import KINDS, Environment
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary, GateResult, ResetPlanSummary
from setpoint.cli.progress import ProgressLines
from setpoint.domain.model import ResourceProgress
from setpoint.domain.shown_content import ShownContent, write_lines

SHOP = ObjectRef("Environment", "default", "shop")
CHANGE = "shop-0123456789"


def target(state: str, reason: str = "", message: str = "", change: str | None = None, **ref: str) -> Report:
    where = ObjectRef("Environment", ref.get("namespace", "default"), ref.get("name", "shop"))
    return Report({"ref": where, "state": state, "reason": reason, "message": message, "change": change})


FINE = target("at the setpoint", "AtSetpoint")
WAITS = target("needs attention", "ApprovalRequired", "waits for 1 approval", CHANGE)
HELD = target("held", "Held", "held at s after a reset; change the spec or run setpoint resume environment/shop")
RELEASED = target("released", "Released", "Released; 4 resources stay: a, b, c, d")
BROKEN = target("failed", "PlanFailed", "terraform plan failed", name="other")


def manager(*targets: Report, errors: tuple[str, ...] = (), store: str = "") -> Callable[..., Any]:
    async def run_manager(_root: Path, **_options: Any) -> Report:
        return Report({"targets": targets, "manifest_errors": errors, "store": store})

    return run_manager


# --- up ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "errors", "code"),
    [
        pytest.param((), (), 0, id="no-targets"),
        pytest.param((FINE,), (), 0, id="setpoint"),
        pytest.param((FINE, WAITS), (), 3, id="attention"),
        pytest.param((FINE, HELD), (), 3, id="held"),
        pytest.param((FINE, RELEASED), (), 0, id="released"),
        pytest.param((HELD, BROKEN), (), 1, id="held and failed"),
        pytest.param((FINE, WAITS, BROKEN), (), 1, id="failed"),
        pytest.param((FINE,), ("a.yaml: bad",), 1, id="manifest"),
    ],
)
@pytest.mark.parametrize("args", [(), ("-o", "json"), ("-o", "yaml")], ids=["text", "json", "yaml"])
def test_up_once__exit_code_says_how_targets_rest(
    run: Run, wiring: FakeWiring, targets: tuple[Report, ...], errors: tuple[str, ...], code: int, args: tuple[str, ...]
) -> None:
    wiring.manager = manager(*targets, errors=errors)
    assert run("up", ".", "--once", *args).exit_code == code


def test_up_once__attention__names_the_change_and_the_next_command(run: Run, wiring: FakeWiring) -> None:
    wiring.manager = manager(FINE, WAITS)
    assert run("up", ".", "--once").stdout == (
        "TARGET             STATE             REASON             CHANGE\n"
        "environment/shop   at the setpoint   AtSetpoint\n"
        "environment/shop   needs attention   ApprovalRequired   shop-0123456789\n"
        "\n"
        "environment/shop needs attention: waits for 1 approval\n"
        "  setpoint describe change/shop-0123456789\n"
        "  setpoint approve shop-0123456789\n"
    )


def test_up_once__held_and_released__have_their_own_words(run: Run, wiring: FakeWiring) -> None:
    wiring.manager = manager(HELD, RELEASED)
    assert run("up", ".", "--once").stdout == (
        "TARGET             STATE      REASON     CHANGE\n"
        "environment/shop   held       Held\n"
        "environment/shop   released   Released\n"
        "\n"
        "environment/shop held: held at s after a reset; change the spec or run setpoint resume environment/shop\n"
        "  setpoint describe environment/shop\n"
        "\n"
        "environment/shop: Released; 4 resources stay: a, b, c, d\n"
    )


def test_up_once__failed__points_to_the_story(run: Run, wiring: FakeWiring) -> None:
    wiring.manager = manager(BROKEN)
    assert run("up", ".", "--once").stdout.endswith(
        "environment/other failed: terraform plan failed\n  setpoint describe environment/other\n"
    )


def test_up_once__elsewhere__the_next_command_names_home_and_namespace(
    run: Run, home: FakeHome, wiring: FakeWiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring.manager = manager(target("needs attention", "ApprovalRequired", "waits", CHANGE, namespace="far"))
    monkeypatch.chdir("/")
    shown = run("up", str(home.root), "--once").stdout
    assert f"  setpoint --home {home.root} approve {CHANGE} -n far\n" in shown


def test_up_once__json__is_for_programs(run: Run, wiring: FakeWiring) -> None:
    wiring.manager = manager(WAITS, errors=("a.yaml: bad",))
    result = run("up", ".", "--once", "-o", "json")
    assert json.loads(result.stdout) == {
        "targets": [
            {
                "kind": "Environment",
                "namespace": "default",
                "name": "shop",
                "state": "needs attention",
                "reason": "ApprovalRequired",
                "message": "waits for 1 approval",
                "change": CHANGE,
            }
        ],
        "manifestErrors": ["a.yaml: bad"],
        "store": None,
    }


def test_up__manifest_errors_and_no_targets__are_on_stderr(run: Run, wiring: FakeWiring) -> None:
    wiring.manager = manager(errors=("a.yaml: line 3: duplicate key",))
    result = run("up", ".", "--once")
    assert result.stdout == ""
    assert "error: a.yaml: line 3: duplicate key\n" in result.stderr
    assert "No targets found" in result.stderr


def test_up__options__reach_the_manager(run: Run, home: FakeHome, wiring: FakeWiring) -> None:
    seen: dict[str, Any] = {}

    async def run_manager(root: Path, **options: Any) -> Report:
        seen.update(options, root=root)
        options["progress"](SHOP, "observe")
        return Report({"targets": (FINE,), "manifest_errors": (), "store": ""})

    wiring.manager = run_manager
    result = run("up", "--listen", "[::1]:9090", "--log-format", "json")
    assert result.exit_code == 0
    assert (seen["root"], seen["once"]) == (home.root.resolve(), False)
    assert (seen["metrics_address"], seen["log_format"]) == ("[::1]:9090", "json")
    assert result.stderr == "", "no progress for people among JSON lines"


def test_up__progress__is_on_stderr(run: Run, wiring: FakeWiring) -> None:
    async def run_manager(_root: Path, **options: Any) -> Report:
        progress = options["progress"]
        progress(SHOP, "plan")
        progress(SHOP, "plan")
        progress(SHOP, "apply")
        progress(SHOP, "apply", resource=ResourceProgress("local_file.a", "create", "started"))
        progress(SHOP, "apply", resource=ResourceProgress("local_file.a", "create", "completed", 2.13))
        progress(SHOP, "apply", resource=ResourceProgress("x\x1b", "delete", "failed", 1.0))
        return Report({"targets": (FINE,), "manifest_errors": (), "store": ""})

    wiring.manager = run_manager
    result = run("up", ".", "--once")
    assert result.stderr.splitlines() == [
        "environment/shop  plan",
        "environment/shop  apply",
        "environment/shop  apply    local_file.a creating",
        "environment/shop  apply    local_file.a created (2.1s)",
        "environment/shop  apply    x\\x1b failed to delete (1.0s)",
    ]
    assert result.stdout.startswith("TARGET")


@pytest.mark.parametrize("once", [False, True], ids=["for-ever", "once"])
def test_up__first_ctrl_c__stops_gracefully(run: Run, wiring: FakeWiring, once: bool) -> None:
    async def run_manager(_root: Path, *, stop: asyncio.Event, **_options: Any) -> Report:
        os.kill(os.getpid(), signal.SIGINT)
        await stop.wait()
        return Report({"targets": (WAITS,), "manifest_errors": (), "store": ""})

    wiring.manager = run_manager
    result = run("up", ".", *(["--once"] if once else []))
    assert result.exit_code == (130 if once else 0)
    assert "Ctrl-C again stops at once" in result.stderr
    assert result.stdout.startswith("TARGET")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up__second_signal__stops_at_once(run: Run, wiring: FakeWiring, number: signal.Signals) -> None:
    async def run_manager(_root: Path, *, stop: asyncio.Event, **_options: Any) -> Report:
        os.kill(os.getpid(), number)
        await stop.wait()
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()
        raise AssertionError

    wiring.manager = run_manager
    result = run("up", ".")
    assert result.exit_code == 130
    assert "stopped at once" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "args",
    [
        ("nowhere",),
        (".", "--listen", "9090"),
        (".", "--listen", "localhost:99999"),
        (".", "--listen", "::1:9090"),
        (".", "--log-format", "xml"),
    ],
    ids=["folder", "no-host", "port", "bare-ipv6", "log-format"],
)
def test_up__wrong_usage__is_exit_2(run: Run, args: tuple[str, ...]) -> None:
    result = run("up", *args)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")


# --- plan --------------------------------------------------------------------------------------------------------

PLAN = {
    "target": SHOP,
    "cause": "SpecChanged",
    "summary": ChangeSummary(create=1, delete=1, text="+1 ~0 -1"),
    "actions": [
        ActionSummary(address="local_file.a", action="create"),
        ActionSummary(address="local_file.b", action="delete"),
    ],
    "content": ShownContent(
        write_lines(
            [
                {"kind": "resource", "address": "local_file.b", "actions": ["delete"]},
                {"path": "content", "before": "old"},
                {"kind": "resource", "address": "local_file.a", "actions": ["create"]},
                {"path": "content", "after": "new"},
                {"path": "id", "unknown": True},
            ]
        )
    ),
    "reset_plan": ResetPlanSummary(digest="sha256:" + "00" * 32, drill="NotDrillable"),
    "gates": [GateResult(gate="baseline", stage="plan", verdict="Pass")],
    "approvals_required": 1,
    "subject": "sha256:" + "11" * 32,
    "findings": {"actionable": 0, "pending": 2},
    "warnings": ("check.ready: not yet",),
    "notes": ("what it held is gone: t.a",),
    "error": "",
}


@pytest.fixture
def shop(home: FakeHome) -> None:
    home.add(example("Environment", name="shop"))


@pytest.mark.usefixtures("shop")
def test_plan__a_change__is_shown_with_way_back_and_gates(run: Run, home: FakeHome) -> None:
    home.plan_report = Report(PLAN)
    result = run("plan", "environment/shop")
    assert result.exit_code == 3
    assert result.stdout == (
        "Target:        environment/shop\n"
        "Cause:         SpecChanged\n"
        "Summary:       +1 ~0 -1\n"
        f"Subject:       {PLAN['subject']}\n"
        "Differences:   actionable 0, pending 2\n"
        "Actions:\n"
        "  -   local_file.b\n"
        '        - content: "old"\n'
        "  +   local_file.a\n"
        '        + content: "new"\n'
        "        … 1 known after apply; --full shows all\n"
        "Way back:\n"
        "  can be undone\n"
        "  nothing was applied yet, so there was nothing to drill\n"
        "Gates:\n"
        "  baseline (plan): Pass\n"
        "Warnings:\n"
        "  check.ready: not yet\n"
        "Notes:\n"
        "  what it held is gone: t.a\n"
        "Approvals:     1 required\n"
        "'setpoint up' makes a Change of it, which waits for approval.\n"
    )
    assert result.stderr == "environment/shop  plan\n"


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("changes", "code", "last"),
    [
        ({"approvals_required": 0}, 3, "'setpoint up' applies it."),
        ({"gates": [GateResult(gate="g", stage="plan", verdict="Fail", blocks=True)]}, 3, "Blocked by g."),
        ({"cause": None, "notes": ()}, 0, "Nothing would change."),
        ({"cause": None, "notes": ("no Change can mend a",)}, 3, "Nothing would change."),
        ({"error": "source not found: ./infra"}, 1, "Error:         source not found: ./infra"),
    ],
    ids=["auto", "blocked", "setpoint", "beyond-mending", "error"],
)
def test_plan__exit_code_and_last_line(run: Run, home: FakeHome, changes: dict[str, Any], code: int, last: str) -> None:
    home.plan_report = Report(PLAN | changes)
    result = run("plan", "env/shop")
    assert result.exit_code == code
    assert result.stdout.splitlines()[-1] == last


@pytest.mark.usefixtures("shop")
def test_plan__json__is_for_programs(run: Run, home: FakeHome) -> None:
    home.plan_report = Report(PLAN)
    value = json.loads(run("plan", "env/shop", "-o", "json").stdout)
    assert value["target"] == {"kind": "Environment", "namespace": "default", "name": "shop"}
    assert [action["address"] for action in value["actions"]] == ["local_file.a", "local_file.b"]
    assert value["summary"]["text"] == "+1 ~0 -1"
    assert value["content"]["complete"]
    assert value["content"]["digest"] == PLAN["content"].digest
    assert [(one["address"], one["action"]) for one in value["content"]["changes"]] == [
        ("local_file.b", "delete"),
        ("local_file.a", "create"),
    ]
    assert value["content"]["changes"][0]["attributes"] == [{"path": "content", "before": "old"}]
    assert value["notes"] == ["what it held is gone: t.a"]
    assert value["resetPlan"]["drill"] == "NotDrillable"
    assert (value["cause"], value["approvalsRequired"], value["findings"]["pending"]) == ("SpecChanged", 1, 2)


def test_plan__missing_target__is_not_found(run: Run) -> None:
    assert run("plan", "env/nope").exit_code == 1


# --- doctor ------------------------------------------------------------------------------------------------------

GIT = Report({"name": "git", "ok": True, "detail": "2.39.5", "remedy": "", "needed": True})
TERRAFORM = Report(
    {"name": "terraform", "ok": False, "detail": "not on PATH", "remedy": "install terraform 1.9", "needed": True}
)
SSH = Report({"name": "ssh", "ok": False, "detail": "not on PATH", "remedy": "install it", "needed": False})


def test_doctor__something_missing__is_exit_3_with_the_remedy(run: Run, wiring: FakeWiring) -> None:
    wiring.checks = (GIT, TERRAFORM)
    result = run("doctor")
    assert result.exit_code == 3
    assert result.stdout == (
        "CHECK       STATUS    DETAIL\n"
        "git         ok        2.39.5\n"
        "terraform   missing   not on PATH\n"
        "terraform: install terraform 1.9\n"
    )


def test_doctor__something_optional_missing__is_exit_0_with_the_remedy(run: Run, wiring: FakeWiring) -> None:
    wiring.checks = (GIT, SSH)
    result = run("doctor")
    assert result.exit_code == 0
    assert result.stdout.endswith("ssh     optional   not on PATH\nssh: install it\n")


def test_doctor__all_there__is_exit_0_json(run: Run, home: FakeHome, wiring: FakeWiring) -> None:
    wiring.checks = (GIT,)
    result = run("doctor", "-o", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [{"name": "git", "ok": True, "needed": True, "detail": "2.39.5", "remedy": ""}]
    assert wiring.opened == [(home.root.resolve(), False)]


def test_doctor__without_a_home__works(run: Run, home: FakeHome, wiring: FakeWiring) -> None:
    (home.root / ".setpoint").rmdir()
    assert run("doctor").exit_code == 0
    assert wiring.opened == [(None, False)]


# --- crds and completion -----------------------------------------------------------------------------------------


def test_crds__are_what_the_types_say(run: Run) -> None:
    printed = list(yaml.safe_load_all(run("crds").stdout))
    assert printed == list(map(custom_resource_definition, KINDS))


def test_crds__one_kind__json_is_the_definition(run: Run) -> None:
    assert json.loads(run("crds", "env", "-o", "json").stdout) == custom_resource_definition(Environment)
    assert len(json.loads(run("crds", "env", "chg", "-o", "json").stdout)["items"]) == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion__script__asks_setpoint(run: Run, shell: str) -> None:
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_SETPOINT_COMPLETE={shell}_complete" in result.stdout


@pytest.mark.parametrize(("shell", "flag"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_completion__script__is_read_by_its_shell(run: Run, shell: str, flag: str) -> None:
    binary = shutil.which(shell)
    if binary is None:
        pytest.skip(f"no {shell} on this machine")
    script = run("completion", shell).stdout
    subprocess.run([binary, flag], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "current", "found"),
    [
        ("setpoint ", "re", {"reconcile", "resume", "reject", "reset"}),
        ("setpoint audit ", "", {"log", "verify"}),
        ("setpoint get ", "en", {"environments", "enforcementgates"}),
    ],
    ids=["commands", "subcommands", "kinds"],
)
def test_completion__commands__are_completed(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: str, current: str, found: set[str]
) -> None:
    monkeypatch.setenv("_SETPOINT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words + current)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split())))
    shown = {line.split(",")[1] for line in run().stdout.splitlines()}
    assert shown == found


def test_progress_lines__a_new_step__is_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ProgressLines()
    for step in ("observe", "plan", "observe"):
        progress(SHOP, step)
    assert len(click.unstyle(capsys.readouterr().err).splitlines()) == 3


def test_progress__a_plan_that_waits__says_for_what_and_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressLines()(SHOP, "planning", ResourceProgress("aws_x.y", "read", "waiting", 60.2))
    assert click.unstyle(capsys.readouterr().err) == "environment/shop  planning waiting for aws_x.y for 60 s\n"


def test_up__a_store_that_was_set_back__is_said_once_for_all_targets(run: Run, wiring: FakeWiring) -> None:
    why = "nothing is applied, for the trail ends early"
    blocked = target("failed", "StoreSetBack", why, CHANGE)
    wiring.manager = manager(blocked, target("failed", "StoreSetBack", why, name="other"), store=why)
    result = run("up", "--once")
    assert result.exit_code == 1
    assert (result.stdout + result.stderr).count(why) == 1
    assert json.loads(run("up", "--once", "-o", "json").stdout)["store"] == why


def test_up__a_store_that_was_set_back_under_targets_at_rest__needs_attention(run: Run, wiring: FakeWiring) -> None:
    wiring.manager = manager(FINE, store="nothing is applied")
    assert run("up", "--once").exit_code == 3
