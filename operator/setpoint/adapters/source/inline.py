"""Owns sources that are written in the manifest itself. No I/O."""

from collections.abc import Mapping
from functools import partial

from setpoint.adapters.source.entries import Entry, File
from setpoint.adapters.source.limits import STATE_NAMES, Limits, Tally, admits, refused, shown
from setpoint.adapters.source.reach import Reach
from setpoint.adapters.source.tree import source_tree
from setpoint.ports import SourceTree


def inline_tree(files: Mapping[str, str], limits: Limits) -> SourceTree:
    """The tree of `spec.source.inline`. Raises StalledError (SourceRefused) naming the file."""
    top, tally = _Folder(), Tally(limits)
    for path, text in files.items():
        try:
            content = text.encode()
        except UnicodeEncodeError:
            raise refused(f"spec.source.inline: {shown(path)} is not UTF-8") from None
        _put(top, path, File(len(content), executable=False, read=partial(bytes, content)), tally)
    return source_tree(Reach(top, "source", limits), (), "")


class _Folder:
    """Implements entries.Folder."""

    def __init__(self) -> None:
        self.held: dict[str, Entry] = {}
        self._has_state = False

    def admits(self, name: str, where: str) -> bool:
        """False for what is left out; a state is remembered."""
        self._has_state = self._has_state or name in STATE_NAMES
        return admits(name, where)

    def entries(self) -> Mapping[str, Entry]:
        """All that it holds."""
        return self.held

    def find(self, name: str) -> Entry | None:
        """One entry."""
        return self.held.get(name)

    def has_state(self) -> bool:
        """True where a state was left out."""
        return self._has_state


def _put(folder: _Folder, path: str, file: File, tally: Tally) -> None:
    *parents, name = path.split("/")
    where = f"spec.source.inline: {path}"
    for depth, parent in enumerate(parents):
        tally.entry(depth)
        if not folder.admits(parent, where):
            return
        below = folder.held.setdefault(parent, _Folder())
        if not isinstance(below, _Folder):
            raise refused(f"spec.source.inline: {shown(path)} uses a file as a folder")
        folder = below
    if not folder.admits(name, where):
        return
    if name in folder.held:
        raise refused(f"spec.source.inline: {shown(path)} uses a folder as a file")
    folder.held[name] = file
