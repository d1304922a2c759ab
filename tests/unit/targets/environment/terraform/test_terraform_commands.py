"""Command lines as they are, word by word."""

from pathlib import Path

import pytest

from setpoint.targets.environment.terraform.commands import CommandBuilder

BUILDER = CommandBuilder(("terraform",))
OUT, VARIABLES = Path("/run/tfplan"), Path("/run/vars.tfvars.json")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(BUILDER.version_line(), {"version", "-json"}, id="version"),
        pytest.param(BUILDER.get_line(), {"get", "-no-color"}, id="get"),
        pytest.param(
            BUILDER.init_line(backend=True, modules=False),
            {"init", "-backend=true", "-get=false", "-reconfigure", "-input=false", "-no-color"},
            id="init",
        ),
        pytest.param(
            BUILDER.init_line(backend=False, modules=True),
            {"init", "-backend=false", "-get=true", "-input=false", "-no-color"},
            id="init of a bundle",
        ),
        pytest.param(
            BUILDER.plan_line(OUT, VARIABLES, destroy=False),
            {"plan", "-json", "-lock=false", "-input=false", "-no-color", f"-out={OUT}", f"-var-file={VARIABLES}"},
            id="plan",
        ),
        pytest.param(BUILDER.show_line(OUT), {"show", "-json", "-no-color", str(OUT)}, id="show"),
        pytest.param(
            BUILDER.apply_line(OUT),
            {"apply", "-json", "-input=false", "-no-color", "-lock-timeout=60s", str(OUT)},
            id="apply",
        ),
    ],
)
def test_a_line(line: tuple[str, ...], words: set[str]) -> None:
    assert line[:2] == ("terraform", line[1])
    assert line[1] in words
    assert sorted(line[1:]) == sorted(words)


def test_a_destroy_is_the_same_plan_with_one_word_more() -> None:
    plan, destroy = (set(BUILDER.plan_line(OUT, VARIABLES, destroy=it)) for it in (False, True))
    assert destroy - plan == {"-destroy"}
    assert plan <= destroy


def test_a_plan_from_the_state_alone_says_so() -> None:
    plan, alone = (set(BUILDER.plan_line(OUT, VARIABLES, destroy=True, refresh=it)) for it in (True, False))
    assert alone - plan == {"-refresh=false"}
    assert plan <= alone


def test_what_is_applied_comes_last() -> None:
    assert BUILDER.apply_line(OUT)[-1] == str(OUT)
    assert BUILDER.show_line(OUT)[-1] == str(OUT)


def test_a_binary_may_be_several_words() -> None:
    line = CommandBuilder(("python", "-m", "wheel")).version_line()
    assert line[:4] == ("python", "-m", "wheel", "version")


def test_a_torn_state_in_the_working_directory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".terraform").mkdir()
    (tmp_path / ".terraform" / "terraform.tfstate").write_text("{")
    monkeypatch.chdir(tmp_path)
    assert CommandBuilder(("terraform",)).version_line() == BUILDER.version_line()


@pytest.mark.parametrize("name", ["aply", "force_unlock", "__copy__"])
def test_a_misspelt_name_is_no_command(name: str) -> None:
    with pytest.raises(AttributeError):
        getattr(BUILDER, name)
