"""Owns reaching what a Change would do, checking that it is what the Change's digest names, and the section on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from setpoint.api.v1alpha1.change import Change
from setpoint.cli.content_lines import content_lines, content_value, entries_of
from setpoint.cli.story import action_lines, section
from setpoint.domain.errors import InvalidError, NotFoundError, SetpointError, StoreError
from setpoint.domain.reading import parse
from setpoint.domain.shown_content import ShownContent

if TYPE_CHECKING:
    from setpoint.api.meta import JsonObject
    from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary
    from setpoint.cli.context import Home


@dataclasses.dataclass(frozen=True, slots=True)
class Sight:
    """The part of a Change's content that is at hand, and why it is not all; `wrong` where it is not the content."""

    content: ShownContent | None = None
    missing: str = ""
    wrong: str = ""

    @property
    def whole(self) -> bool:
        """True where an approver can see everything that may be shown."""
        return not self.missing and not self.wrong


async def see(home: Home, change: Change) -> Sight:
    """The content of a Change, from the store where that is in reach, else the beginning that its status holds."""
    content, missing = await _from_store(home, change)
    if content is None:
        content = _from_status(change)
    if content is None:
        return Sight(missing=missing or _why_missing(change))
    problem = _check(content, change)
    if problem:
        return Sight(wrong=problem)
    if content.whole:
        return Sight(content)
    more = f"{content.more} more lines" if content.more else "long values"
    return Sight(content, missing=f"{missing or 'only its beginning is at hand'}: {more} are not shown")


async def _from_store(home: Home, change: Change) -> tuple[ShownContent | None, str]:
    if change.spec.content is None:
        return None, ""
    try:
        data = await home.content(change.spec.content)
        return (ShownContent.from_bytes(data), "") if data is not None else (None, "")
    except NotFoundError:
        return None, "the store no longer holds what this Change would do, until its target is observed again"
    except (StoreError, InvalidError) as error:
        return None, f"what this Change would do can't be read: {error.message}"


def _from_status(change: Change) -> ShownContent | None:
    found = change.status.content
    return ShownContent(tuple(found.lines), found.sealed, found.more, found.rest) if found else None


def _why_missing(change: Change) -> str:
    if change.status.outcome == "Superseded":
        return "this Change was superseded, and only the store keeps what it would have done"
    return "this Change was made before contents were kept"


def _check(content: ShownContent, change: Change) -> str:
    try:
        digest = content.digest
    except InvalidError as error:
        digest = error.message
    if digest == change.spec.digest:
        return ""
    return f"what is kept of this Change is not what it would do: its digest is {change.spec.digest}, not {digest}"


def refuse_unseen(change: Change, sight: Sight, *, unseen: bool) -> None:
    """Raises SetpointError where nobody could have seen what is approved; `unseen` is the approver's word for it."""
    if sight.wrong:
        target = f"{change.spec.target_ref.kind.lower()}/{change.spec.target_ref.name}"
        msg = (
            f"{change.ref}: {sight.wrong}; no approval is given. The next observation of {target} keeps it anew "
            "('setpoint reconcile'); if it is wrong again, somebody else writes here"
        )
        raise SetpointError(msg)
    if sight.missing and not unseen:
        msg = (
            f"{change.ref}: {sight.missing}. No approval is given unseen: look at it where all of it is in reach, or "
            "approve it with --unseen --reason 'how you know what it does'"
        )
        raise SetpointError(msg)


@dataclasses.dataclass(slots=True)
class ContentTeller:
    """Tells what Changes would do, and remembers where something was wrong."""

    full: bool = False
    wrong: bool = False

    async def value(self, home: Home, obj: JsonObject) -> JsonObject:
        """An object for programs; a Change that can be read, with its `content`."""
        try:
            change = parse(Change, obj) if obj["kind"] == "Change" else None
        except InvalidError:
            change = None
        return obj if change is None else {**obj, "content": sight_value(await self.see(home, change))}

    async def see(self, home: Home, change: Change) -> Sight:
        """The content of a Change."""
        sight = await see(home, change)
        self.wrong = self.wrong or bool(sight.wrong)
        return sight

    async def section(self, home: Home, change: Change) -> list[str]:
        """The section on a Change's actions."""
        sight = await self.see(home, change)
        summary = change.spec.summary
        return action_section(sight, summary, summary.actions, cause=change.spec.cause, full=self.full)


def sight_value(sight: Sight) -> JsonObject:
    """The content for programs; `problem` says why there is none, or not all of it."""
    problem = sight.wrong or sight.missing
    return (content_value(sight.content) if sight.content else {}) | ({"problem": problem} if problem else {})


def action_section(
    sight: Sight,
    summary: ChangeSummary,
    actions: Sequence[ActionSummary],
    *,
    cause: str,
    full: bool,
) -> list[str]:
    """Lines on what would be done, with values as far as they are at hand, and by address alone where they are not."""
    # Of a Change for drift, the title says it.
    told = {"cascade"} if cause == "Drift" else {"cascade", "actionable"}
    causes = {action.address: action.cause for action in actions if action.cause in told and not action.deposed}
    lines = content_lines(sight.content, causes, full=full) if sight.content else []
    entries = entries_of(sight.content) if sight.content else []
    seen = {(entry.header.get("address"), entry.header.get("deposed")) for entry in entries}
    others = [action for action in actions if (action.address, action.deposed) not in seen]
    total = summary.create + summary.update + summary.delete + summary.replace
    if sight.whole and others:
        lines += ["", "Done as well, though nobody decides on it (spec.drift.ignore, or drift that is only noted):"]
    lines += action_lines(
        others, total=None if sight.whole else total - len(seen & {(one.address, one.deposed) for one in actions})
    )
    said = [f"{label}: {text}" for label, text in (("NOT SHOWN", sight.missing), ("WRONG", sight.wrong)) if text]
    title = "Actions (what is there → what should be)" if cause == "Drift" else "Actions"
    return section(title, [*lines, *said])
