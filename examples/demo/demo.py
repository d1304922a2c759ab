"""Owns the guided tour: `make demo`. Runs the real commands on a real home, and says what each is for.

Leaves the home behind, so that its reader can go on with it.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ATTENTION = 3
COLOURS = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def main() -> int:
    """Runs the tour; exits with 1 where anything is not as it says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "home", nargs="?", type=Path, default=Path("demo-home"), help="the folder that becomes the home"
    )
    tour = Tour(parser.parse_args().home.resolve())
    began = time.monotonic()
    try:
        tour.run()
    except Surprise as surprise:
        print(f"\nThe demo did not go as it should: {surprise}", file=sys.stderr)
        return 1
    print(f"\nDone in {time.monotonic() - began:.0f} s.")
    return 0


class Surprise(Exception):
    """Something is not as the tour says."""


class Tour:
    """The steps, in order."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.site = home / "site"
        self.manifest = home / "greeting.yaml"
        self.step = 0

    def run(self) -> None:
        """All steps."""
        self.lay_out()
        first = self.first_apply()
        self.drift()
        self.blocked()
        self.news()
        self.reset(first)
        self.trail()
        self.farewell()

    def lay_out(self) -> None:
        self.say(
            "A home is a folder with manifests",
            f"{self.home} declares two files (greeting.yaml, infra/) and the policies that guard them (gates.yaml).",
        )
        if self.home.exists():
            if not (self.home / ".setpoint").is_dir() and any(self.home.iterdir()):
                raise Surprise(f"{self.home} holds something else; name another folder")
            shutil.rmtree(self.home)
        shutil.copytree(HERE / "home", self.home)
        self.edit("@SITE@", str(self.site))

    def first_apply(self) -> str:
        self.say(
            "Nothing is applied without a person's word",
            "--once observes and plans; the change waits, with a way back.",
        )
        self.setpoint("up", str(self.home), "--once", code=ATTENTION)
        change = self.pending("SpecChanged")
        self.say("Approve it, and it is applied and verified", "The approval names a digest: exactly what was shown.")
        self.setpoint("approve", change)
        self.setpoint("up", str(self.home), "--once")
        self.expect("hello.txt", "Hello from Setpoint")
        return self.environment()["status"]["snapshot"]

    def drift(self) -> None:
        self.say("Someone changes a file behind its back", f"echo tampered > {self.site / 'hello.txt'}")
        (self.site / "hello.txt").write_text("tampered\n")
        self.setpoint("up", str(self.home), "--once", code=ATTENTION)
        change = self.pending("Drift")
        self.setpoint("get", "environments")
        self.say("It was noticed; approved, it is healed", "The way back says what can't be brought back.")
        self.setpoint("approve", change)
        self.setpoint("up", str(self.home), "--once")
        self.expect("hello.txt", "Hello from Setpoint")

    def blocked(self) -> None:
        self.say(
            "A policy blocks what must not happen",
            "motd.txt is taken out of greeting.yaml, and gates.yaml protects files.",
        )
        line = "      motd.txt: All is at its setpoint\n"
        self.edit(line, "")
        self.setpoint("up", str(self.home), "--once", code=ATTENTION)
        self.setpoint("plan", "environment/greeting", code=ATTENTION)
        self.expect("motd.txt", "All is at its setpoint")
        if self.environment()["status"]["conditions"][0]["reason"] != "GateBlocked":
            raise Surprise("the change was not blocked")
        self.edit("      hello.txt: Hello from Setpoint\n", "      hello.txt: Hello from Setpoint\n" + line)

    def news(self) -> None:
        self.say("A change that is allowed", "news.txt is added, approved and applied.")
        self.edit("    files:\n", "    files:\n      news.txt: Something new\n")
        self.setpoint("up", str(self.home), "--once", code=ATTENTION)
        self.setpoint("approve", self.pending("SpecChanged"))
        self.setpoint("up", str(self.home), "--once")
        self.expect("news.txt", "Something new")

    def reset(self, snapshot: str) -> None:
        self.say("Any earlier state can be had back", f"{snapshot} is the state after the first apply.")
        self.setpoint("get", "snapshots")
        self.setpoint("reset", "environment/greeting", "--to", snapshot, "--reason", "the news was wrong")
        self.setpoint("up", str(self.home), "--once", code=ATTENTION)
        self.setpoint("approve", self.pending("Reset"))
        # Held from now on, so that what was undone is not applied again.
        self.setpoint("up", str(self.home), "--once", code=ATTENTION)
        if (self.site / "news.txt").exists():
            raise Surprise("news.txt is still there")
        self.expect("hello.txt", "Hello from Setpoint")

    def trail(self) -> None:
        self.say("Everything is in a trail that shows tampering", "Each row is chained to the one before it.")
        self.setpoint("audit", "log")
        self.setpoint("audit", "verify")

    def farewell(self) -> None:
        command = f"setpoint --home {self.home}"
        self.say(
            "Go on from here", "The environment is held at the snapshot until you resume it or change greeting.yaml."
        )
        for line, what in (
            (f"{command} describe environment/greeting", "the whole story"),
            (f"{command} resume environment/greeting", "let it follow greeting.yaml again"),
            (f"setpoint up {self.home}", "keep it there; edits and drift are noticed while it runs"),
            (f"setpoint up {self.home} --listen 127.0.0.1:9090", "with /metrics and /healthz"),
        ):
            print(f"  {line}\n      {what}")
        if before := _before():
            print("\nBefore these, run:\n  " + "\n  ".join(before))

    # --- Means ------------------------------------------------------------------------------------------------------

    def say(self, title: str, text: str) -> None:
        """A heading and a line or two."""
        self.step += 1
        heading = f"{self.step}. {title}"
        print(f"\n{_bold(heading)}\n   {text}\n", flush=True)

    def setpoint(self, *words: str, code: int = 0) -> None:
        """Runs a command as its reader would, and shows it."""
        print(f"$ {shlex.join(['setpoint', *words])}", flush=True)
        done = subprocess.run([_program(), *words], env=self.environ(), check=False)
        if done.returncode != code:
            raise Surprise(f"setpoint {words[0]} ended with {done.returncode}, not {code}")

    def ask(self, *words: str) -> dict:
        """The JSON that a command prints."""
        done = subprocess.run([_program(), *words, "-o", "json"], env=self.environ(), check=True, capture_output=True)
        return json.loads(done.stdout)

    def environ(self) -> dict[str, str]:
        return {**os.environ, "SETPOINT_HOME": str(self.home)}

    def environment(self) -> dict:
        return self.ask("get", "environments", "greeting")

    def pending(self, cause: str) -> str:
        """The Change that waits, which must have this cause."""
        name = self.environment()["status"].get("change")
        if not name or self.ask("get", "changes", name)["spec"]["cause"] != cause:
            raise Surprise(f"no Change of cause {cause} waits")
        return name

    def edit(self, old: str, new: str) -> None:
        """Changes the manifest as its reader would with an editor."""
        text = self.manifest.read_text()
        if old not in text:
            raise Surprise(f"{self.manifest} is not as it was")
        self.manifest.write_text(text.replace(old, new))

    def expect(self, name: str, content: str) -> None:
        path = self.site / name
        if not path.exists() or path.read_text() != content:
            raise Surprise(f"{path} is not {content!r}")
        print(f"   {path.relative_to(self.home.parent)}: {content}")


def _program() -> str:
    beside = Path(sys.executable).with_name("setpoint")
    return str(beside) if beside.exists() else "setpoint"


def _before() -> list[str]:
    """Settings that the reader's shell lacks: make put setpoint on PATH, and the provider may be built from source."""
    here = Path(sys.executable).parent
    elsewhere = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != here]
    lines = []
    if not shutil.which("setpoint", path=os.pathsep.join(elsewhere)):
        lines.append(f'export PATH="{here}:$PATH"    # or install it: README, "Install it"')
    if mirror := os.environ.get("SETPOINT_TERRAFORM_MIRROR"):
        lines.append(f"export SETPOINT_TERRAFORM_MIRROR={shlex.quote(mirror)}")
    return lines


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if COLOURS else text


if __name__ == "__main__":
    sys.exit(main())
