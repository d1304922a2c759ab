"""Owns keeping a target's work folder to what its bundle holds, and telling people what runs left, there or running."""

import logging
from collections.abc import Sequence

from setpoint.api.conditions import Reason
from setpoint.domain.visible import visible
from setpoint.ports import Notice
from setpoint.targets.environment.terraform.workfolder import Facts, WorkFolder

_ELSEWHERE = (
    "Whatever writes there (a provisioner, a local_file, a program that the code calls) must write elsewhere; "
    "a resource that is such a file is missing at the next plan"
)
_MAX_NAMES = 5
_MAX_NAME = 200
_LOGGER = logging.getLogger(__name__)


class FolderGuard:
    """Looks before each command: whatever ran before may have left what Terraform would load."""

    def __init__(self, folder: WorkFolder, target: str) -> None:
        self._folder = folder
        self._target = target
        self._notices: list[Notice] = []

    def finds_changed(self, facts: Facts) -> bool:
        """True where something wrote over the bundle's files, or what init has made beside them; gives notice of it."""
        changed = self._folder.changed(facts)
        # An init that did not come to its end leaves what it will.
        meddled = [name for name in changed if name not in facts.made or facts.init]
        if meddled:
            self._notice(
                Reason.WORK_FOLDER_RESTORED,
                f"put back in the work folder, where something had changed them: {_listed(meddled)}",
            )
        return bool(changed)

    def remove_strays(self, facts: Facts) -> None:
        """Removes what Terraform would load and no bundle brought; gives notice of it."""
        if strays := self._folder.remove_strays(facts):
            why = "Terraform would load them, and the source does not hold them"
            what = f"removed from the work folder ({why}): {_listed(strays)}. {_ELSEWHERE}"
            self._notice(Reason.WORK_FOLDER_RESTORED, what)
        for place in self._folder.set_states_aside():
            remedy = "see what it knows (terraform state list -state=FILE), and remove it then: it may hold secrets"
            what = f"a state that something had put into the work folder is kept as {place}: {remedy}"
            self._notice(Reason.WORK_FOLDER_RESTORED, what)

    def notice_left(self, programs: Sequence[str]) -> None:
        """Tells of programs that an apply left running, and that were ended."""
        if programs:
            remedy = "a provisioner can't start what is to stay: make it a service of the machine that it is for"
            what = f"ended what the apply had left running: {_listed(programs)}; {remedy}"
            self._notice(Reason.LEFTOVER_ENDED, what)

    def explain_lost_state(self, command: str) -> str:
        """For an apply that ended well and never asked Setpoint for the state."""
        found = ", ".join(map(str, self._folder.find_states()))
        where = f"look at {found} first" if found else "look for a backend that something gave it"
        return (
            f"{command} says that it applied, but it kept the state elsewhere: it never asked Setpoint for it, and the "
            f"store has no version of this run. {where}; bring what only that state knows into the managed one with "
            "import blocks"
        )

    def _notice(self, reason: Reason, text: str) -> None:
        _LOGGER.warning("%s: %s", self._target, text)
        self._notices.append(Notice(reason, text))

    def take_notices(self) -> tuple[Notice, ...]:
        """The notices since this was last asked."""
        taken, self._notices = tuple(self._notices), []
        return taken


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return visible(", ".join(name[:_MAX_NAME] for name in names[:_MAX_NAMES])) + more
