"""Loading and linting: what Rego would turn into silence is refused, and what is fine is not."""

import pytest
from tests.fakes.inputs import INPUTS

from setpoint.adapters.policy.loading import builtin_functions, load

DENY = 'deny contains "x" if input.now\n'


def problems(*texts: str, **files: str) -> list[str]:
    named = {f"m{i}.rego": text for i, text in enumerate(texts)} | {f"{k}.rego": v for k, v in files.items()}
    return load(named, {}, INPUTS).problems


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"package a\n{DENY}", id="plain"),
        pytest.param(
            "package a\nimport rego.v1\nwarn contains msg if { some msg in input.now }\n", id="rego-v1-import"
        ),
        pytest.param("package a\nviolation contains {'msg': 'x'}\n".replace("'", '"'), id="violation"),
        pytest.param(f"package a\n{DENY}x := data.params.limit\n", id="params"),
        pytest.param(f"package a\n{DENY}x if not data.params.limit\n", id="missing-params-are-the-sets-own"),
        pytest.param(f"package a\n{DENY}f(x) := y if {{ y := count(x) }}\n", id="function"),
        pytest.param(f"package a\n{DENY}default f(_) := 1\nx := f(2)\n", id="default-function"),
        pytest.param(f"package a\n{DENY}msg := f(1)\nf(msg) := msg\n", id="shadowed-rule"),
        pytest.param(f"package a\n{DENY}r[x] := y if {{ some x, y in input.plan }}\ns := r.k\n", id="partial-object"),
        pytest.param(f'package a["x-y"].b\n{DENY}z := data.a["x-y"].b.deny\n', id="odd-package-name"),
        pytest.param(f"package a\n{DENY}x if time.parse_rfc3339_ns(input.now) > 0\n", id="time-of-the-input"),
        pytest.param(f'package a\n{DENY}x if {{ print("hello") }}\n', id="print"),
        pytest.param(
            f"package a\n{DENY}deny contains x if some x in deny_b\ndeny_b contains 1\n", id="deny-by-another"
        ),
        pytest.param(f"package ä\n{DENY}".replace("ä", "a_1") + "# ünïcödé\nimport_ := 1\n", id="unicode-comment"),
    ],
)
def test_good_policies(text: str) -> None:
    assert problems(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("package a\ndeny contains x if {", "m0.rego:2: expecting expression", id="does-not-parse"),
        pytest.param("", "m0.rego:1: ", id="empty"),
        pytest.param("package a\ndeny[x] { x := 1 }", "m0.rego:2: `if` keyword is required", id="rego-v0"),
        pytest.param(f"package a\n{DENY}x if y > 1", "use of undefined variable `y` is unsafe", id="unsafe-variable"),
        pytest.param(
            f"package a\n{DENY}x if {{ false; foo.bar(1) }}", "m0.rego:3: there is no function foo.bar", id="fn"
        ),
        pytest.param(f"package a\n{DENY}x if http.send({{}}).x", "m0.rego:3: http.send is forbidden", id="http"),
        pytest.param(f"package a\n{DENY}x if time.now_ns() > 0", "time.now_ns is forbidden", id="clock"),
        pytest.param(f'package a\n{DENY}x if rand.intn("x", 2) == 1', "rand.intn is forbidden", id="random"),
        pytest.param(f"package a\n{DENY}x := opa.runtime()", "opa.runtime is forbidden", id="environment"),
        pytest.param(f'package a\n{DENY}x := io.jwt.decode("x")', "io.jwt.decode is forbidden", id="jwt"),
        pytest.param(
            f"package a\nimport data.lib\n{DENY}", "m0.rego:2: import as lib: there is no data.lib", id="import"
        ),
        pytest.param(
            f"package a\nimport data.lib\n{DENY}x if not lib.blocked",
            "there is no data.lib.blocked",
            id="import-in-not",
        ),
        pytest.param(f"package a\n{DENY}x if not data.lib.y", "m0.rego:3: there is no data.lib.y", id="data-in-not"),
        pytest.param(f"package a\n{DENY}x if not data.a.nope", "there is no data.a.nope", id="rule-that-is-not-there"),
        pytest.param(
            f"package a\n{DENY}x if not data[input.now]", "data is followed by a computed part", id="computed"
        ),
        pytest.param(f"package a\n{DENY}x if data.a.nope(1)", "there is no function data.a.nope", id="no-function"),
        pytest.param(
            f"package a\n{DENY}f(_) := true\nx if not data.a.f", "data.a.f is a function; call it", id="uncalled"
        ),
        pytest.param(
            f"package a\n{DENY}f(_) := true\nx if not f", "data.a.f is a function; call it", id="uncalled-here"
        ),
        pytest.param(f"package a\n{DENY}f(x) := f(x + 1)", "m0.rego:3: recursion: a.f needs a.f", id="recursion"),
        pytest.param(f"package a\n{DENY}f(x) := g(x)\ng(x) := f(x)", "recursion: a.", id="mutual-recursion"),
        pytest.param(f"package a\n{DENY}p := q\nq if deny\ndeny contains p", "recursion: a.", id="rule-recursion"),
        pytest.param("package a\ndeny if input.now", "m0.rego:2: deny must be a set", id="deny-is-a-value"),
        pytest.param('package a\ndeny := "x" if input.now', "deny must be a set", id="deny-may-be-undefined"),
        pytest.param("package a\ndeny(x) := x", "deny must be a set", id="deny-is-a-function"),
        pytest.param("package a\ndeny[x] := 1 if some x in input", "deny must be a set", id="deny-is-an-object"),
        pytest.param('package a\ndenies contains "x"', "has no deny, violation or warn", id="misspelt"),
        pytest.param(f"package a\n{DENY}deny_b contains 1", "m0.rego:3: deny_b is never asked", id="conftest-name"),
        pytest.param(f"package a\n{DENY}violations contains 1", "m0.rego:3: violations is never asked", id="plural"),
        pytest.param(f"package a\n{DENY}warn_b := 1\nx if warn_b", "m0.rego:3: warn_b", id="used-by-no-one-who-is"),
        pytest.param(f"package params\n{DENY}", "package params is reserved", id="params-package"),
        pytest.param(f"package setpoint_query\n{DENY}", "is reserved", id="query-package"),
        pytest.param(f"# METADATA\n# title: [\npackage a\n{DENY}", "m0.rego:1: the METADATA is no YAML", id="metadata"),
    ],
)
def test_bad_policies(text: str, expected: str) -> None:
    found = problems(text)
    assert any(expected in problem for problem in found), found
    assert all(problem.startswith(("m0.rego:", "policies:")) for problem in found)


def test_a_library_is_used_or_refused() -> None:
    library = "package lib\nblocked := true\n"
    assert problems(library, f"package a\nimport data.lib\n{DENY}x if lib.blocked\n") == []
    assert problems(library, f"package a\nimport data.lib as l\n{DENY}x if l.blocked\n") == []
    assert problems(library, f"package a\n{DENY}") == [
        "m0.rego:1: package lib has no deny, violation or warn, and no other uses it"
    ]


def test_policies_do_not_rest_on_tests() -> None:
    test = "package lib\nblocked := true\ntest_x if blocked\n"
    assert problems(f"package a\nimport data.lib\n{DENY}", lib_test=test) == [
        "m0.rego:2: import as lib: there is no data.lib in this set"
    ]


def test_tests_may_refer_to_policies_and_mock() -> None:
    policy = "package a\nf(x) := x\ndeny contains 'x' if f(input.now)\n".replace("'", '"')
    test = "package a_test\nimport data.a\nmock(_) := true\ntest_x if count(a.deny) == 1 with data.a.f as mock\n"
    assert problems(policy, a_test=test) == []


def test_a_set_of_many_packages_loads() -> None:
    assert problems(*(f"package acme.policies.number_{number}\n{DENY}" for number in range(100))) == []


def test_all_files_are_reported_in_order() -> None:
    assert [p.split(":")[0] for p in problems("package a\nx if {", "package b\ny if {")] == ["m0.rego", "m1.rego"]


def test_every_forbidden_function_that_regorus_has_is_known_to_the_lint() -> None:
    impure = {"http.send", "opa.runtime", "rand.intn", "time.now_ns", "uuid.rfc4122"}
    assert impure <= builtin_functions()
    for name in impure:
        assert any("is forbidden" in one for one in problems(f"package a\n{DENY}x := {name}(1)")), name


# --- Reads of the input -------------------------------------------------------------------------------------------

CHANGES = "there is no input.resource_changes, so this would pass everything"
READS: dict[str, tuple[str, list[str]]] = {
    "conftest": ('deny contains "x" if input.resource_changes[_].type == "a"', [f"2: {CHANGES}"]),
    "in brackets": ('deny contains "x" if input["resource_changes"][0]', [f"2: {CHANGES}"]),
    "iterated": ('deny contains "x" if some rc in input.resource_changes', [f"2: {CHANGES}"]),
    "within not": ('deny contains "x" if not input.resource_changes', [f"2: {CHANGES}"]),
    "looked up": ('deny contains "x" if object.get(input, "resource_changes", [])[0]', [f"2: {CHANGES}"]),
    "looked up by a path": (
        'deny contains "x" if object.get(input, ["plan", "planned_values"], {}).x',
        ["2: there is no input.plan.planned_values, so this would pass everything"],
    ),
    "of the plan": (
        'deny contains "x" if input.plan.resource_change[_]',
        ["2: there is no input.plan.resource_change, so this would pass everything"],
    ),
    "imported": ('import input.resource_changes\ndeny contains "x" if resource_changes[_]', [f"3: {CHANGES}"]),
    "the whole imported": (
        'import input as tfplan\ndeny contains "x" if tfplan.resource_changes[_]',
        [f"3: {CHANGES}"],
    ),
    "a variable": ('deny contains "x" if { p := input; p.resource_changes[_] }', [f"2: {CHANGES}"]),
    "a unified variable": ('deny contains "x" if { p = input; p.resource_changes[_] }', [f"2: {CHANGES}"]),
    "a rule": ('tf := input\ndeny contains "x" if tf.resource_changes[_]', [f"3: {CHANGES}"]),
    "a rule of a rule": ('tf := t\nt := input\ndeny contains "x" if tf.resource_changes[_]', [f"4: {CHANGES}"]),
    "a rule of what is not there": ('tf := input.resource_changes\ndeny contains "x" if tf[_].x', [f"2: {CHANGES}"]),
    "a parameter": ('f(p) := p.resource_changes\ndeny contains "x" if f(input)[_]', [f"2: {CHANGES}"]),
    "a parameter of a parameter": (
        'f(p) := g(1, p)\ng(_, q) := q.resource_changes\ndeny contains "x" if { i := input; f(i)[_] }',
        [f"3: {CHANGES}"],
    ),
    "a wrong adapter": (
        'deny contains "x" if rules[_] with input as input.pln\nrules contains "x" if input.resource_changes[_]',
        ["2: there is no input.pln, so this would pass everything"],
    ),
    "an adapter, and asked without it": (
        (
            'deny contains "x" if rules[_] with input as input.plan\nwarn contains "x" if rules[_]\n'
            'rules contains "x" if input.resource_changes[_]'
        ),
        [f"4: {CHANGES}"],
    ),
    "an adapter": (
        'deny contains "x" if rules[_] with input as input.plan\nrules contains "x" if input.resource_changes[_]',
        [],
    ),
    "all that there is": (
        (
            'deny contains "x" if { input.plan.resource_changes[_]; input.target.labels.a; input.change.cause; '
            "input.gate.stage; input.reset.worst; input.now; input.plan.providers[_].name }"
        ),
        [],
    ),
    "computed": ('deny contains "x" if { some key, value in input; input[key] == value }', []),
    "another of the name": (
        'warn contains "y" if { p := input; p.now }\ndeny contains "x" if { p := {"a": 1}; p.a }',
        [],
    ),
    "another in another branch": (
        'f(x) := y if { y := input; x } else := y if { y := {"a": x} ; y.a }\ndeny contains "x" if f(input.now)',
        [],
    ),
}


@pytest.mark.parametrize(("text", "expected"), READS.values(), ids=READS)
def test_what_the_input_has_not_is_refused(text: str, expected: list[str]) -> None:
    found = problems(f"package a\n{text}\n")
    assert len(found) == len(expected), found
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(f"m0.rego:{start}")


def test_a_function_of_another_module_is_given_the_input() -> None:
    library = "package lib\nchanges(document) := document.resource_changes\n"
    found = problems(library, 'package a\nimport data.lib\ndeny contains "x" if lib.changes(input)[_]\n')
    assert [one.split(";")[0] for one in found] == [f"m0.rego:2: {CHANGES}"]
    assert found[0].endswith(
        "; input has change, changes, document, gate, now, plan, reset, target; "
        "input.plan.resource_changes is meant, it seems"
    )


def test_tests_read_what_they_give() -> None:
    policy = f"package a\n{DENY}"
    test = "package a_test\nimport data.a\ntest_x if a.deny with input as {'odd': 1}\n"
    test += "test_y if f with input as 1\nf if input.odd\n"
    assert problems(policy, a_test=test.replace("'", '"')) == []
    assert problems(policy, a_test=f"{test}test_z if input.odd\n".replace("'", '"'))[0].startswith("a_test.rego:6: ")
