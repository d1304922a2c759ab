"""Owns `setpoint plan`: what would change and why, the way back, what each gate says. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from setpoint.cli.content_lines import content_value
from setpoint.cli.contents import Sight, action_section
from setpoint.cli.context import ATTENTION, DONE, FAILED, Home, Invocation, fetch
from setpoint.cli.kinds import find_target
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import full_option, namespace_option, output_option
from setpoint.cli.output import print_value
from setpoint.cli.progress import ProgressLines
from setpoint.cli.story import field, gate_lines, section, way_back_lines
from setpoint.cli.table import plain

if TYPE_CHECKING:
    from setpoint.pipeline.preview import PlanReport


@click.command(cls=SetpointCommand, examples=("setpoint plan environment/shop-prod",))
@click.argument("target", metavar="KIND/NAME")
@full_option
@namespace_option
@output_option
@click.pass_obj
def plan(invocation: Invocation, target: str, full: bool, namespace: str, output: str | None) -> int:
    """Show what would change and why. Changes nothing.

    Shows the actions with the values before and after, the way back and what each gate says. Exits with 0 where the
    target is at its setpoint, with 3 where something would change, with 1 where nothing can be planned.
    """
    ref = find_target(target, namespace)

    async def run(home: Home) -> int:
        await fetch(home, ref)
        report = await home.plan(ref, ProgressLines())
        if output:
            print_value(report_value(report), output)
        else:
            click.echo("\n".join(report_lines(report, full=full)))
        return FAILED if report.error else ATTENTION if report.cause or report.notes else DONE

    return invocation.run(run, create=invocation.home is not None)


def report_lines(report: PlanReport, *, full: bool = False) -> list[str]:
    """The plan for people."""
    if report.error:
        return [field("Target", report.target), field("Error", report.error)]
    counts = ", ".join(f"{name} {count}" for name, count in report.findings.items())
    warned = section("Warnings", map(plain, report.warnings))
    if not report.cause:
        notes = section("Notes", map(plain, report.notes))
        return [field("Target", report.target), field("Drift", counts), *warned, *notes, "Nothing would change."]
    sight = Sight(report.content) if report.content else Sight(missing="nothing would be proposed")
    return [
        field("Target", report.target),
        field("Cause", report.cause),
        field("Summary", report.summary.text),
        field("Subject", report.subject),
        field("Differences", counts),
        *action_section(sight, report.summary, report.actions, cause=report.cause, full=full),
        *section("Way back", way_back_lines(report.reset_plan) if report.reset_plan else ()),
        *section("Gates", gate_lines(report.gates)),
        *warned,
        *section("Notes", map(plain, report.notes)),
        field("Approvals", f"{report.approvals_required} required"),
        _verdict(report),
    ]


def _verdict(report: PlanReport) -> str:
    blocking = [plain(gate.gate) for gate in report.gates if gate.blocks]
    if blocking:
        return f"Blocked by {', '.join(blocking)}."
    waits = report.approvals_required > 0
    return "'setpoint up' makes a Change of it, which waits for approval." if waits else "'setpoint up' applies it."


def report_value(report: PlanReport) -> dict[str, Any]:
    """The plan for programs."""
    ref = report.target
    return {
        "target": {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name},
        "cause": report.cause,
        "subject": report.subject,
        "summary": report.summary.as_json(),
        "actions": [action.as_json() for action in report.actions],
        "content": content_value(report.content) if report.content else None,
        "resetPlan": report.reset_plan.as_json() if report.reset_plan else None,
        "gates": [gate.as_json() for gate in report.gates],
        "approvalsRequired": report.approvals_required,
        "findings": dict(report.findings),
        "warnings": list(report.warnings),
        "notes": list(report.notes),
        "error": report.error,
    }
