"""A Terraform provider whose cloud is one JSON file, so that things can be changed behind Terraform's back."""

import contextlib
import fcntl
import json
import os
import uuid
from pathlib import Path

from tf import runner, types
from tf.iface import Provider, Resource
from tf.schema import Attribute, Schema

CLOUD = Path(os.environ.get("FAKECLOUD", "cloud.json"))


@contextlib.contextmanager
def cloud():
    with CLOUD.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = json.loads(CLOUD.read_text()) if CLOUD.exists() else {}
        yield found
        CLOUD.write_text(json.dumps(found))


class Bucket(Resource):
    def __init__(self, provider):
        self.provider = provider

    @classmethod
    def get_name(cls):
        return "bucket"

    @classmethod
    def get_schema(cls):
        return Schema(
            version=1,
            attributes=[
                Attribute("id", types.String(), computed=True),
                Attribute("name", types.String(), required=True, requires_replace=True),
                Attribute("size", types.Number(), optional=True),
                Attribute("acl", types.String(), optional=True),
                Attribute("secret", types.String(), optional=True, sensitive=True),
                Attribute("etag", types.String(), computed=True, default="e0"),
            ],
        )

    def create(self, ctx, planned):
        made = {**planned, "id": f"b-{uuid.uuid5(uuid.NAMESPACE_DNS, planned['name']).hex[:8]}"}
        with cloud() as buckets:
            buckets[made["id"]] = made
        return made

    def read(self, ctx, current):
        with cloud() as buckets:
            return buckets.get(current["id"])

    def update(self, ctx, current, planned):
        made = {**planned, "id": current["id"]}
        with cloud() as buckets:
            buckets[made["id"]] = made
        return made

    def delete(self, ctx, current):
        with cloud() as buckets:
            buckets.pop(current["id"], None)

    def import_(self, ctx, id):  # noqa: A002
        with cloud() as buckets:
            return buckets.get(id)


class FakeCloud(Provider):
    def get_model_prefix(self):
        return "fakecloud_"

    def get_provider_schema(self, diags):
        return Schema(attributes=[])

    def full_name(self):
        return "registry.terraform.io/acme/fakecloud"

    def validate_config(self, diags, config):
        pass

    def configure_provider(self, diags, config):
        pass

    def get_data_sources(self):
        return []

    def get_resources(self):
        return [Bucket]


if __name__ == "__main__":
    runner.run_provider(FakeCloud())
