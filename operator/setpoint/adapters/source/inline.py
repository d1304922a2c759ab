"""Owns sources that are written in the manifest itself. No I/O."""

from collections.abc import Mapping
from functools import partial

from setpoint.adapters.source.limits import Limits, Tally, refused, shown
from setpoint.adapters.source.tree import File, Folder, source_tree
from setpoint.ports import SourceTree


def inline_tree(files: Mapping[str, str], limits: Limits) -> SourceTree:
    """The tree of `spec.source.inline`. Raises StalledError (SourceRefused) naming the file."""
    root, tally = Folder(), Tally(limits)
    for path, text in files.items():
        try:
            content = text.encode()
        except UnicodeEncodeError:
            raise refused(f"spec.source.inline: {shown(path)} is not UTF-8") from None
        _put(root, path, File(len(content), executable=False, read=partial(bytes, content)), tally)
    return source_tree(root, "", limits)


def _put(root: Folder, path: str, file: File, tally: Tally) -> None:
    folder = root
    *parents, name = path.split("/")
    for depth, parent in enumerate(parents):
        tally.entry(depth)
        if not folder.admits(parent, path):
            return
        below = folder.entries.setdefault(parent, Folder())
        if not isinstance(below, Folder):
            raise refused(f"spec.source.inline: {shown(path)} uses a file as a folder")
        folder = below
    if not folder.admits(name, path):
        return
    if name in folder.entries:
        raise refused(f"spec.source.inline: {shown(path)} uses a folder as a file")
    folder.entries[name] = file
