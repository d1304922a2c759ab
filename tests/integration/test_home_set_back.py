"""A home whose store went back, or is gone: nothing is made twice, it is said once, and a person decides."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.typed_home import TypedHome

CODE = 'resource "terraform_data" "a" {\n  input = 1\n}\n'


@pytest.fixture
def home(tmp_path: Path) -> TypedHome:
    """A home at its setpoint."""
    made = TypedHome(tmp_path / "home", CODE)
    made.declare()
    assert made.up().returncode == 0
    return made


def made(home: TypedHome) -> list[str]:
    """The objects that were really made, by the log of it."""
    log = home.root.parent / "made.log"
    return log.read_text().split() if log.exists() else []


def add_to_the_code(home: TypedHome) -> None:
    command = f"echo b >> {home.root.parent / 'made.log'}"
    more = f'resource "terraform_data" "b" {{\n  provisioner "local-exec" {{\n    command = "{command}"\n  }}\n}}\n'
    (home.root / "infra" / "b.tf").write_text(more)


def test_an_older_database_applies_nothing_until_it_is_accepted(home: TypedHome, tmp_path: Path) -> None:
    database = home.state / "STATE_AUDIT.db"
    shutil.copy(database, tmp_path / "older")
    add_to_the_code(home)
    assert home.up().returncode == 0
    shutil.copy(tmp_path / "older", database)
    ended = home.up()
    assert (ended.returncode, made(home)) == (1, ["b"]), ended.stdout
    assert ended.stderr.count("an older database was put back") == 1
    assert "setpoint store accept --reason" in ended.stderr
    assert home.condition("Ready") == ("False", "StoreSetBack")
    verified = home.setpoint("audit", "verify")
    assert (verified.returncode, "Nothing is applied meanwhile" in verified.stdout) == (1, True)
    assert "an older database was put back" in home.setpoint("doctor").stdout
    assert json.loads(home.setpoint("plan", "environment/e", "-o", "json").stdout)["summary"]["create"] == 1, (
        "it is planned"
    )

    assert home.setpoint("store", "accept", "--reason", "meant so").returncode == 2, "there is nobody to ask"
    assert home.setpoint("store", "accept", "--reason", "meant so", "--yes").returncode == 0
    assert home.setpoint("audit", "verify").returncode == 0
    assert home.up().returncode == 0
    assert made(home) == ["b", "b"], "the person took it upon themselves"


def test_a_database_that_is_gone_with_its_head_is_not_made_anew(home: TypedHome) -> None:
    for name in ("STATE_AUDIT.db", "STATE_AUDIT.db-wal", "STATE_AUDIT.db-shm", "audit.head"):
        (home.state / name).unlink(missing_ok=True)
    for words in (("up", str(home.root), "--once"), ("get", "environments"), ("audit", "verify")):
        ended = home.setpoint(*words)
        assert ended.returncode in {1, 3}, words
        assert "is missing or empty, though there was one, of which this is left: blobs" in ended.stderr
    assert not (home.state / "STATE_AUDIT.db").exists()


def test_a_manager_whose_home_is_taken_away_ends_and_lets_no_other_in_meanwhile(home: TypedHome) -> None:
    with home.manager() as manager:
        # Stopped meanwhile, so that it can't end before the other one comes.
        manager.send_signal(signal.SIGSTOP)
        shutil.rmtree(home.state)
        again = home.up()
        manager.send_signal(signal.SIGCONT)
        assert again.returncode == 1
        assert "another manager works on" in again.stderr
        assert "its .setpoint was removed under it" in again.stderr
        out, err = manager.communicate(timeout=240)
    assert manager.returncode == 1, out + err
    assert "was removed, moved or replaced while this process worked on it" in err
    assert "Traceback" not in err, err


@pytest.fixture
def sealed_off(home: TypedHome) -> Iterator[TypedHome]:
    """The same home, on a disk that is mounted to be read."""
    mounted = subprocess.run(["mount", "--bind", home.root, home.root], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", home.root], check=True)
        yield home
    finally:
        subprocess.run(["umount", "--lazy", home.root], check=True)


def test_a_home_that_can_only_be_read_is_read(sealed_off: TypedHome) -> None:
    shown = sealed_off.setpoint("get", "environments")
    assert (shown.returncode, "e      True    dev" in shown.stdout) == (0, True), shown.stdout
    assert "can't be written: objects are shown as they were" in shown.stderr
    verified = sealed_off.setpoint("audit", "verify")
    assert (verified.returncode, verified.stdout.partition(",")[0]) == (0, "intact"), verified.stderr
    assert sealed_off.setpoint("describe", "environment/e").returncode == 0
    for words in (("suspend", "environment/e"), ("up", str(sealed_off.root), "--once")):
        ended = sealed_off.setpoint(*words)
        assert ended.returncode == 1
        assert "can't be written" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_state_whose_bytes_are_lost_is_not_planned_as_none(home: TypedHome, tmp_path: Path) -> None:
    shutil.move(home.state / "blobs", tmp_path / "blobs")
    (home.state / "blobs").mkdir()
    add_to_the_code(home)
    ended = home.up()
    assert (ended.returncode, made(home)) == (1, []), ended.stdout
    assert home.condition("Stalled") == ("True", "BlobLost")
    assert "which is gone: put it back from a backup of the store" in ended.stdout
    assert "Traceback" not in ended.stderr
    shutil.rmtree(home.state / "blobs")
    shutil.move(tmp_path / "blobs", home.state / "blobs")
    assert home.up().returncode == 0
    assert made(home) == ["b"]


def test_another_key_is_named_before_anything_is_done(home: TypedHome) -> None:
    (home.state / "keys" / "blobs.key").write_bytes(b"k" * 32)
    add_to_the_code(home)
    ended = home.up()
    assert (ended.returncode, made(home)) == (1, [])
    assert "was sealed with another key than" in ended.stderr
    assert "put back the key that belongs to it" in ended.stderr
