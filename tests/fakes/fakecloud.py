"""Owns Cloud, a cloud in one JSON file, whose calls can be made to go wrong.

Its Terraform provider (fakecloud_provider.py) finds it by the variable FAKECLOUD. A test holds the same cloud: it
reads what was made, drifts it, and sets faults, also while Terraform runs.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIABLE = "FAKECLOUD"


class Cloud:
    """One cloud: {"buckets": {id: attributes}, "calls": [[operation, name]], "faults": {fault: setting}}."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """The content, to be changed, for one process at a time."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = json.loads(self.path.read_text()) if self.path.exists() else {}
            content = {"buckets": {}, "calls": [], "faults": {}, **found}
            yield content
            written = self.path.with_suffix(".new")
            written.write_text(json.dumps(content, indent=1, sort_keys=True))
            written.replace(self.path)

    # --- What a test does ----------------------------------------------------------------------------------------

    def buckets(self) -> dict[str, dict[str, Any]]:
        """The buckets that exist, by name."""
        with self.changing() as content:
            return {bucket["name"]: bucket for bucket in content["buckets"].values()}

    def calls(self, operation: str) -> list[str]:
        """The names of the buckets for which an operation got through, in order."""
        with self.changing() as content:
            return [name for called, name in content["calls"] if called == operation]

    def drift(self, name: str, **attributes: Any) -> None:
        """Changes a bucket behind Terraform's back."""
        with self.changing() as content:
            for bucket in content["buckets"].values():
                if bucket["name"] == name:
                    bucket.update(attributes)

    def lose(self, name: str) -> None:
        """Removes a bucket behind Terraform's back."""
        with self.changing() as content:
            content["buckets"] = {id_: one for id_, one in content["buckets"].items() if one["name"] != name}

    def break_(self, **faults: Any) -> None:
        """Sets faults, None ends one.

        latency: seconds that every call takes. fail_create, fail_read: the bucket whose call fails. fail_configure:
        the message with which every run fails. noise: true for an etag that differs at each read. block: a file that
        creates wait for; each leaves `<file>.<name>` when it begins to. die: the bucket after whose creation the
        provider is gone. echo: a text in the message of every failure. say: the whole message of every failure.
        """
        with self.changing() as content:
            merged = {**content["faults"], **{name: _plain(value) for name, value in faults.items()}}
            content["faults"] = {name: value for name, value in merged.items() if value is not None}

    # --- What the provider does ----------------------------------------------------------------------------------

    def faults(self) -> dict[str, Any]:
        """The faults in force now."""
        with self.changing() as content:
            return content["faults"]

    def put(self, operation: str, bucket: dict[str, Any]) -> None:
        """Creates or changes a bucket."""
        with self.changing() as content:
            content["buckets"][bucket["id"]] = bucket
            content["calls"].append([operation, bucket["name"]])

    def get(self, id_: str) -> dict[str, Any] | None:
        """One bucket."""
        with self.changing() as content:
            return content["buckets"].get(id_)

    def drop(self, bucket: dict[str, Any]) -> None:
        """Deletes a bucket, if it is there."""
        with self.changing() as content:
            content["buckets"].pop(bucket["id"], None)
            content["calls"].append(["delete", bucket["name"]])


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
