"""Owns the port for what a kind of target adds to the command line: verbs, and checks of a machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from setpoint.api.meta import ObjectRef


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that a machine must have, or, where it is not `needed`, may; `remedy` says how to get it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a verb: `value` for programs, `text` for people, and a `note` to them beside it."""

    value: Mapping[str, Any]
    text: str
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A command that one kind of target has alone: `setpoint NAME TARGET`, with `params` behind.

    `help` begins with the summary. `read` makes the arguments of `run` of the values of `params`, before a home is
    opened; raises InvalidError. `run` is called with the kind's stores in a local home, the target, and who asks;
    it may raise SetpointError. `refuse` says to people on a cluster why not there, and what to do instead.
    """

    name: str
    kind: str
    help: str
    examples: tuple[str, ...]
    params: Callable[[], tuple[click.Parameter, ...]]
    read: Callable[..., Mapping[str, Any]]
    run: Callable[..., Awaitable[Answer]]
    refuse: Callable[[ObjectRef], tuple[str, str]]
