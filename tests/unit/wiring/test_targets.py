"""The one list of targets: what each entry promises is there, and no name of one is another's."""

import importlib
import itertools

import pytest

from setpoint.cli.main import COMMANDS
from setpoint.ports.commands import Check
from setpoint.runtime.metric_specs import METRICS
from setpoint.settings import read_settings
from setpoint.wiring import targets
from setpoint.wiring.targets import TARGETS, TargetPackage


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.package)
def test_entry__its_modules_are_there(target: TargetPackage) -> None:
    assert callable(importlib.import_module(target.opening).open_target)
    for name, summary in target.verbs.items():
        verb = targets.verb(name)
        assert verb is not None
        assert (verb.name, verb.help.split("\n")[0]) == (name, summary)


def test_names__are_unique() -> None:
    names = [*COMMANDS, *itertools.chain.from_iterable(target.verbs for target in TARGETS)]
    assert sorted(set(names)) == sorted(names)
    metrics = [spec.name for spec in (*METRICS, *targets.metrics())]
    assert sorted(set(metrics)) == sorted(metrics)


def test_checks__each_target_has_its_say() -> None:
    found = targets.checks(read_settings({}))
    assert {type(one) for one in found} == {Check}
    assert [one.name for one in found] == ["terraform", "providers"]


def test_verb__of_no_target__is_none() -> None:
    assert targets.verb("up") is None
