"""Owns Server, a database server in one JSON file: what it holds, what it refuses, and what goes wrong on the way.

Its provider (provider.py) and a test hold the same server: the test looks at it, drifts it and sets faults, also while
Terraform runs.
"""

import contextlib
import fcntl
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Attributes = dict[str, Any]
_POLL = 0.01
_OWNED = {"role": ("owner", "role"), "schema": ("schema",), "database": ()}
"""By kind, the attributes of others that name one of it: it can't be dropped under them."""


class RefusedError(Exception):
    """The server's answer, which says no."""


class ConnectionLostError(Exception):
    """No answer came, whatever the server did."""


class Server:
    """One server: {"objects": {"kind/name": attributes}, "calls": [[operation, key]], "faults": {fault: setting}}."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The content, to be changed, for one process at a time."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = json.loads(self.path.read_text()) if self.path.exists() else {}
            content = {"objects": {}, "calls": [], "faults": {}, **found}
            yield content
            written = self.path.with_suffix(".new")
            written.write_text(json.dumps(content, indent=1, sort_keys=True))
            written.replace(self.path)

    # --- What a test does ----------------------------------------------------------------------------------------

    def objects(self) -> dict[str, Attributes]:
        """All objects, by kind and name."""
        with self._changing() as content:
            return content["objects"]

    def calls(self, operation: str) -> list[str]:
        """The objects for which an operation got through, in order."""
        with self._changing() as content:
            return [key for called, key in content["calls"] if called == operation]

    def drift(self, key: str, **attributes: Any) -> None:
        """Changes an object behind Terraform's back; without attributes it is dropped."""
        with self._changing() as content:
            if attributes:
                content["objects"][key].update(attributes)
            else:
                del content["objects"][key]

    def break_(self, **faults: Any) -> None:
        """Sets faults; None ends one.

        deny: the object that nobody may create. cut: the object after whose creation the connection is lost. hold: a
        file that deletes wait for; each leaves `<file>.<name>` when it begins to.
        """
        with self._changing() as content:
            merged = {**content["faults"], **faults}
            content["faults"] = {name: value for name, value in merged.items() if value is not None}

    # --- What the provider does ----------------------------------------------------------------------------------

    def get(self, key: str) -> Attributes | None:
        """One object."""
        return self.objects().get(key)

    def list(self, kind: str) -> list[Attributes]:
        """All objects of a kind, in no order."""
        return [one for key, one in reversed(self.objects().items()) if key.startswith(f"{kind}/")]

    def create(self, key: str, attributes: Attributes) -> None:
        """Raises RefusedError, and ConnectionLostError after the object was made."""
        kind, _, name = key.partition("/")
        with self._changing() as content:
            if content["faults"].get("deny") == key:
                raise RefusedError(f"pq: permission denied to create {kind}")
            if key in content["objects"]:
                raise RefusedError(f'pq: {kind} "{name}" already exists')
            self._require_owner(content, attributes)
            content["objects"][key] = attributes
            content["calls"].append(["create", key])
            lost = content["faults"].get("cut") == key
        if lost:
            raise ConnectionLostError("read tcp 192.0.2.7:40112->192.0.2.1:5432: read: connection reset by peer")

    def update(self, key: str, attributes: Attributes) -> None:
        """Raises RefusedError."""
        with self._changing() as content:
            self._require_owner(content, attributes)
            content["objects"][key] = attributes
            content["calls"].append(["update", key])

    def delete(self, key: str) -> None:
        """Raises RefusedError where something of it is left; takes as long as it is held."""
        kind, _, name = key.partition("/")
        if gate := self._fault("hold"):
            Path(f"{gate}.{name}").touch()
            while not Path(gate).exists():
                time.sleep(_POLL)
        with self._changing() as content:
            others = [one for other, one in content["objects"].items() if other != key]
            if any(one.get(field) == name for one, field in itertools.product(others, _OWNED.get(kind, ()))):
                raise RefusedError(f'pq: {kind} "{name}" cannot be dropped because some objects depend on it')
            content["objects"].pop(key, None)
            content["calls"].append(["delete", key])

    def _fault(self, name: str) -> Any:
        with self._changing() as content:
            return content["faults"].get(name)

    @staticmethod
    def _require_owner(content: dict[str, Any], attributes: Attributes) -> None:
        owner = attributes.get("owner")
        if owner and f"role/{owner}" not in content["objects"]:
            raise RefusedError(f'pq: role "{owner}" does not exist')
