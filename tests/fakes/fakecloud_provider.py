"""Owns the Terraform provider of the fake cloud (fakecloud.py), on the library `tf`: `<name>_bucket`, its one resource.

Laid out by tests/fixtures/terraform.py in a filesystem mirror, where Terraform finds it.
"""

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

from tests.fakes.fakecloud import VARIABLE, Cloud
from tf import iface, runner, schema, types

_POLL = 0.01


class Bucket(iface.Resource):
    """A bucket: `name` can't change, `secret` is sensitive, `tier` has a default, `etag` is the cloud's own."""

    def __init__(self, provider: "FakeCloud") -> None:
        self._cloud = provider.cloud

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

    def create(self, ctx: iface.CreateContext, planned: dict[str, Any]) -> dict[str, Any] | None:
        if not self._begin(ctx, "create", planned):
            return None
        self._block(planned["name"])
        made = {**planned, "id": f"b-{uuid.uuid4().hex[:8]}"}
        self._cloud.put("create", made)
        if self._cloud.faults().get("die") == made["name"]:
            os._exit(1)
        return made

    def read(self, ctx: iface.ReadContext, current: dict[str, Any]) -> dict[str, Any] | None:
        if not self._begin(ctx, "read", current):
            return current
        found = self._cloud.get(current["id"])
        noisy = found is not None and self._cloud.faults().get("noise")
        return {**found, "etag": uuid.uuid4().hex} if noisy else found

    def update(self, ctx: iface.UpdateContext, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
        if not self._begin(ctx, "update", planned):
            return current
        made = {**planned, "id": current["id"]}
        self._cloud.put("update", made)
        return made

    def delete(self, ctx: iface.DeleteContext, current: dict[str, Any]) -> None:
        if self._begin(ctx, "delete", current):
            self._cloud.drop(current)

    def import_(self, ctx: iface.ImportContext, id: str) -> dict[str, Any] | None:  # noqa: A002 the library's name
        return self._cloud.get(id)

    def _begin(self, ctx: Any, call: str, bucket: dict[str, Any]) -> bool:
        """The first step of every call; False where it fails."""
        faults = self._cloud.faults()
        time.sleep(faults.get("latency", 0))
        if faults.get(f"fail_{call}") != bucket["name"]:
            return True
        said = f"no {call} of {bucket['name']}: {faults.get('echo', '')}"
        ctx.diagnostics.add_error(faults.get("say", "quota exceeded"), said if "say" not in faults else "")
        return False

    def _block(self, name: str) -> None:
        gate = self._cloud.faults().get("block")
        if gate is not None:
            Path(f"{gate}.{name}").touch()
            while not Path(gate).exists():
                time.sleep(_POLL)


class FakeCloud(iface.Provider):
    """The provider, under any name."""

    def __init__(self, name: str, cloud: Cloud) -> None:
        self._name = name
        self.cloud = cloud

    def get_model_prefix(self) -> str:
        return f"{self._name}_"

    def get_provider_schema(self, diags: Any) -> schema.Schema:
        return schema.Schema(attributes=[])

    def full_name(self) -> str:
        return f"registry.terraform.io/acme/{self._name}"

    def validate_config(self, diags: Any, config: dict[str, Any]) -> None:
        pass

    def configure_provider(self, diags: Any, config: dict[str, Any]) -> None:
        if message := self.cloud.faults().get("fail_configure"):
            diags.add_error("the cloud can't be reached", message)

    def get_data_sources(self) -> list[type[iface.DataSource]]:
        return []

    def get_resources(self) -> list[type[iface.Resource]]:
        return [Bucket]


class _Interceptor(runner._ShutdownInterceptor):
    """As in Go's library: being told to stop, a provider finishes the calls that have begun."""

    def intercept_service(self, proceed: Any, details: Any) -> Any:
        if details.method.endswith("/StopProvider"):
            return proceed(details)
        return super().intercept_service(proceed, details)


def serve(name: str) -> None:
    """Runs the provider for Terraform."""
    run(FakeCloud(name, Cloud(Path(os.environ[VARIABLE]))))


def run(provider: iface.Provider) -> None:
    """Runs any provider for Terraform. As in Go's library, an interrupt is Terraform's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runner._ShutdownInterceptor = _Interceptor
    runner.run_provider(provider)
