"""Owns the commands that some kind of target has alone: each is made of the verb that the target's package gives."""

from __future__ import annotations

from typing import Any

import click

from setpoint.cli.context import DONE, Home, Invocation, fetch
from setpoint.cli.kinds import find_object
from setpoint.cli.main import SetpointCommand
from setpoint.cli.options import namespace_option, output_option
from setpoint.cli.output import print_value
from setpoint.ports.commands import Verb


def command_of(verb: Verb) -> click.Command:
    """The command of a verb: on one target of the verb's kind, in a home that is made where it is named and is none."""

    @click.pass_obj
    def perform(invocation: Invocation, /, target: str, namespace: str, output: str | None, **values: Any) -> int:
        ref = find_object(target, namespace, default=verb.kind)
        arguments = verb.read(**values)

        async def run(home: Home) -> int:
            await fetch(home, ref)
            answer = await home.perform(verb, ref, **arguments)
            if output:
                print_value(dict(answer.value), output)
                return DONE
            click.echo(answer.text)
            if answer.note:
                click.echo(answer.note, err=True)
            return DONE

        return invocation.run(run, create=invocation.home is not None)

    perform.__doc__ = verb.help
    command = click.command(verb.name, cls=SetpointCommand, examples=verb.examples)(
        namespace_option(output_option(perform))
    )
    command.params[:0] = [click.Argument(["target"], metavar=verb.kind.upper()), *verb.params()]
    return command
