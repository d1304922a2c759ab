"""Owns what a source reaches of the repository or home that it is in, as far as its code says.

That is its folder with all below; the folders that its code calls, and those that they call, each with all below but
other folders of code; and files and folders that the text of these names. A link stands for what it names, wherever in
the repository or home that is. Paths go up by their text, past links.
"""

from collections.abc import Iterator

from setpoint.adapters.source.entries import AbsentBlobsError, Entry, File, Folder, Link
from setpoint.adapters.source.limits import Bounds, Tally, refused, shown
from setpoint.api.conditions import Reason
from setpoint.domain.errors import TransientError
from setpoint.ports import NamedPath

_MAX_HOPS = 40
Path = tuple[str, ...]


class Reach:
    """Looks through one source. `whole` is what its top is to people: the home, the repository.

    A place is where an entry really is, a path how it is reached; they differ behind a link to a folder.
    """

    def __init__(self, top: Folder, whole: str, bounds: Bounds) -> None:
        self._top = top
        self._whole = whole
        self._code = bounds.code
        self._tally = Tally(bounds.limits)
        self._files: dict[str, File] = {}
        self._own: dict[Path, dict[str, File]] = {}
        self._taken: set[Path] = set()
        self._absent: dict[str, None] = {}

    def files(self, root: Path) -> dict[str, File]:
        """The files that the code of a folder reaches, by paths from the top. Raises StalledError, AbsentBlobsError."""
        self._take(root)
        modules = [root]
        for module in modules:
            self._require_contents()
            own = self._texts(module)
            for call in self._code.called_folders(own, "/".join(module)):
                called = self._called(call)
                if called is not None and called not in modules:
                    self._take(called, others=False)
                    modules.append(called)
            for named in self._code.named_paths(own, "/".join(module), "/".join(root)):
                self._take_named(named)
        self._require_contents()
        return self._files

    def marks(self, root: Path) -> frozenset[str]:
        """The code's marks that stand in a folder."""
        found = self._look(root)
        return frozenset() if found is None or isinstance(found[1], File) else found[1].marks()

    def _require_contents(self) -> None:
        if self._absent:
            raise AbsentBlobsError(self._absent)

    def _texts(self, module: Path) -> dict[str, bytes]:
        """The files of a module that may name others, by their plain names."""
        own = self._own.get(module, {})
        return {name: file.read() for name, file in own.items() if self._code.names_paths(name)}

    def _called(self, call: NamedPath) -> Path | None:
        if call.leaves:
            raise refused(f"{shown(call.at)}: the module's source leads out of the {self._whole}")
        found = self._look(_parts(call.path))
        return _parts(call.path) if found is not None and not isinstance(found[1], File) else None

    def _take_named(self, named: NamedPath) -> None:
        if named.leaves:
            if named.reads:
                raise refused(f"{shown(named.at)}: {shown(named.path)} leads out of the {self._whole}")
            return
        path = _parts(named.path)
        found = self._look(path)
        if found is not None and isinstance(found[1], File):
            self._add(path, found[1])
        elif found is not None:
            self._take(path)

    # --- Taking -------------------------------------------------------------------------------------------------

    def _take(self, path: Path, *, others: bool = True) -> None:
        """A folder with all below it; without `others`, folders with code in them are left to those who call them."""
        found = self._look(path)
        if found is None or any(path[:end] in self._taken for end in range(len(path) + 1)):
            return
        place, folder = found
        if isinstance(folder, File):
            return
        self._below(folder, place, path, depth=0, others=others)
        if others:
            self._taken.add(path)

    def _below(self, folder: Folder, place: Path, path: Path, *, depth: int, others: bool) -> None:
        for name, entry in folder.entries().items():
            self._tally.entry(depth)
            if isinstance(entry, Link) and entry.absent:
                self._absent[entry.absent] = None
                continue
            here, found = self._follow(place, name, entry) if isinstance(entry, Link) else ((*place, name), entry)
            if isinstance(found, File):
                self._add((*path, name), found)
            elif others or not self._holds_code(found):
                self._below(found, here, (*path, name), depth=depth + 1, others=others)

    def _holds_code(self, folder: Folder) -> bool:
        return any(
            self._code.is_code(name) and isinstance(entry, File | Link) for name, entry in folder.entries().items()
        )

    def _add(self, path: Path, file: File) -> None:
        text = "/".join(path)
        if text in self._files:
            return
        self._tally.file(text, file.size)
        self._files[text] = file
        self._own.setdefault(path[:-1], {})[path[-1]] = file
        if file.absent:
            self._absent[file.absent] = None

    # --- Finding ------------------------------------------------------------------------------------------------

    def _look(self, path: Path) -> tuple[Path, File | Folder] | None:
        """The place and the entry of a path; None where nothing is."""
        place: Path = ()
        entry: File | Folder = self._top
        for name in path:
            found = None if isinstance(entry, File) else entry.find(name)
            if found is None:
                return None
            place, entry = self._follow(place, name, found) if isinstance(found, Link) else ((*place, name), found)
        return place, entry

    def _follow(self, folder: Path, name: str, link: Link) -> tuple[Path, File | Folder]:
        """The place and the entry that a link in a folder names, through further links."""
        said = shown("/".join((*folder, name)))
        trail = [*self._trail(folder)]
        todo = [*reversed(self._steps(said, link))]
        hops = 1
        while todo:
            step = todo.pop()
            if step == "..":
                if len(trail) == 1:
                    raise refused(f"the link {said} leaves the {self._whole}")
                trail.pop()
                continue
            found = trail[-1][1].find(step)
            if isinstance(found, Link) and hops < _MAX_HOPS:
                hops += 1
                todo.extend(reversed(self._steps(said, found)))
            elif isinstance(found, File) and not todo:
                return (*(part for part, _ in trail[1:]), step), found
            elif found is None or isinstance(found, File | Link):
                raise refused(f"the link {said} names nothing that the {self._whole} holds")
            else:
                trail.append((step, found))
        return tuple(part for part, _ in trail[1:]), trail[-1][1]

    def _trail(self, place: Path) -> Iterator[tuple[str, Folder]]:
        """The folders from the top to a place, which holds no link."""
        folder: Entry | None = self._top
        yield "", self._top
        for part in place:
            folder = folder.find(part) if folder is not None and not isinstance(folder, File | Link) else None
            if folder is None or isinstance(folder, File | Link):
                message = f"{shown('/'.join(place))} changed while it was read"
                raise TransientError(Reason.SOURCE_UNAVAILABLE, message)
            yield part, folder

    def _steps(self, said: str, link: Link) -> list[str]:
        if link.absent:
            raise AbsentBlobsError([*self._absent, link.absent])
        if link.target.startswith("/"):
            raise refused(f"the link {said} is absolute")
        return [step for step in link.target.split("/") if step not in ("", ".")]


def _parts(path: str) -> Path:
    return tuple(part for part in path.split("/") if part not in ("", "."))
