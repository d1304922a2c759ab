"""Owns sources that are written in the manifest itself. No I/O."""

from collections.abc import Mapping
from functools import partial

from setpoint.adapters.source.entries import Entry, File
from setpoint.adapters.source.limits import Bounds, Tally, refused, shown
from setpoint.adapters.source.reach import Reach
from setpoint.adapters.source.tree import source_tree
from setpoint.ports import SourceTree


def inline_tree(files: Mapping[str, str], bounds: Bounds) -> SourceTree:
    """The tree of `spec.source.inline`. Raises StalledError (SourceRefused) naming the file."""
    top, tally = _Folder(bounds), Tally(bounds.limits)
    for path, text in files.items():
        try:
            content = text.encode()
        except UnicodeEncodeError:
            raise refused(f"spec.source.inline: {shown(path)} is not UTF-8") from None
        _put(top, path, File(len(content), executable=False, read=partial(bytes, content)), tally)
    return source_tree(Reach(top, "source", bounds), (), "")


class _Folder:
    """Implements entries.Folder."""

    def __init__(self, bounds: Bounds) -> None:
        self.held: dict[str, Entry] = {}
        self._bounds = bounds
        self._marks: set[str] = set()

    def below(self, name: str) -> Entry:
        """The entry of that name: a new folder where there is none."""
        return self.held.setdefault(name, _Folder(self._bounds))

    def admits(self, name: str, where: str) -> bool:
        """False for what is left out; marks are remembered."""
        self._marks.update(self._bounds.code.marks & {name})
        return self._bounds.admits(name, where)

    def entries(self) -> Mapping[str, Entry]:
        """All that it holds."""
        return self.held

    def find(self, name: str) -> Entry | None:
        """One entry."""
        return self.held.get(name)

    def marks(self) -> frozenset[str]:
        """Those that were left out."""
        return frozenset(self._marks)


def _put(folder: _Folder, path: str, file: File, tally: Tally) -> None:
    *parents, name = path.split("/")
    where = f"spec.source.inline: {path}"
    for depth, parent in enumerate(parents):
        tally.entry(depth)
        if not folder.admits(parent, where):
            return
        below = folder.below(parent)
        if not isinstance(below, _Folder):
            raise refused(f"spec.source.inline: {shown(path)} uses a file as a folder")
        folder = below
    if not folder.admits(name, where):
        return
    if name in folder.held:
        raise refused(f"spec.source.inline: {shown(path)} uses a folder as a file")
    folder.held[name] = file
