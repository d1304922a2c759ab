"""Owns what Ctrl-C and SIGTERM do to a command that runs for long."""

import asyncio
import signal

import click


def stop_on_signals(stop: asyncio.Event) -> None:
    """The first SIGINT or SIGTERM stops gracefully, the second cancels the task that called this."""
    task = asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
            return
        click.echo("stopping: what runs comes to its end; Ctrl-C again stops at once", err=True)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
