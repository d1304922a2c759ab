"""Owns the Terraform provider of the fake database server (server.py), on the library `tf`."""

from pathlib import Path
from typing import Any

import tf.provider
from tests.fakes.fakecloud_provider import run
from tests.fakes.fakepg.kinds import TEXT, Catalog, Database, Grant, Role, Schema
from tests.fakes.fakepg.server import Server
from tf import iface, schema


class FakePg(iface.Provider):
    """The provider; `server` in its block is the server's file."""

    server: Server

    def get_model_prefix(self) -> str:
        return "fakepg_"

    def get_provider_schema(self, diags: Any) -> schema.Schema:
        return schema.Schema(attributes=[schema.Attribute("server", TEXT, required=True)])

    def full_name(self) -> str:
        return "registry.terraform.io/acme/fakepg"

    def validate_config(self, diags: Any, config: dict[str, Any]) -> None:
        pass

    def configure_provider(self, diags: Any, config: dict[str, Any]) -> None:
        self.server = Server(Path(config["server"]))

    def get_data_sources(self) -> list[type[iface.DataSource]]:
        return [Catalog]

    def get_resources(self) -> list[type[iface.Resource]]:
        return [Role, Database, Schema, Grant]


class _Legacy(tf.provider.ProviderServicer):
    """As with Go's older library: Terraform bears with a value that says nothing in the place of another such."""

    def PlanResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        response = super().PlanResourceChange(request, context)
        response.legacy_type_system = True
        return response

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        response = super().ApplyResourceChange(request, context)
        response.legacy_type_system = True
        return response


def serve(name: str) -> None:
    """Runs the provider for Terraform."""
    assert name == "fakepg"
    tf.provider.ProviderServicer = _Legacy
    run(FakePg())
