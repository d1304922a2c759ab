"""The engine and its workers: hostile policies cost a worker and are errors; the next decision is right again."""

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.fakes.inputs import INPUTS

from setpoint.adapters.policy.engine import RegorusEngine
from setpoint.adapters.policy.process import WorkerProcess
from setpoint.domain.policies import PackageIndex, PolicyModules, PolicyResult, Violation

GOOD = 'package good\ndeny contains "no x" if input.now\n'
LOOP = """package a
deny contains "x" if {
	range := numbers.range(1, 3000)
	count([1 | some i in range; some j in range; some k in range; i + j + k == 0]) == 1
}
"""


PLAN = {"resource_changes": [{"address": "a.b"}]}
ALIKE = {"document": PLAN, "plan": PLAN}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[RegorusEngine]:
    """One for all tests, whatever happened to its workers."""
    engine = RegorusEngine(INPUTS, load_seconds=10)
    yield engine
    await engine.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def fresh() -> AsyncIterator[RegorusEngine]:
    """One without workers yet, where a test is about these."""
    engine = RegorusEngine(INPUTS, load_seconds=10)
    yield engine
    await engine.aclose()


async def ask(
    engine: RegorusEngine,
    text: str,
    document: Mapping[str, Any] | None = None,
    *,
    seconds: float = 10,
    memory: int = 128,
    params: Mapping[str, Any] | None = None,
) -> PolicyResult:
    modules = PolicyModules.of({"m.rego": text}, params)
    given = {"target": {"kind": "Environment"}, **({"now": True} if document is None else document)}
    return await engine.evaluate(modules, given, timeout=seconds, memory_mib=memory)


async def test_violations_and_silence(engine: RegorusEngine) -> None:
    assert await ask(engine, GOOD) == PolicyResult((Violation("good", "no x"),))
    assert await ask(engine, GOOD, {}) == PolicyResult()


async def test_objects_and_kinds(engine: RegorusEngine) -> None:
    text = """package a
deny contains {"rule": "r1", "resource": "t.a", "msg": "m", "severity": "low", "remediation": "fix", "more": [1]}
violation contains "v"
warn contains "w"
deny contains {"msg": "u", "unknown": true}
"""
    result = await ask(engine, text)
    assert set(result.violations) == {
        Violation("a", "u", unknown=True),
        Violation("r1", "m", "t.a", "low", "fix", "deny"),
        Violation("a", "v", kind="deny"),
        Violation("a", "w", kind="warn"),
    }


async def test_metadata_gives_what_a_message_does_not_say(engine: RegorusEngine) -> None:
    text = """# METADATA
# title: A title
# custom: {severity: high, remediation: do this}
package a

# METADATA
# custom: {severity: low}
warn contains "w"

deny contains "one"
deny contains {"msg": "two", "severity": "critical"}
"""
    result = await ask(engine, text)
    assert {(v.message, v.severity, v.remediation) for v in result.violations} == {
        ("one", "high", "do this"),
        ("two", "critical", "do this"),
        ("w", "low", "do this"),
    }
    check = await engine.check(PolicyModules.of({"m.rego": text}))
    assert check.packages == (PackageIndex("a", "A title", "", "high", "do this"),)
    assert check.problems == ()


async def test_parameters(engine: RegorusEngine) -> None:
    text = 'package a\ndeny contains "big" if input.now > data.params.most\n'
    assert len((await ask(engine, text, {"now": 3}, params={"most": 2})).violations) == 1
    assert len((await ask(engine, text, {"now": 3}, params={"most": 3})).violations) == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("package a\ndeny contains x if {", "m.rego:2: expecting expression", id="does-not-parse"),
        pytest.param(LOOP, "took longer than 0.3 s", id="endless-comprehension"),
        pytest.param('package a\nf(a) := f(a + 1)\ndeny contains "x" if f(1)\n', "recursion", id="recursion"),
        pytest.param(
            'package a\ndeny contains "x" if count(numbers.range(1, 100000000)) == 1\n', "128 MiB", id="memory"
        ),
        pytest.param('package a\ndeny := "x" if input.now\n', "deny must be a set", id="undefined"),
        pytest.param("package a\ndeny contains 3\n", "a message is a text or an object", id="number"),
        pytest.param("package a\ndeny contains {1, 2}\n", "a message is a text or an object", id="set"),
        pytest.param("package a\ndeny contains {}\n", "msg is no text", id="no-msg"),
        pytest.param('package a\ndeny contains ""\n', "msg is no text", id="empty-msg"),
        pytest.param('package a\ndeny contains {"msg": "m", "resource": 1}\n', "resource is no text", id="resource"),
        pytest.param('package a\ndeny contains {"msg": "m", "unknown": 1}\n', "true or false", id="unknown"),
        pytest.param(
            'package a\ndeny contains {"msg": "m", "severity": "dire"}\n', "severity is one of", id="severity"
        ),
        pytest.param(
            'package a\ndeny contains {"msg": "m", "severity": null}\n', "severity is one of", id="no-severity"
        ),
        pytest.param('package a\ndeny contains "x" if http.send({}).x\n', "http.send is forbidden", id="forbidden"),
        pytest.param(
            'package a\nimport data.lib\ndeny contains "x" if not lib.b\n', "no data.lib", id="missing-import"
        ),
        pytest.param('package a\ndeny contains "x" if count(input.now) == 1\n', "m.rego:2: `count`", id="type-error"),
        pytest.param('package a\nv := 1\nv := 2 if input.now\ndeny contains "x" if v\n', "conflicts", id="conflict"),
        pytest.param("package a\ndeny contains x if { some x in input.now }\n", "m.rego:2", id="not-iterable"),
        pytest.param(
            'package a\nlong := concat("", [s | some i in numbers.range(1, 4000); s := "012345678"])\n'
            'deny contains concat("", [s | some i in numbers.range(1, 300); s := long])\n',
            "too large",
            id="floods",
        ),
        pytest.param(
            "package a\ndeny contains sprintf('%d', [i]) if some i in numbers.range(1, 30000)\n".replace("'", '"'),
            "more than 20000",
            id="many-violations",
        ),
    ],
)
@pytest.mark.parametrize("document", [{}, ALIKE], ids=["plain", "document by two names"])
async def test_hostile_policies_are_errors_and_the_engine_recovers(
    engine: RegorusEngine, text: str, why: str, document: dict[str, Any]
) -> None:
    result = await ask(engine, text, {"now": True, **document}, seconds=0.3 if text == LOOP else 10)
    assert why in result.error
    assert result.violations == ()
    assert await ask(engine, GOOD) == PolicyResult((Violation("good", "no x"),))


async def test_a_crash_costs_the_worker_alone(engine: RegorusEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segmentation fault, as a recursion that the lint does not see would cause it."""
    await ask(engine, GOOD)
    exchange = WorkerProcess._exchange

    async def crash(self: WorkerProcess, parts: tuple[bytes, bytes]) -> Any:
        self.process.send_signal(11)
        return await exchange(self, parts)

    with monkeypatch.context() as patched:
        patched.setattr(WorkerProcess, "_exchange", crash)
        result = await ask(engine, GOOD)
    assert "it crashed" in result.error
    assert (await ask(engine, GOOD)).error == ""


async def test_a_worker_that_died_idle_is_replaced(fresh: RegorusEngine) -> None:
    await ask(fresh, GOOD)
    (worker,) = fresh._idle
    worker.process.kill()
    await worker.process.wait()
    assert (await ask(fresh, GOOD)).error == ""


@pytest.mark.parametrize(
    "document",
    [{"now": object()}, {"now": "\ud800"}, {"now": float("nan")}],
    ids=["no-json", "half-a-surrogate", "not-a-number"],
)
async def test_a_document_that_is_no_json_is_an_error(engine: RegorusEngine, document: dict[str, Any]) -> None:
    assert (await ask(engine, GOOD, document)).error
    assert (await ask(engine, GOOD)).error == ""


async def test_a_warm_worker_is_reused_and_keeps_its_sets(fresh: RegorusEngine) -> None:
    await ask(fresh, GOOD)
    (first,) = fresh._idle
    await ask(fresh, 'package other\ndeny contains "x"\n')
    await ask(fresh, GOOD)
    assert fresh._idle == [first]
    assert len(first.loaded) == 2


async def test_a_worker_forgets_the_sets_used_longest_ago(fresh: RegorusEngine) -> None:
    for number in range(20):
        await ask(fresh, f'package a\ndeny contains "{number}"\n')
    assert len(fresh._idle[0].loaded) == 16
    assert (await ask(fresh, 'package a\ndeny contains "0"\n')).violations[0].message == "0"


async def test_there_are_at_most_two_workers(fresh: RegorusEngine) -> None:
    results = await asyncio.gather(*(ask(fresh, GOOD, memory=128 + 64 * (i % 3)) for i in range(9)))
    assert all(result.error == "" for result in results)
    assert len(fresh._idle) <= 2


async def test_cancelling_kills_the_worker(fresh: RegorusEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask(fresh, GOOD)
    (worker,) = fresh._idle
    exchange, asked = WorkerProcess._exchange, asyncio.Event()

    async def tell(self: WorkerProcess, parts: tuple[bytes, bytes]) -> Any:
        asked.set()
        return await exchange(self, parts)

    monkeypatch.setattr(WorkerProcess, "_exchange", tell)
    task = asyncio.create_task(ask(fresh, LOOP, seconds=60))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not worker.alive
    assert (await ask(fresh, GOOD)).error == ""


async def test_a_closed_engine_refuses_and_leaves_no_process() -> None:
    engine = RegorusEngine(INPUTS)
    await ask(engine, GOOD)
    (worker,) = engine._idle
    await engine.aclose()
    assert not worker.alive
    assert "closed" in (await ask(engine, GOOD)).error


async def test_the_worker_sees_nothing_of_the_operator(fresh: RegorusEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SETPOINT_TEST_SECRET", "hunter2")
    await ask(fresh, GOOD, {"now": "hunter2"})
    pid = fresh._idle[0].process.pid
    with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as cmdline:  # noqa: PTH123
        seen = environ.read() + cmdline.read()
    assert b"hunter2" not in seen
    assert os.readlink(f"/proc/{pid}/cwd") == "/"  # noqa: PTH115


async def test_workers_can_write_nothing_of_what_they_are_given(fresh: RegorusEngine) -> None:
    await ask(fresh, GOOD)
    with open(f"/proc/{fresh._idle[0].process.pid}/limits") as limits:  # noqa: PTH123
        read = {line[:26].strip(): line[26:].split()[:2] for line in limits}
    # A core limit of 0 does not keep the kernel from piping the core to a program; 1 does.
    assert read["Max core file size"] == ["1", "1"]
    assert read["Max file size"] == read["Max open files"] == ["0", "0"]


@pytest.mark.parametrize(
    "attempt", ["open('/dev/null')", "__import__('socket').socket()", "os.pipe()", "os.write(kept, b'x')"]
)
def test_a_sealed_process_opens_and_writes_nothing(attempt: str, tmp_path: Path) -> None:
    code = f"""
import os, signal, socket
from setpoint.adapters.policy.worker import seal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
kept = os.open({str(tmp_path / "kept")!r}, os.O_WRONLY | os.O_CREAT)
seal()
try:
    {attempt}
except OSError as error:
    print(error.errno)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ended.stdout) in {errno.EMFILE, errno.EFBIG}


async def test_a_plan_that_is_no_json_is_an_error_that_does_not_quote_it(engine: RegorusEngine) -> None:
    result = await ask(engine, GOOD, {"x": "hunter2\ud800"})
    assert result.error == "the plan can't be written as JSON, so the policies were not asked"
    assert "hunter2" not in (await ask(engine, GOOD, {"x": {"hunter2"}, "y": object()})).error


async def test_texts_are_whole_for_those_who_scrub_them(engine: RegorusEngine) -> None:
    (violation,) = (await ask(engine, f'package a\ndeny contains "{"x" * 900}" if true\n')).violations
    assert len(violation.message) == 900
    long = 'package a\ndeny contains concat("", [input.now, input.now])\n'
    (violation,) = (await ask(engine, long, {"now": "y" * 2000})).violations
    assert violation.message == "y" * 4000


async def test_tests_of_a_set(engine: RegorusEngine) -> None:
    test = """package a_test
import data.a
test_denies if count(a.deny) == 1 with input as {"now": 1}
test_wrong if count(a.deny) == 2 with input as {"now": 1}
test_raises if count(input) == 1 with input as 1
helper if true
"""
    modules = PolicyModules.of({"a.rego": GOOD.replace("good", "a"), "a_test.rego": test})
    results = {one.name: one for one in await engine.run_tests(modules)}
    assert {name: one.passed for name, one in results.items()} == {
        "test_denies": True,
        "test_wrong": False,
        "test_raises": False,
    }
    assert "`count`" in results["test_raises"].message
    assert (
        await engine.evaluate(modules, {"target": {"kind": "Environment"}, "now": 1}, timeout=10, memory_mib=128)
    ).violations


async def test_a_set_that_does_not_load_can_not_be_tested(engine: RegorusEngine) -> None:
    with pytest.raises(ValueError, match=r"m\.rego:1"):
        await engine.run_tests(PolicyModules.of({"m.rego": "pack"}))


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        pytest.param(ALIKE, ["a.b", "a.b"], id="one object by two names"),
        pytest.param({"document": PLAN, "plan": {"resource_changes": [{"address": "c"}]}}, ["a.b", "c"], id="two"),
        pytest.param({"document": PLAN}, ["a.b", None], id="the document alone"),
        pytest.param({"plan": PLAN}, [None, "a.b"], id="the other alone"),
        pytest.param({"document": None, "plan": None}, [None, None], id="neither"),
    ],
)
async def test_each_name_of_the_document_shows_what_it_was_given(
    engine: RegorusEngine, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], seen: list[str | None]
) -> None:
    text = """package a
first(name) := input[name].resource_changes[0].address
warn contains sprintf("document %v", [first("document")])
deny contains sprintf("plan %v", [input.plan.resource_changes[0].address])
"""
    sent: list[bytes] = []
    exchange = WorkerProcess._exchange

    async def watched(self: WorkerProcess, parts: tuple[bytes, bytes]) -> Any:
        sent.append(parts[1])
        return await exchange(self, parts)

    monkeypatch.setattr(WorkerProcess, "_exchange", watched)
    result = await ask(engine, text, given)
    told = [f"{name} {found}" for name, found in zip(("document", "plan"), seen, strict=True) if found]
    assert (sorted(one.message for one in result.violations), result.error) == (told, "")
    assert sent[-1].count(b"a.b") == (1 if "a.b" in seen else 0)
