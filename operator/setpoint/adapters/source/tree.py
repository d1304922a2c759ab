"""Owns the step from entries to a SourceTree: links are followed inside the source, limits kept, contents digested.

Every kind of source is first given as nested Folders, and then goes through here; so the rules are the same for all.
"""

from collections.abc import Mapping

from setpoint.adapters.source.entries import File
from setpoint.adapters.source.limits import refused, shown
from setpoint.adapters.source.reach import Reach
from setpoint.api.conditions import Reason
from setpoint.domain.digests import digest, digest_bytes
from setpoint.domain.errors import StalledError, TransientError
from setpoint.ports import SourceTree

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_LFS_MOST = 1024


def source_tree(reach: Reach, path: tuple[str, ...], revision: str) -> SourceTree:
    """The tree that the code at that path reaches; each file is read for its digest.

    Where nothing outside of its folder is reached, that folder is the whole tree. Without a revision of its own, the
    digest is the tree's revision. Raises StalledError (SourceRefused, SourceNotFound), AbsentBlobsError.
    """
    reached = reach.files(path)
    root = "/".join(path)
    if not any(_is_below(name, root) for name in reached):
        raise StalledError(Reason.SOURCE_NOT_FOUND, "the source holds no files")
    if all(_is_below(name, root) for name in reached):
        reached = {name[len(root) + 1 if root else 0 :]: file for name, file in reached.items()}
        root = ""
    files = dict(sorted(reached.items()))
    known = {name: (_digest(name, file), file.executable) for name, file in files.items()}
    contents = [[name, executable, content] for name, (content, executable) in known.items()]
    content_digest = digest([root, contents] if root else contents)
    return SourceTree(
        digest=content_digest,
        revision=revision or content_digest,
        files=known,
        read=_Reader(files, known),
        marks=reach.marks(path),
        root=root,
    )


def _is_below(name: str, root: str) -> bool:
    return not root or name.startswith(f"{root}/")


def _digest(name: str, file: File) -> str:
    """Of the content. A file that Git LFS keeps elsewhere is refused: what is here only says where."""
    content = file.read()
    if len(content) < _LFS_MOST and content.startswith(_LFS_POINTER):
        raise refused(
            f"{shown(name)} is kept in Git LFS: the source holds a pointer in its place, and Setpoint fetches nothing "
            "from LFS; commit the file itself, or take it out of the source"
        )
    return digest_bytes(content)


class _Reader:
    """Reads again what was digested, and nothing else."""

    def __init__(self, files: Mapping[str, File], known: Mapping[str, tuple[str, bool]]) -> None:
        self._files = files
        self._known = known

    def __call__(self, path: str) -> bytes:
        content = self._files[path].read()
        if digest_bytes(content) != self._known[path][0]:
            raise TransientError(Reason.SOURCE_UNAVAILABLE, f"{shown(path)} changed while it was in use")
        return content
