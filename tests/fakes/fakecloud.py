"""Owns FakeCloud, a cloud in one JSON file, and the Terraform provider for it, whose calls can be made to go wrong.

The provider is laid out by tests/fixtures/terraform.py and finds its cloud by the variable FAKECLOUD. A test holds
the same cloud by `Cloud`: it reads what was made, drifts it, and sets faults, also while Terraform runs.
"""

import contextlib
import fcntl
import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VARIABLE = "FAKECLOUD"
_POLL = 0.01


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
        """What exists, by name."""
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
        provider is gone. echo: a text in the message of every failure.
        """
        with self.changing() as content:
            merged = {**content["faults"], **{name: _plain(value) for name, value in faults.items()}}
            content["faults"] = {name: value for name, value in merged.items() if value is not None}

    # --- What the provider does ----------------------------------------------------------------------------------

    def faults(self) -> dict[str, Any]:
        """What goes wrong now."""
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


def serve(name: str) -> None:
    """Runs the provider `name` for Terraform; its one resource is `<name>_bucket`."""
    from tf import iface, runner, schema, types

    cloud = Cloud(Path(os.environ[VARIABLE]))

    def wait(context: Any, call: str, bucket: dict[str, Any]) -> bool:
        """What every call goes through first; False where it fails."""
        faults = cloud.faults()
        time.sleep(faults.get("latency", 0))
        if faults.get(f"fail_{call}") == bucket["name"]:
            context.diagnostics.add_error("quota exceeded", f"no {call} of {bucket['name']}: {faults.get('echo', '')}")
            return False
        if call == "create" and "block" in faults:
            Path(f"{faults['block']}.{bucket['name']}").touch()
            while not Path(faults["block"]).exists():
                time.sleep(_POLL)
        return True

    class Bucket(iface.Resource):
        def __init__(self, provider: Any) -> None:
            self.provider = provider

        @classmethod
        def get_name(cls) -> str:
            return "bucket"

        @classmethod
        def get_schema(cls) -> schema.Schema:
            text, number = types.String(), types.Number()
            return schema.Schema(
                version=1,
                attributes=[
                    schema.Attribute("id", text, computed=True),
                    schema.Attribute("name", text, required=True, requires_replace=True),
                    schema.Attribute("size", number, optional=True),
                    schema.Attribute("acl", text, optional=True),
                    schema.Attribute("secret", text, optional=True, sensitive=True),
                    schema.Attribute("tier", text, optional=True, computed=True, default="standard"),
                    schema.Attribute("etag", text, computed=True, default="e0"),
                ],
            )

        def create(self, ctx: Any, planned: dict[str, Any]) -> dict[str, Any] | None:
            if not wait(ctx, "create", planned):
                return None
            made = {**planned, "id": f"b-{uuid.uuid4().hex[:8]}"}
            cloud.put("create", made)
            if cloud.faults().get("die") == made["name"]:
                os._exit(1)
            return made

        def read(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
            if not wait(ctx, "read", current):
                return current
            found = cloud.get(current["id"])
            noisy = found is not None and cloud.faults().get("noise")
            return {**found, "etag": uuid.uuid4().hex} if noisy else found

        def update(self, ctx: Any, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
            wait(ctx, "update", planned)
            made = {**planned, "id": current["id"]}
            cloud.put("update", made)
            return made

        def delete(self, ctx: Any, current: dict[str, Any]) -> None:
            wait(ctx, "delete", current)
            cloud.drop(current)

        def import_(self, ctx: Any, id: str) -> dict[str, Any] | None:  # noqa: A002 the library's name
            return cloud.get(id)

    class FakeCloud(iface.Provider):
        def get_model_prefix(self) -> str:
            return f"{name}_"

        def get_provider_schema(self, diags: Any) -> schema.Schema:
            return schema.Schema(attributes=[])

        def full_name(self) -> str:
            return f"registry.terraform.io/acme/{name}"

        def validate_config(self, diags: Any, config: dict[str, Any]) -> None:
            pass

        def configure_provider(self, diags: Any, config: dict[str, Any]) -> None:
            if message := cloud.faults().get("fail_configure"):
                diags.add_error("the cloud can't be reached", message)

        def get_data_sources(self) -> list[Any]:
            return []

        def get_resources(self) -> list[Any]:
            return [Bucket]

    # As providers in Go do: an interrupt is Terraform's to handle, and calls that have begun are finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stop = runner._ShutdownInterceptor.intercept_service

    def intercept(self: Any, proceed: Any, details: Any) -> Any:
        stops = details.method.endswith("/StopProvider")
        return proceed(details) if stops else stop(self, proceed, details)

    runner._ShutdownInterceptor.intercept_service = intercept
    runner.run_provider(FakeCloud())
