"""Owns the `setpoint` command itself: its commands by name, global options, errors and exit codes.

Commands are imported when they run: `setpoint version` costs click and nothing else.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from setpoint.cli.context import DONE, FAILED, INTERRUPTED, USAGE, Invocation, ObjectMissingError
from setpoint.domain.errors import NothingDeclaredError, SetpointError

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("up", "Run the manager on the manifests in a folder."),
    "operator": ("operator", "Run the manager on a cluster."),
    "get": ("get", "Show objects as a table, JSON or YAML."),
    "describe": ("describe", "Tell an object's story."),
    "plan": ("plan", "Show what would change and why. Changes nothing."),
    "reconcile": ("targets", "Ask for a run now."),
    "suspend": ("targets", "Stop all work on targets."),
    "resume": ("targets", "Go on with targets; also releases a hold."),
    "approve": ("approvals", "Approve a Change as it is shown."),
    "reject": ("approvals", "Reject a Change as it is shown."),
    "reset": ("reset", "Ask to bring a target back to a snapshot."),
    "finalizers": ("finalizers", "Let go of objects whose operator is gone."),
    "audit": ("audit", "Read and verify the audit trail."),
    "store": ("store", "Say what is to be done about a store that was set back."),
    "crds": ("crds", "Print the CustomResourceDefinitions."),
    "doctor": ("doctor", "Say what this machine lacks."),
    "version": ("version", "Print the version."),
    "completion": ("completion", "Print the completion script of a shell."),
}
"""Command to (module, summary). A test holds the summaries against the commands' own help."""
_VERBS_BEHIND = "reset"
"""The command behind which those of targets are listed."""
_COLLECT_AFTER = 50_000
"""How many objects more there may be before Python looks for garbage."""


class SetpointCommand(click.Command):
    """A command that takes the global options behind its name, too, and shows examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        if examples:
            self.epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)
        self.params += _global_options()


class LazyGroup(click.Group):
    """Commands by name, imported when used; errors as one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """The commands in the order in which people meet them."""
        return list(summaries())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click's signature
        """Imports one command."""
        if cmd_name not in COMMANDS:
            return _target_command(cmd_name)
        module = importlib.import_module(f"setpoint.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(summaries().items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs a command and exits; click's own handling of errors is replaced by ours."""
        kwargs["standalone_mode"] = False
        invocation = kwargs.setdefault("obj", Invocation())
        try:
            code = super().main(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 the last line of defence, which reports everything
            code = _report(error, verbose=invocation.verbose)
        sys.exit(code if isinstance(code, int) else DONE)


def summaries() -> dict[str, str]:
    """The summary of each command, those of targets included, in the order in which people meet them."""
    from setpoint.wiring.targets import verbs  # noqa: PLC0415 `setpoint version` does without

    found: dict[str, str] = {}
    for name, (_, summary) in COMMANDS.items():
        found[name] = summary
        if name == _VERBS_BEHIND:
            found |= verbs()
    return found


def _target_command(name: str) -> click.Command | None:
    """A command that some kind of target has alone; None where there is none of that name."""
    from setpoint.wiring.targets import verb  # noqa: PLC0415 as above

    found = verb(name)
    if found is None:
        return None
    command: click.Command = importlib.import_module("setpoint.cli.verbs").command_of(found)
    return command


def _set_home(ctx: click.Context, _param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.find_root().obj.home = value.resolve()


def _set_context(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_root().obj.context = value


def _set_verbose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().obj.verbose = True


def _global_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--home"],
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            metavar="DIR",
            expose_value=False,
            callback=_set_home,
            help="The home to work on; else SETPOINT_HOME, else one at, above or right below the working directory.",
        ),
        click.Option(
            ["--context"],
            metavar="NAME",
            expose_value=False,
            callback=_set_context,
            help="Work on a cluster: a context of the kubeconfig, or '' for its current one.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_set_verbose,
            help="Say more, tracebacks of internal errors included.",
        ),
    ]


@click.group(cls=LazyGroup, params=_global_options(), context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Keep targets at their declared state, and never act without a way back.

    Exit codes: 0 at the setpoint or done, 1 failed, 2 wrong usage, 3 needs attention or is held.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False
    if ctx.obj.home is None and os.environ.get("SETPOINT_HOME"):
        ctx.obj.home = _named_home(os.environ["SETPOINT_HOME"])


def _named_home(text: str) -> Path:
    home = Path(text)
    if not home.is_dir():
        msg = f"SETPOINT_HOME: {text!r} is no folder"
        raise click.UsageError(msg)
    return home.resolve()


def _report(error: BaseException, *, verbose: bool) -> int:
    """Says what went wrong, what and where in one line; returns the exit code."""
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else FAILED
        case click.exceptions.NoArgsIsHelpError():
            click.echo(error.format_message(), err=True)
            return USAGE
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else "setpoint"
            return _fail(f"error: {error.format_message()} See '{where} --help'.", USAGE)
        case KeyboardInterrupt() | click.Abort():
            return _fail("error: interrupted", INTERRUPTED)
        case BrokenPipeError():
            # The reader has seen enough; stdout must not be flushed again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case _:
            return _report_failure(error, verbose=verbose)


def _report_failure(error: BaseException, *, verbose: bool) -> int:
    if verbose:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    match error:
        case ObjectMissingError():
            return _fail(error.message, FAILED)
        case SetpointError():
            return _fail(f"error: {error.message}", USAGE if isinstance(error, NothingDeclaredError) else FAILED)
        case click.ClickException():
            return _fail(f"error: {error.format_message()}", FAILED)
        case OSError(filename=str() as name, strerror=str() as reason):
            return _fail(f"error: {name}: {reason}", FAILED)
        case OSError(strerror=str() as reason):
            # No file: a socket, and what it says holds an address at most.
            return _fail(f"error: {reason}", FAILED)
        case _:
            # The message of an unforeseen error may hold anything, a secret included: only -v shows it.
            return _fail(f"error: internal error: {type(error).__name__}; run it again with -v to see where", FAILED)


def _fail(text: str, code: int) -> int:
    click.echo(text, err=True)
    return code


def main() -> NoReturn:
    """The entry point."""
    # A quarter of a short command's time would go into looking for garbage among what was imported, half of it at exit.
    gc.set_threshold(_COLLECT_AFTER)
    atexit.register(gc.freeze)
    cli.main(prog_name="setpoint")
    raise AssertionError  # main exits
