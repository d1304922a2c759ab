"""A git repository for tests: a real one, made with git itself and no configuration of the machine."""

import os
import subprocess
from pathlib import Path

_PERSONS = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")


class Repository:
    """A real repository, made with git itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = str(folder)
        self.git("init", "-q", "-b", "main", str(folder), cwd=folder.parent)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder.parent),
            "GIT_CONFIG_NOSYSTEM": "1",
            **dict.fromkeys(_PERSONS, "x@example.invalid"),
        }
        done = subprocess.run(
            ("git", *arguments), cwd=cwd or self.folder, env=environ, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str]) -> str:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "-m", "x")
        return self.git("rev-parse", "HEAD")
