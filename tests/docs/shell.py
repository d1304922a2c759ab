"""Owns the shell that a page's reader types into: one for each page, in a folder of its own."""

import contextlib
import getpass
import os
import re
import secrets
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_NOT_ADAS = ("SETPOINT_", "COV", "GIT_", "KUBECONFIG", "TF_", "PYTEST_")
_OUTSIDE = re.compile(r"(?<![\w.])/(tmp|srv)/")


class Shell:
    """A shell whose /tmp, /srv and home folder are below `root`. What it prints is told as if they were not.

    The user is `ada` there, and what the tests build from source, because no registry may be in reach, comes from one.
    """

    def __init__(self, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self._root = root
        home = root / "ada"
        for folder in (home, root / "tmp", root / "srv"):
            folder.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_ADAS)}
        self._mirror = os.environ.get("SETPOINT_TERRAFORM_MIRROR", "")
        self._environment = {
            **kept,
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            **({"SETPOINT_TERRAFORM_MIRROR": self._mirror} if self._mirror else {}),
            **(environment or {}),
        }
        self._mark = secrets.token_hex(16)
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=self._environment,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._in.close()
        self._process.wait()
        self._out.close()

    @property
    def ended(self) -> bool:
        """True once a command has ended the shell itself."""
        return self._process.poll() is not None

    def run(self, script: str) -> tuple[list[str], int]:
        """Runs the commands; their output by line, and how they end. A shell that ends with them has ended."""
        self._in.write(f"{{\n{self._here(script)}\n}} </dev/null\nprintf '\\n%s %d\\n' {self._mark} $?\n")
        self._in.flush()
        printed = ""
        for line in self._out:
            if line.startswith(self._mark):
                return self._there(printed.removesuffix("\n")).splitlines(), int(line.split()[1])
            printed += line
        return self._there(printed).splitlines(), self._process.wait()

    def write(self, name: str, text: str) -> None:
        """Writes a file as its reader would with an editor."""
        path = shlex.quote(name)
        printed, code = self.run(f"mkdir -p \"$(dirname {path})\" && cat >{path} <<'{self._mark}'\n{text}{self._mark}")
        assert (printed, code) == ([], 0), name

    def _here(self, text: str) -> str:
        return _OUTSIDE.sub(rf"{self._root}/\1/", text)

    def _there(self, text: str) -> str:
        text = text.replace(f"{self._root}/ada", "~").replace(str(self._root), "")
        if self._mirror:
            text = text.replace(f"from the mirror {self._mirror}", "from the registry")
        # A name as short as `ada` keeps the columns where they are.
        me = re.escape(getpass.getuser())
        pattern = rf"(?<=approved by ){me}\b|(?<=rejected by ){me}\b|(?<=-){me}(?=-[0-9a-f]{{6}})|(?<=\dZ   ){me} *"
        return re.sub(pattern, lambda match: "ada".ljust(len(match[0])) if match[0].endswith(" ") else "ada", text)
