"""Sealed blobs in a real home: what is old and needed by nobody goes, and the way back stays whole."""

import json
import os
import time
from pathlib import Path

import pytest
from tests.integration.test_home_story import Story, mirror

__all__ = ["mirror"]

WEEK = 7 * 24 * 3600


@pytest.fixture
def story(tmp_path: Path, mirror: str | None) -> Story:
    return Story(tmp_path / "home", mirror)


def blobs(story: Story) -> set[Path]:
    return {path for path in (story.root / ".setpoint" / "blobs").rglob("*") if path.is_file()}


def grow_old(story: Story) -> None:
    for path in blobs(story):
        os.utime(path, (0, time.time() - WEEK))


def test_an_old_home_loses_what_is_surplus_and_nothing_else(story: Story) -> None:
    story.declare({"a.html": "one"})
    assert story.up() == 3
    first = blobs(story)
    grow_old(story)
    story.approve()
    assert story.up() == 0, "the bundle of the open Change, which nothing else names, was kept"
    assert first <= blobs(story)
    snapshot = story.status()["snapshot"]

    code = story.root / "infra" / "main.tf"
    source = code.read_text()
    story.declare({"a.html": "two"})
    code.write_text(source + "# tried, and not applied")
    assert story.up() == 3
    tried = blobs(story)
    code.write_text(source)
    assert story.up() == 3
    grow_old(story)
    story.approve()
    assert story.up() == 0
    assert tried - blobs(story), "the bundle that was planned and never applied is gone"
    assert story.files() == {"a.html": "two"}

    grow_old(story)
    wish = story.setpoint("reset", "environment/web", "--to", snapshot, "--reason", "two was wrong")
    assert wish.returncode == 0, wish.stderr
    assert story.up() == 3
    story.approve()
    assert story.up() == 3, "held from now on"
    assert story.files() == {"a.html": "one"}
    verified = json.loads(story.setpoint("audit", "verify", "-o", "json").stdout)
    assert verified["status"] == "intact"
