"""Owns two bounds on what a Change may do: what it must not destroy, and how much it may do at once. Pure."""

from collections.abc import Iterator

from setpoint.api.target import Protection
from setpoint.api.v1alpha1.change import ActionSummary, ChangeSummary
from setpoint.api.v1alpha1.enforcementgates import BlastRadius
from setpoint.domain.globs import matches
from setpoint.domain.model import Change

_DESTROYING = frozenset({"delete", "replace"})


def check_protection(change: Change, protection: Protection) -> tuple[str, ...]:
    """The reasons against applying the Change: one message for each protected resource that it deletes or replaces.

    An object that an interrupted replacement left has the address of the one in use. It is not what is protected: it
    was given up by the Change that replaced it, which protection had to let through.
    """
    if not (protection.addresses or protection.types):
        return ()
    destroyed = [action for action in change.actions if action.action in _DESTROYING]
    in_use = [action for action in destroyed if action.deposed is None]
    messages: list[str] = []
    for action in in_use:
        messages += _violations(action, protection, change)
    if len(destroyed) < change.summary.delete + change.summary.replace:
        messages.append("the Change destroys more than it lists, so protected resources can't be ruled out")
    return tuple(messages)


def _violations(action: ActionSummary, protection: Protection, change: Change) -> Iterator[str]:
    remedy = "take it out of spec.protection first if that is what you want"
    address, type_ = change.real_addresses.get(action.address, action.address), change.types.get(action.address)
    pattern = next((p for p in protection.addresses if _matches(p, address)), None)
    if pattern is not None:
        by = f" ({pattern})" if address == action.address else ""
        yield f"{action.action} of {action.address}, which spec.protection.addresses protects{by}; {remedy}"
    elif type_ is None and protection.types:
        yield f"{action.action} of {action.address}, of which no type is known, so spec.protection.types may protect it"
    elif type_ in protection.types:
        yield f"{action.action} of {action.address}, whose type spec.protection.types protects; {remedy}"


def _matches(pattern: str, address: str) -> bool:
    """A protected resource or module covers its instances and all that is in it."""
    ends = (i for i, character in enumerate(address) if character in ".[")
    return matches(pattern, address) or any(matches(pattern, address[:end]) for end in ends)


def check_blast_radius(summary: ChangeSummary, radius: BlastRadius) -> tuple[str, ...]:
    """One message for each bound that the Change breaks."""
    bounds = (
        ("create", summary.create, radius.max_create),
        ("update", summary.update, radius.max_update),
        ("delete", summary.delete, radius.max_delete),
        ("replace", summary.replace, radius.max_replace),
    )
    return tuple(
        f"it would {verb} {count} resources, and at most {most} are allowed; split the change"
        for verb, count, most in bounds
        if most is not None and count > most
    )
