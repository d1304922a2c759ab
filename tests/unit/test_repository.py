"""The repository as a whole: its layout, what may stand in its files, and that the lock holds what pyproject names."""

import ast
import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
MAX_LINES = 400
MAX_ARGUMENTS = 8
CODE = ("operator/", "tools/", "benchmarks/", "examples/")
PINNED = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;]+)(?: ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def joined(*parts: str) -> str:
    """A forbidden word, written so that this file does not hold it."""
    return "".join(parts)


FORBIDDEN = (
    *(joined("/", "work", "/", folder) for folder in ("main", "shared")),
    joined("/root", "/"),
    joined("/Users", "/"),
    joined("/tmp/", "brief"),
    joined(".pyenv", "/versions"),
    *(joined(name, ".org") for name in ("pypi", "pythonhosted", "npmjs", "proxy.golang", "sum.golang")),
)


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Every file that is committed, or would be."""
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(path for path in set(listed) if path and (ROOT / path).is_file())


@pytest.fixture(scope="module")
def pyproject() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_operator_shadows_no_module_of_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_module_is_too_long(files: list[str]) -> None:
    modules = [path for path in files if path.endswith(".py") and path.startswith(CODE)]
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in modules}
    assert len(modules) > 50
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


@pytest.mark.parametrize("package", ["pipeline", "wiring"])
def test_no_function_takes_too_many_arguments(package: str) -> None:
    """More of them are a type that has no name yet."""
    counts = {}
    for path in (ROOT / "operator" / "setpoint" / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                counts[path.name, node.name, node.lineno] = len([name for name in names if name not in {"self", "cls"}])
    assert len(counts) > 50
    assert {place: count for place, count in counts.items() if count > MAX_ARGUMENTS} == {}


def test_no_docstring_or_comment_begins_with_a_question(files: list[str]) -> None:
    """A verb or a noun phrase says what a thing is; STYLE.md."""
    question = re.compile(r'^\s*("""|# )(What|Whether|Who|Whose|Whom|Nobody|Where|Which)\b', re.MULTILINE)
    code = [path for path in files if path.endswith(".py")]
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path in code}
    assert {path: found[0] for path, text in texts.items() if (found := question.search(text))} == {}


def test_no_comprehension_has_a_second_for(files: list[str]) -> None:
    modules = [path for path in files if path.endswith(".py")]
    found = []
    for path in modules:
        nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        found += [f"{path}:{node.lineno}" for node in nodes if len(getattr(node, "generators", ())) > 1]
    assert len(modules) > 500
    assert found == [], "write a loop, itertools.chain.from_iterable or itertools.product, or name the step"


def test_nothing_names_one_machine_or_a_package_registry(files: list[str]) -> None:
    found = {}
    for path in files:
        text = (ROOT / path).read_bytes().decode("utf-8", errors="replace")
        if words := [word for word in FORBIDDEN if word in text]:
            found[path] = words
    assert found == {}


def test_the_ci_command_is_there_and_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("lock", ["build", "dev", "run"])
def test_a_lock_pins_and_hashes_everything_and_names_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")
    assert "://" not in text
    pins = 0
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith(("#", "    #")):
            continue
        if PINNED.match(line):
            pins += 1
            assert HASH.match(lines[number + 1]), f"{line} has no hash"
        else:
            assert HASH.match(line), f"line {number + 1}: {line}"
    assert pins > 0


def _pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")
    found = (PINNED.match(line) for line in text.splitlines())
    return {match["name"]: match["version"] for match in found if match}


def test_the_lock_has_everything_that_pyproject_names_in_its_range(pyproject: dict) -> None:
    project = pyproject["project"]
    named = [
        *project["dependencies"],
        *itertools.chain.from_iterable(project["optional-dependencies"].values()),
        *itertools.chain.from_iterable(pyproject["dependency-groups"].values()),
    ]
    assert _unmet(named, _pins("dev")) == []


def test_the_build_lock_has_what_the_build_needs(pyproject: dict) -> None:
    assert _unmet(pyproject["build-system"]["requires"], _pins("build")) == []


def _unmet(named: list[str], pins: dict[str, str]) -> list[str]:
    """The requirements that no pin satisfies."""
    wanted = {text: Requirement(text) for text in named}
    pinned = {text: pins.get(canonicalize_name(requirement.name)) for text, requirement in wanted.items()}
    return [text for text, pin in pinned.items() if pin is None or not wanted[text].specifier.contains(pin)]
