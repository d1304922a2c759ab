"""Owns what is gone already, whatever is decided: what was deleted outside is made anew without the data that it held.

Pure. Speaks of addresses and ids as people may see them.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from setpoint.domain.scrubbing import Scrubber
from setpoint.domain.value_paths import cover_of
from setpoint.targets.environment.plan.changes import PlannedChange

_SHOWN = 5
_MAX_ID = 200
_MAX_NOTE = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """A resource that was deleted outside and is made anew. `id` is set where it holds the name, and may be shown.

    Such a resource seems to be deleted, too, when it is only renamed.
    """

    address: str
    type: str
    id: str = ""


def find_lost(
    acting: Sequence[PlannedChange], drift: Sequence[PlannedChange], seen: Mapping[str, str], hidden: Scrubber
) -> tuple[Lost, ...]:
    """The resources that are made anew since they are gone; `seen` has their addresses as people may see them."""
    gone = {change.key: change for change in drift if change.verb == "delete"}
    return tuple(
        Lost(seen[change.address], change.type, _renameable_id(gone[change.key], hidden))
        for change in acting
        if change.verb == "create" and change.key in gone
    )


def _renameable_id(gone: PlannedChange, hidden: Scrubber) -> str:
    """The recorded id, if it is made of the name: any other outlives a renaming."""
    id_, name = (gone.values.before.get((attribute,)) for attribute in ("id", "name"))
    if not isinstance(id_, str) or not isinstance(name, str) or not name or name not in id_ or len(id_) > _MAX_ID:
        return ""
    masked = cover_of(("id",), gone.values.masks) or cover_of(("name",), gone.values.masks)
    return "" if masked is not None or not id_.isprintable() or (hidden and hidden.finds(id_)) else id_


def notes_of_losses(lost: Sequence[Lost], holds_data: Callable[[str], bool]) -> tuple[str, ...]:
    """The notes of a Change that makes anew what held data. The same for the same plan: a part of what is approved."""
    found = [one for one in lost if holds_data(one.type)]
    if not found:
        return ()
    gone = f"deleted outside and made anew, empty; what it held is gone: {_listed([one.address for one in found])}"
    renamed = [one for one in found if one.id]
    if not renamed:
        return (gone[:_MAX_NOTE],)
    named = _listed([f"{one.address} was {one.id}" for one in renamed])
    hint = f"if it was only renamed, it is still there: rename it back before this is applied. {named}"
    return gone[:_MAX_NOTE], hint[:_MAX_NOTE]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
