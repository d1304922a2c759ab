"""Owns the kinds of fakepg: a role, a database, a schema and a grant, and the data source of what schemas there are.

As with providers of protocol 5, a value that says nothing (null, "", [], {}, 0, false) reads back as another one, and
a plan calls them the same. Sets read back in another order.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from tests.fakes.fakepg.server import Attributes, ConnectionLostError, RefusedError
from tf import iface, schema, types

if TYPE_CHECKING:
    from tests.fakes.fakepg.provider import FakePg

_EMPTY = (None, "", [], {}, 0, False)


class PlainSet(types.Set):
    """A set that tells nothing from empty; the library takes them for the same, and hides that one became the other."""

    def semantically_equal(self, a_decoded: Any, b_decoded: Any) -> bool:
        whole = isinstance(a_decoded, list) and isinstance(b_decoded, list)
        return super().semantically_equal(a_decoded, b_decoded) if whole else a_decoded is b_decoded


TEXT, TEXTS = types.String(), PlainSet(types.String())


class _Kind(iface.Resource):
    """An object with a name, which can't change."""

    kind: ClassVar[str]
    attributes: ClassVar[tuple[schema.Attribute, ...]] = ()
    reads: ClassVar[Attributes] = {}
    """By attribute, the value as which one that says nothing is read."""

    def __init__(self, provider: "FakePg") -> None:
        self._provider = provider

    @classmethod
    def get_name(cls) -> str:
        return cls.kind

    @classmethod
    def get_schema(cls) -> schema.Schema:
        name = schema.Attribute("name", TEXT, required=True, requires_replace=True)
        return schema.Schema(version=1, attributes=[schema.Attribute("id", TEXT, computed=True), name, *cls.attributes])

    def made(self, planned: Attributes) -> Attributes:
        """The object that the server makes of what is planned."""
        return {**planned, "id": self._key(planned)}

    def create(self, ctx: iface.CreateContext, planned: Attributes) -> Attributes | None:
        return self._carry_out(ctx, "creating", planned, self._provider.server.create)

    def update(self, ctx: iface.UpdateContext, current: Attributes, planned: Attributes) -> Attributes | None:
        return self._carry_out(ctx, "changing", planned, self._provider.server.update) or current

    def delete(self, ctx: iface.DeleteContext, current: Attributes) -> Attributes | None:
        try:
            self._provider.server.delete(self._key(current))
        except RefusedError as error:
            ctx.diagnostics.add_error(f"Error deleting {self.kind}", str(error))
            return current
        return None

    def read(self, ctx: iface.ReadContext, current: Attributes) -> Attributes | None:
        found = self._provider.server.get(self._key(current))
        if found is None:
            return None
        told = {name: list(reversed(value)) if isinstance(value, list) else value for name, value in found.items()}
        return told | {name: value for name, value in self.reads.items() if told.get(name) in _EMPTY}

    def plan(self, ctx: iface.PlanContext, current: Attributes | None, planned: Attributes) -> Attributes | None:
        alike = {name: value for name, value in (current or {}).items() if value in _EMPTY}
        return {name: alike[name] if name in alike and value in _EMPTY else value for name, value in planned.items()}

    def _carry_out(self, ctx: Any, doing: str, planned: Attributes, call: Any) -> Attributes | None:
        made = self.made(planned)
        try:
            call(self._key(planned), made)
        except (RefusedError, ConnectionLostError) as error:
            ctx.diagnostics.add_error(f"Error {doing} {self.kind}", str(error))
            return None
        return made

    def _key(self, attributes: Attributes) -> str:
        return f"{self.kind}/{attributes['name']}"


class Role(_Kind):
    """A role; `effective` is a set that the server computes."""

    kind = "role"
    attributes = (
        schema.Attribute("login", types.Bool(), optional=True),
        schema.Attribute("connection_limit", types.Number(), optional=True),
        schema.Attribute("valid_until", TEXT, optional=True),
        schema.Attribute("member_of", TEXTS, optional=True),
        schema.Attribute("settings", types.Map(TEXT), optional=True),
        schema.Attribute("effective", TEXTS, computed=True),
    )
    reads: ClassVar = {"login": False, "connection_limit": 0, "valid_until": "", "member_of": [], "settings": {}}

    def made(self, planned: Attributes) -> Attributes:
        return {**super().made(planned), "effective": sorted({"public", *(planned["member_of"] or ())})}

    def plan(self, ctx: iface.PlanContext, current: Attributes | None, planned: Attributes) -> Attributes | None:
        plan = super().plan(ctx, current, planned) or {}
        if current is not None and not TEXTS.semantically_equal(current["member_of"], plan["member_of"]):
            plan["effective"] = types.Unknown
        return plan


class Database(_Kind):
    """A database."""

    kind = "database"
    attributes = (schema.Attribute("owner", TEXT, optional=True), schema.Attribute("tablespace", TEXT, optional=True))
    reads: ClassVar = {"tablespace": ""}


class Schema(_Kind):
    """A schema."""

    kind = "schema"
    attributes = (schema.Attribute("owner", TEXT, optional=True), schema.Attribute("comment", TEXT, optional=True))
    reads: ClassVar = {"comment": ""}


class Grant(_Kind):
    """Privileges of a role; none of them reads as null."""

    kind = "grant"
    attributes = (
        schema.Attribute("role", TEXT, required=True, requires_replace=True),
        schema.Attribute("privileges", TEXTS, optional=True),
        schema.Attribute("objects", TEXTS, optional=True),
    )
    reads: ClassVar = {"privileges": None, "objects": []}


class Catalog(iface.DataSource):
    """The schemas of the server, each with its owner."""

    def __init__(self, provider: "FakePg") -> None:
        self._provider = provider

    @classmethod
    def get_name(cls) -> str:
        return "catalog"

    @classmethod
    def get_schema(cls) -> schema.Schema:
        computed = [schema.Attribute("id", TEXT, computed=True), schema.Attribute("owned", TEXTS, computed=True)]
        return schema.Schema(attributes=[*computed, schema.Attribute("like", TEXT, optional=True)])

    def read(self, ctx: iface.ReadDataContext, config: Attributes) -> Attributes | None:
        found = [f"{one['name']} of {one['owner']}" for one in self._provider.server.list("schema")]
        like = config.get("like") or ""
        return {"id": "catalog", "like": config.get("like"), "owned": [one for one in found if one.startswith(like)]}
