"""Records the plan documents of this folder with a real Terraform: `python tests/data/plans/record.py [NAME ...]`.

For each NAME.tf: applies NAME.before.tf (or NAME.tf itself), tampers with the cloud, plans NAME.tf, and writes what
`terraform show -json` says to NAME.json; then the content digests of all to plan_digests.json. Needs terraform on
PATH and the PyPI package `tf`.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.fakes.plans import analyse_plan

HERE = Path(__file__).parent
FRESH = {"first_apply"}
TOKENS = {"secrets": ("token-value-one", "token-value-two"), "first_apply": ("", "token-value-one")}

Buckets = dict[str, dict[str, Any]]


def _set(named: str, /, **attributes: Any) -> Callable[[Buckets], None]:
    def tamper(buckets: Buckets) -> None:
        next(bucket for bucket in buckets.values() if bucket["name"] == named).update(attributes)

    return tamper


def _drop(name: str) -> Callable[[Buckets], None]:
    def tamper(buckets: Buckets) -> None:
        del buckets[next(key for key, bucket in buckets.items() if bucket["name"] == name)]

    return tamper


def _make(key: str, **attributes: Any) -> Callable[[Buckets], None]:
    empty = {"size": None, "acl": None, "secret": None, "etag": "e0"}
    return lambda buckets: buckets.update({key: {"id": key, **empty, **attributes}})


TAMPER: Mapping[str, tuple[Callable[[Buckets], None], ...]] = {
    "drift_restored": (_set("logs", size=99),),
    "drift_gone": (_drop("base"),),
    "drift_unnoticed": (_set("logs", etag="e1"),),
    "drift_lifecycle_ignored": (_set("logs", size=99),),
    "drift_and_spec": (
        _set("both", size=99),
        _set("overwritten", size=99),
        _set("computed", etag="e1"),
        _set("removed", size=99),
    ),
    "drift_through_module": (_drop("base"),),
    "drift_triggers": (_set("base", size=99),),
    "drift_replaced": (_set("logs", name="renamed"),),
    "rearranged": (_make("b-adopted1", name="adopted"), _make("b-adopted2", name="adopted2", size=1)),
}


def record(name: str) -> dict[str, Any]:
    """The plan document of one scenario."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "root").mkdir()
        shutil.copytree(HERE / "part", work / "root" / "part")
        _install_provider(work)
        before, after = TOKENS.get(name, ("", ""))
        if name not in FRESH:
            earlier = HERE / f"{name}.before.tf"
            shutil.copy(earlier if earlier.exists() else HERE / f"{name}.tf", work / "root" / "main.tf")
            _terraform(work, "init")
            _terraform(work, "apply", "-auto-approve", *_token(before))
        _tamper(work / "cloud.json", name)
        shutil.copy(HERE / f"{name}.tf", work / "root" / "main.tf")
        _terraform(work, "init")
        destroy = ("-destroy",) if name == "destroyed" else ()
        _terraform(work, "plan", "-out=plan", *_token(after), *destroy, ok=name != "errored")
        return _scrub(json.loads(_terraform(work, "show", "-json", "plan")))


def _token(value: str) -> tuple[str, ...]:
    return (f"-var=token={value}",) if value else ()


def _tamper(cloud: Path, name: str) -> None:
    buckets = json.loads(cloud.read_text()) if cloud.exists() else {}
    for tamper in TAMPER.get(name, ()):
        tamper(buckets)
    cloud.write_text(json.dumps(buckets))


def _install_provider(work: Path) -> None:
    (work / "rc").write_text(f'provider_installation {{ filesystem_mirror {{ path = "{work / "mirror"}" }} }}\n')
    platform = json.loads(_terraform(work, "version", "-json"))["platform"]
    folder = work / "mirror/registry.terraform.io/acme/fakecloud/0.1.0" / platform
    folder.mkdir(parents=True)
    provider = folder / "terraform-provider-fakecloud_v0.1.0"
    provider.write_text(f"#!{sys.executable}\n{(HERE / 'fakecloud.py').read_text()}")
    provider.chmod(0o755)


def _terraform(work: Path, command: str, *arguments: str, ok: bool = True) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "TF_CLI_CONFIG_FILE": str(work / "rc"),
        "CHECKPOINT_DISABLE": "1",
        "FAKECLOUD": str(work / "cloud.json"),
    }
    flags = () if command in {"show", "version"} else ("-input=false", "-no-color")
    done = subprocess.run(
        ["terraform", command, *flags, *arguments],
        cwd=work / "root",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if ok != (done.returncode == 0):
        sys.exit(f"terraform {command}: {done.stdout}{done.stderr}")
    return done.stdout


def _scrub(document: dict[str, Any]) -> dict[str, Any]:
    """Without what differs from recording to recording; nothing in a document names this machine."""
    return {**document, "timestamp": "2026-01-01T00:00:00Z"}


def main() -> None:
    names = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.tf") if not path.stem.endswith(".before"))
    for name in names:
        _write(HERE / f"{name}.json", record(name))
        print(name)
    digests = {path.stem: analyse_plan(json.loads(path.read_text())).content_digest for path in HERE.glob("*.json")}
    _write(HERE.with_name("plan_digests.json"), {name: digest for name, digest in digests.items() if digest})


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
