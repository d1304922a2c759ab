"""The documents that are manifests, what is wrong with those that are not good, and where."""

import os
from pathlib import Path

import pytest

from setpoint.adapters.local import manifests
from setpoint.adapters.local.index import Inventory, ManifestIndex
from setpoint.api.meta import ObjectRef
from setpoint.targets.environment.code import CODE

GOOD = """\
apiVersion: setpoint.dev/v1alpha1
kind: Environment
metadata:
  name: shop
spec:
  stage: dev
  source:
    path: ./infra
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: cloud}
stringData:
  token: hunter2
"""
CLUSTER_SCOPED = """\
apiVersion: setpoint.dev/v1alpha1
kind: PolicySet
metadata: {name: x}
spec: {source: {builtin: baseline}}
"""
SHOP = ObjectRef("Environment", "default", "shop")


async def inventory(root: Path) -> Inventory:
    index = ManifestIndex(root, [CODE])
    try:
        return await index.refresh()
    finally:
        await index.close()


def errors(text: str, path: str = "env.yaml") -> list[str]:
    return [str(error) for error in manifests.parse(path, text.encode(), lenient=False).errors]


def test_a_manifest_has_a_namespace_and_nothing_that_only_a_home_may_write() -> None:
    text = GOOD.replace(
        "  name: shop",
        "  name: shop\n  uid: x\n  resourceVersion: '7'\n  generation: 9\n  finalizers: [a/b]\n  labels: {a: b}",
    )
    found = manifests.parse("env.yaml", (text + "status: {failures: 3}\n").encode(), lenient=False)
    assert found.errors == []
    (manifest,) = found.manifests
    assert manifest.ref == SHOP
    assert manifest.object["metadata"] == {"name": "shop", "namespace": "default", "labels": {"a": "b"}}
    assert "status" not in manifest.object
    assert str(manifest.origin) == "env.yaml:1"


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {a: 1, a: 2}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: x}\n",
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod}]\n",
        "- a list\n- of things\n",
        "just text\n",
        "x: !Ref y\n0644: z\n",
        "",
        "# nothing\n",
        "kind: Environment\n",
        "apiVersion: notsetpoint.dev/v1\nkind: Environment\n",
    ],
    ids=["deployment", "service", "list", "yaml list", "text", "odd", "empty", "comment", "no version", "other group"],
)
def test_other_documents_are_nobodys_business(text: str) -> None:
    found = manifests.parse("x.yaml", text.encode(), lenient=False)
    assert (found.manifests, found.errors) == ([], [])


BAD = {
    "broken": (GOOD + "  health: [\n", "10: not YAML"),
    "unknown field": (GOOD + "  colour: red\n", "9: spec.colour: unknown field"),
    "snake case": (GOOD + "  outputs_to: {}\n", "9: spec.outputs_to: unknown field"),
    "unknown top field": (GOOD + "data: {}\n", "9: data: unknown field"),
    "wrong type": (GOOD.replace("stage: dev", "stage: [dev]"), "6: spec.stage: must be a valid string"),
    "number for text": (GOOD.replace("stage: dev", "stage: 5"), "6: spec.stage: must be a valid string"),
    "text for boolean": (GOOD + "  suspend: 'no'\n", "9: spec.suspend: must be a valid boolean"),
    "bad duration": (GOOD + "  interval: soon\n", "9: spec.interval: not a duration"),
    "in a list": (GOOD + "  health:\n    - timeout: 5s\n", "10: spec.health[0].http: is required"),
    "missing field": (GOOD.replace("  stage: dev\n", ""), "5: spec.stage: is required"),
    "no source": (GOOD.replace("path: ./infra", "{}"), "7: spec.source: exactly one of"),
    "no spec": (GOOD.partition("spec:")[0], "1: spec: is required"),
    "duplicate key": (GOOD + "  stage: prod\n", "9: spec.stage: stands here twice"),
    "duplicate at the top": (GOOD + "kind: Environment\n", "9: kind: stands here twice"),
    "tag": (GOOD.replace("./infra", "!!python/name:os.system"), "8: spec.source.path: a tag"),
    "leading zero": (GOOD + "  variables:\n    account: 012345678901\n", "10: spec.variables.account: a number that"),
    "no name": (GOOD.replace("  name: shop", "  namespace: x"), "3: metadata.name: is required"),
    "bad name": (GOOD.replace("name: shop", "name: ../shop"), "4: metadata.name: must be lower-case"),
    "number as a name": (GOOD.replace("name: shop", "name: 7"), "4: metadata.name: must be lower-case"),
    "bad namespace": (GOOD.replace("  name: shop", "  name: shop\n  namespace: a.b"), "5: metadata.namespace: must be"),
    "bad label": (GOOD.replace("  name: shop", "  name: shop\n  labels: {a: 1}"), "5: metadata.labels.a: must be text"),
    "metadata is a list": (GOOD.replace("metadata:\n  name: shop", "metadata: []"), "3: metadata: must be a map"),
    "reserved annotation": (
        GOOD.replace("  name: shop", "  name: shop\n  annotations:\n    setpoint.dev/suspend: me"),
        "6: metadata.annotations.setpoint.dev/suspend: is set by commands",
    ),
    "plain keys of what is no Secret": (
        GOOD.replace("  name: shop", "  name: shop\n  annotations:\n    setpoint.dev/plain: stage"),
        "6: metadata.annotations.setpoint.dev/plain: is set by commands",
    ),
    "unknown kind": (GOOD.replace("kind: Environment", "kind: Enviroment"), "2: kind: unknown kind; one of Env"),
    "no kind": (GOOD.replace("kind: Environment\n", ""), "1: kind: unknown kind"),
    "old version": (GOOD.replace("v1alpha1", "v1"), "1: apiVersion: must be setpoint.dev/v1alpha1"),
    "approval": (
        GOOD.replace("kind: Environment", "kind: Approval"),
        "2: kind: a Approval is made by",
    ),
    "reset": (GOOD.replace("kind: Environment", "kind: Reset"), "2: kind: a Reset is made by 'setpoint reset'"),
    "change": (GOOD.replace("kind: Environment", "kind: Change"), "2: kind: a Change is made by the manager"),
    "snapshot": (GOOD.replace("kind: Environment", "kind: Snapshot"), "2: kind: a Snapshot is made by the manager"),
    "list": (
        "apiVersion: v1\nkind: List\nitems: [{apiVersion: setpoint.dev/v1alpha1, kind: Environment}]\n",
        "2: kind: a List is not read",
    ),
    "secret not base64": (SECRET.replace("stringData", "data"), "5: data.token: must be base64; plain text belongs"),
    "secret number": (SECRET.replace("hunter2", "1234"), "5: stringData.token: must be text; put it in quotes"),
    "secret unknown field": (SECRET + "datas: {}\n", "6: datas: unknown field"),
    "no parameter of the pack": (
        CLUSTER_SCOPED.replace("baseline}}", "baseline},\n  params: {\n    max_delete: 1}}"),
        "6: spec.params.max_delete: the pack baseline has no such parameter; it has max_changed, ",
    ),
    "namespace of a cluster-scoped kind": (
        CLUSTER_SCOPED.replace("name: x", "name: x, namespace: y"),
        "3: metadata.namespace: a PolicySet has no namespace",
    ),
}


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD)
def test_bad_manifests_name_file_line_and_field(text: str, expected: str) -> None:
    found = manifests.parse("env.yaml", text.encode(), lenient=True)
    assert found.manifests == []
    assert found.errors
    assert str(found.errors[0]).startswith(f"env.yaml:{expected}")
    assert "hunter2" not in " ".join(map(str, found.errors))


def test_every_problem_of_a_manifest_is_told() -> None:
    told = errors(GOOD + "  colour: red\n  interval: soon\n")
    assert [error.split(": ")[1] for error in told] == ["spec.interval", "spec.colour"]


def test_a_bad_document_leaves_its_neighbours_alone() -> None:
    text = GOOD + "---\n" + GOOD.replace("name: shop", "name: two").replace("stage", "stag") + "---\n" + SECRET
    found = manifests.parse("env.yaml", text.encode(), lenient=False)
    assert [manifest.ref.name for manifest in found.manifests] == ["shop", "cloud"]
    assert {error.ref for error in found.errors} == {ObjectRef("Environment", "default", "two")}
    assert [manifest.origin.index for manifest in found.manifests] == [0, 2]


def test_json_manifests() -> None:
    text = '{"apiVersion": "v1", "kind": "ConfigMap",\n "metadata": {"name": "x"},\n "data": {"a": 5}}'
    assert errors(text, "x.json") == ["x.json:3: data.a: must be text; put it in quotes"]


@pytest.mark.parametrize(
    ("path", "lenient", "text", "told"),
    [
        ("x.yaml", False, "a: [", True),
        ("x.yaml", True, "{{ template }}: [", False),
        ("x.yaml", True, "apiVersion: setpoint.dev/v1alpha1\n{{ x", True),
        ("package.json", False, "{ // a comment\n", False),
        ("env.json", False, '{"apiVersion": "setpoint.dev/v1alpha1",', True),
        ("x.yaml", True, SECRET + "---\na: [", True),
    ],
    ids=["yaml", "among code", "ours among code", "other json", "our json", "a manifest before it"],
)
def test_which_files_that_do_not_parse_are_told_of(path: str, lenient: bool, text: str, told: bool) -> None:
    assert bool(manifests.parse(path, text.encode(), lenient=lenient).errors) is told


# --- Unreadable files that may be gates ---------------------------------------------------------------------------

GATES = """\
apiVersion: setpoint.dev/v1alpha1
kind: EnforcementGates
metadata: {name: org}
spec:
  gates:
    - {name: g, stages: [apply], approvals: 1}
"""
BOTH = frozenset({"EnforcementGates", "PolicySet"})
ONLY_GATES = frozenset({"EnforcementGates"})
SET = (
    "apiVersion: setpoint.dev/v1alpha1\nkind: PolicySet\nmetadata: {name: rules}\nspec: {source: {builtin: baseline}}\n"
)
UNREAD: dict[str, tuple[str, str, frozenset[str], str | None]] = {
    "mistyped field": (GATES.replace("approvals", "aprovals"), "g.yaml:6: spec.gates[0].aprovals", ONLY_GATES, "org"),
    "no YAML": (GATES + "  : [\n", "g.yaml:7: not YAML", BOTH, None),
    "cut off": ("kind: EnforcementGates\nspec: {", "g.yaml:3: not YAML", BOTH, None),
    "not UTF-8": (GATES.replace("name: org", "name: \udcff"), "g.yaml:3: not UTF-8", BOTH, None),
    "too large": (GATES + "#" * (1 << 20), "g.yaml: larger than 1 MiB", BOTH, None),
    "mistyped kind": (GATES.replace("EnforcementGates", "EnforcmentGate"), "g.yaml:2: kind: unknown", BOTH, None),
    "singular": (GATES.replace("Gates\n", "Gate\n"), "g.yaml:2: kind: unknown kind", ONLY_GATES, None),
    "mistyped version": (GATES.replace("v1alpha1", "v1alpha2"), "g.yaml:1: apiVersion: must be", ONLY_GATES, "org"),
    "mistyped group": (GATES.replace("setpoint.dev", "setpoint.io"), "g.yaml:1: apiVersion: must", ONLY_GATES, "org"),
    "no apiVersion": (GATES.split("\n", 1)[1], "g.yaml:1: apiVersion: must be", ONLY_GATES, "org"),
    "no kind": (GATES.replace("kind", "knd"), "g.yaml:1: kind: unknown kind", BOTH, None),
    "a kind of another version": (GATES.replace("EnforcementGates", "Waiver"), "g.yaml:2: kind: unknown", BOTH, None),
    "no name": (GATES.replace("name: org", "nme: org"), "g.yaml:3: metadata.name: is required", ONLY_GATES, None),
    "a key twice": (GATES + "kind: EnforcementGates\n", "g.yaml:7: kind: stands here twice", ONLY_GATES, "org"),
    "in a List": ("apiVersion: v1\nkind: List\nitems:\n- " + GATES.replace("\n", "\n  "), "g.yaml:2: kind", BOTH, None),
    "in a list": ("- " + GATES.replace("\n", "\n  "), "g.yaml:1: a List is not read", BOTH, None),
    "policies": (SET.replace("builtin", "bultin"), "g.yaml:4: spec.source", frozenset({"PolicySet"}), "rules"),
    "policies of a mistyped group": (
        SET.replace("setpoint.dev", "setpoint.dv"),
        "g.yaml:1: apiVersion",
        frozenset({"PolicySet"}),
        "rules",
    ),
    "policies without a name": (SET.replace("name", "nme"), "g.yaml:3: metadata", frozenset({"PolicySet"}), None),
}


@pytest.mark.parametrize(("text", "told", "kinds", "name"), UNREAD.values(), ids=UNREAD)
def test_what_may_be_gates_and_can_not_be_read(text: str, told: str, kinds: frozenset[str], name: str | None) -> None:
    found = manifests.parse("g.yaml", text.encode(errors="surrogateescape"), lenient=False).errors[0]
    assert str(found).startswith(told)
    assert (found.governing, found.ref and found.ref.name) == (kinds, name)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("stage", "stag"),
        GOOD + "  : [\n",
        SECRET.replace("hunter2", "1"),
        "apiVersion: policy.open-cluster-management.io/v1beta1\nkind: PolicySet\nmetadata: {name: a}\nspec: {}\n",
        "apiVersion: setpoint.dev/v1alpha1\nkind: Approval\nmetadata: {name: a}\n",
    ],
    ids=["an environment", "an environment that is no YAML", "a secret", "another's policies", "an approval"],
)
def test_what_is_no_gate_governs_nothing(text: str) -> None:
    found = manifests.parse("env.yaml", text.encode(), lenient=False).errors
    assert not [error for error in found if error.governing]


# --- Files -------------------------------------------------------------------------------------------------------


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link_out(path: Path) -> None:
    outside = path.parent.parent / "outside.yaml"
    outside.write_text(GOOD)
    path.symlink_to(outside)


def _loop(path: Path) -> None:
    path.symlink_to(path)


BOMB = "a: &a [" + "x," * 999 + "]\nb: &b [" + "*a," * 999 + "]\nc: [" + "*b," * 99 + "]"
BAD_FILES = {
    "fifo": (_fifo, "bad.yaml: not a regular file"),
    "link out of the home": (_link_out, "bad.yaml: a link that leaves the home"),
    "link to a system file": (lambda path: path.symlink_to("/etc/hostname"), "bad.yaml: a link that leaves the home"),
    "dangling link": (lambda path: path.symlink_to("nothing"), "bad.yaml: a link that leads nowhere"),
    "loop": (_loop, "bad.yaml: a link that leads to itself"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "bad.yaml: a link that leaves the home"),
    "larger than 1 MiB": (lambda path: path.write_text(GOOD + "#" * (1 << 20)), "bad.yaml: larger than 1 MiB"),
    "binary": (lambda path: path.write_bytes(b"a: 1\n\x80\x81"), "bad.yaml:2: not UTF-8 text"),
    "utf-16": (lambda path: path.write_text(GOOD, encoding="utf-16"), "bad.yaml:1: not UTF-8 text"),
    "bomb": (lambda path: path.write_text(BOMB), "bad.yaml:3: aliases"),
    "deep": (lambda path: path.write_text("[" * 100_000), "bad.yaml:1: nested more than"),
}


@pytest.mark.parametrize(("make", "expected"), BAD_FILES.values(), ids=BAD_FILES)
async def test_bad_files_are_named_and_the_rest_is_read(tmp_path: Path, make: object, expected: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "good.yaml").write_text(GOOD)
    make(home / "bad.yaml")
    found = await inventory(home)
    assert [str(error)[: len(expected)] for error in found.errors] == [expected]
    assert set(found.entries) == {SHOP}
    assert found.complete


async def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD)
    _deny(monkeypatch, "open", "bad.yaml")
    found = await inventory(tmp_path)
    assert [str(error) for error in found.errors] == ["bad.yaml: can't be read: permission denied"]
    assert found.may_declare(SHOP, "bad.yaml")


async def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    _deny(monkeypatch, "scandir", "sub")
    found = await inventory(tmp_path)
    assert [str(error) for error in found.errors] == ["sub/: can't be read: permission denied"]
    assert found.may_declare(SHOP, "sub/env.yaml")
    assert not found.may_declare(SHOP, "env.yaml")


def _deny(monkeypatch: pytest.MonkeyPatch, function: str, name: str) -> None:
    """A root user can read everything: the refusal has to be made."""
    real = getattr(os, function)

    def denied(path: object, *args: object, **kwargs: object) -> object:
        if isinstance(path, (str, Path)) and Path(path).name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, function, denied)


async def test_a_missing_home_is_no_empty_home(tmp_path: Path) -> None:
    found = await inventory(tmp_path / "nothing")
    assert not found.complete
    assert found.may_declare(SHOP, "env.yaml")


async def test_too_many_files_are_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("setpoint.adapters.local.tree.MAX_FILES", 3)
    for number in range(5):
        (tmp_path / f"sub{number}").mkdir()
        (tmp_path / f"sub{number}" / "x.yaml").write_text("a: 1")
    found = await inventory(tmp_path)
    assert not found.complete
    assert "more than 3 manifests" in str(found.errors[0])


async def test_one_object_in_two_places_is_used_from_neither(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("---\n" + GOOD)
    (tmp_path / "b.yaml").write_text(SECRET + "---\n" + GOOD)
    found = await inventory(tmp_path)
    assert [str(error) for error in found.errors] == [
        "a.yaml:2: metadata.name: environment/shop is declared in b.yaml:7 too; none of them is used",
        "b.yaml:7: metadata.name: environment/shop is declared in a.yaml:2 too; none of them is used",
    ]
    assert {ref.kind for ref in found.entries} == {"Secret"}
    assert found.may_declare(SHOP, "elsewhere.yaml")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("env.yaml", True),
        ("env.yml", True),
        ("deep/er/env.yaml", True),
        ("infra/main.tf.d/env.yaml", True),
        ("env.txt", False),
        (".hidden.yaml", False),
        ("lost+found/env.yaml", False),
        ("ENV.YAML", True),
        (".#env.yaml", False),
        (".setpoint/env.yaml", False),
        (".git/env.yaml", False),
        ("infra/.terraform/env.yaml", False),
        (".github/env.yaml", False),
    ],
)
async def test_where_manifests_are_looked_for(tmp_path: Path, path: str, found: bool) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(GOOD)
    assert (set((await inventory(tmp_path)).entries) == {SHOP}) is found


async def test_another_home_below_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".setpoint").mkdir()
    (tmp_path / "other" / ".setpoint").mkdir(parents=True)
    (tmp_path / "other" / "env.yaml").write_text(GOOD)
    found = await inventory(tmp_path)
    assert (found.entries, found.errors) == ({}, ())


async def test_links_within_the_home(tmp_path: Path) -> None:
    """As a mounted ConfigMap lays its files out: through a hidden folder that moves."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "env.yaml").write_text(GOOD)
    (tmp_path / "env.yaml").symlink_to(Path("..data", "env.yaml"))
    (tmp_path / "again.yaml").write_text(SECRET)
    (tmp_path / "link.yaml").symlink_to("again.yaml")
    (tmp_path / "folder.yaml").symlink_to(".", target_is_directory=True)
    found = await inventory(tmp_path)
    assert {ref: entry.origin.path for ref, entry in found.entries.items()} == {
        SHOP: "env.yaml",
        ObjectRef("Secret", "default", "cloud"): "again.yaml",
    }
    assert found.errors == ()


async def test_only_what_a_kind_of_target_calls_code_is_code(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "main.tf").write_text("")
    (tmp_path / "infra" / "cloud-init.yaml").write_text("${users}: [\n")
    index = ManifestIndex(tmp_path, [])
    try:
        assert [error.file for error in (await index.refresh()).errors] == ["infra/cloud-init.yaml"]
    finally:
        await index.close()


async def test_templates_among_code_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "infra" / "templates").mkdir(parents=True)
    (tmp_path / "infra" / "main.tf").write_text("")
    (tmp_path / "infra" / "templates" / "cloud-init.yaml").write_text("${users}: [\n")
    (tmp_path / "infra" / "env.yaml").write_text(GOOD)
    found = await inventory(tmp_path)
    assert (set(found.entries), found.errors) == ({SHOP}, ())


async def test_hostile_file_names_are_shown_harmlessly(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\x1b[31m\n\xff.yaml")).write_text("a: [")
    (error,) = (await inventory(tmp_path)).errors
    assert str(error).encode()
    assert str(error).isprintable()


# --- The index ---------------------------------------------------------------------------------------------------


async def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "env.yaml").write_text(GOOD)
    (tmp_path / "secret.yaml").write_text(SECRET)
    # Files that were just written are read again; these are old enough.
    monkeypatch.setattr("setpoint.adapters.local.index._SETTLED_NS", -(10**18))
    index = ManifestIndex(tmp_path, [CODE])
    assert set((await index.refresh()).fresh) == {SHOP, ObjectRef("Secret", "default", "cloud")}
    second = await index.refresh()
    assert second.fresh == {}
    assert len(second.entries) == 2
    (tmp_path / "env.yaml").write_text(GOOD.replace("stage: dev", "stage: prod"))
    assert set((await index.refresh()).fresh) == {SHOP}
    await index.close()


async def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    """Two writes within one tick of the file system's clock can leave all times as they were."""
    file = tmp_path / "env.yaml"
    file.write_text(GOOD)
    index = ManifestIndex(tmp_path, [CODE])
    await index.refresh()
    assert set((await index.refresh()).fresh) == {SHOP}
    await index.close()


async def test_secrets_are_served_as_an_api_server_gives_them(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(SECRET)
    ref = ObjectRef("Secret", "default", "cloud")
    index = ManifestIndex(tmp_path, [CODE])
    served = await index.serve(ref)
    assert served is not None
    assert served["data"] == {"token": "aHVudGVyMg=="}
    assert "stringData" not in served
    assert served["metadata"]["uid"]
    (tmp_path / "secret.yaml").write_text(SECRET.replace("hunter2", "hunter3"))
    again = await index.serve(ref)
    assert again is not None
    assert again["data"] == {"token": "aHVudGVyMw=="}
    assert again["metadata"]["resourceVersion"] != served["metadata"]["resourceVersion"]
    (tmp_path / "secret.yaml").unlink()
    assert await index.serve(ref) is None
    await index.close()


async def test_who_is_affected_by_a_change_of_files(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs" / "env.yaml").write_text(
        GOOD.replace("./infra", "../infra/shop") + "  variablesFrom: [{secretRef: {name: cloud}}]\n"
    )
    (tmp_path / "other.yaml").write_text(GOOD.replace("name: shop", "name: other"))
    (tmp_path / "secret.yaml").write_text(SECRET)
    index = ManifestIndex(tmp_path, [CODE])
    await index.refresh()
    other = ObjectRef("Environment", "default", "other")
    secret = ObjectRef("Secret", "default", "cloud")
    for paths, refs in [
        ({"envs/env.yaml"}, {SHOP}),
        ({"infra/shop/modules/a.tf"}, {SHOP, other}),
        ({"infra/shop2/a.tf"}, {other}),
        ({"infra"}, {SHOP, other}),
        ({"secret.yaml"}, {SHOP, secret}),
        ({"README.md"}, set()),
        (set(), set()),
    ]:
        assert index.affected(paths) == refs, paths
    assert index.affected({"modules/site/main.tf"}, {"infra/shop"}) == {SHOP}
    await index.close()
