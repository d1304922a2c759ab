"""Known secrets are taken out of any text, however they are written, and nothing else is touched."""

import base64
import json
import random
import shlex
import subprocess
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.soak import dear_examples

from setpoint.domain.scrubbing import NO_SECRETS, Scrubber
from setpoint.domain.value_paths import MIN_SECRET, SENSITIVE

SECRET = "grebe & tern/2207?"

Writing = Callable[[str], str]


def base64_at(alignment: int, alphabet: Callable[[bytes], bytes] = base64.b64encode) -> Writing:
    return lambda secret: alphabet(b"user:"[:alignment] + secret.encode() + b"\n").decode()


def percent_all(secret: str, form: str = "%{:02x}") -> str:
    return "".join(form.format(byte) for byte in secret.encode())


def powers_of_the_shell(secret: str) -> str:
    """As `printf %q` does: a backslash before all that a shell knows."""
    return "".join(one if one.isalnum() or one in "_./:@%+-" else f"\\{one}" for one in secret)


WRITINGS: dict[str, Writing] = {
    "as it is": str,
    **{f"base64 at {n}": base64_at(n) for n in range(4)},
    **{f"base64 for URLs at {n}": base64_at(n, base64.urlsafe_b64encode) for n in range(3)},
    "base64 without padding": lambda secret: base64.b64encode(secret.encode()).decode().rstrip("="),
    "base64 in base64's lines": lambda secret: base64.encodebytes(b"a:" + secret.encode() * 5).decode(),
    "base64 in a URL": lambda secret: urllib.parse.quote(base64.b64encode(secret.encode()).decode(), safe=""),
    "percent": lambda secret: urllib.parse.quote(secret, safe=""),
    "percent, lower case": lambda secret: urllib.parse.quote(secret, safe="").replace("%2F", "%2f"),
    "percent, a path": lambda secret: urllib.parse.quote(secret, safe="/&=:@$+,"),
    "percent, a form": urllib.parse.quote_plus,
    "percent, all of it": percent_all,
    "percent, all of it, upper case": lambda secret: percent_all(secret, "%{:02X}"),
    "percent, twice": lambda secret: urllib.parse.quote(urllib.parse.quote(secret, safe=""), safe=""),
    "hex": lambda secret: secret.encode().hex(),
    "hex, upper case": lambda secret: secret.encode().hex().upper(),
    "hex, a dump": lambda secret: secret.encode().hex(" ", 2),
    "JSON": json.dumps,
    "JSON, no ASCII": lambda secret: json.dumps(secret, ensure_ascii=False),
    "JSON, as Go writes HTML": lambda secret: json.dumps(secret).replace("&", "\\u0026").replace("<", "\\u003c"),
    "JSON in JSON": lambda secret: json.dumps({"body": json.dumps({"password": secret})}),
    "Python": repr,
    "YAML": lambda secret: yaml.safe_dump(secret, width=10**6),
    "shell": shlex.quote,
    "shell, as people do": lambda secret: "'" + secret.replace("'", "'\\''") + "'",
    "shell, backslashes": powers_of_the_shell,
    "shell in JSON": lambda secret: json.dumps({"cmd": f"curl -u {shlex.quote(secret)}"}),
    "HCL": lambda secret: json.dumps(secret, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{"),
}

# Secrets have nothing of the mask in them, which can't be kept out of a masked text.
secrets = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]) | st.sampled_from(" /+&?'\"\\%$={}"), min_size=6)
secrets = secrets.map(str.strip).filter(lambda one: len(one) >= MIN_SECRET and one not in SENSITIVE)
around = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("name", WRITINGS)
@given(secret=secrets, before=around, after=around)
@example(secret=SECRET, before="", after="")
@example(secret='it\'s \\d{3} "${x}"', before="'", after="'")
@settings(max_examples=20)
def test_no_writing_of_a_secret_is_left(name: str, secret: str, before: str, after: str) -> None:
    written = WRITINGS[name](secret)
    assume(written.strip() not in SENSITIVE)
    scrubbed = Scrubber([secret]).scrub(f"{before} {written} {after}")
    assert written.strip() not in scrubbed
    assert SENSITIVE in scrubbed
    assert not Scrubber([secret]).finds(scrubbed.replace(SENSITIVE, "\0"))


@given(text=st.text(), others=st.lists(st.text(min_size=1)))
@example(text="100%+1 '' \\u0041 a\\", others=["password"])
def test_text_without_a_secret_is_as_it_was(text: str, others: list[str]) -> None:
    # Upper private use: no text here holds it, however it is read.
    known = Scrubber(f"\U0010fffd{other}\U0010fffd{other}" for other in others)
    assume("\U0010fffd" not in text and not any(set("\r\n").intersection(other) for other in others))
    assert known.scrub(text) == text
    assert not known.finds(text)


@pytest.mark.parametrize("name", WRITINGS)
def test_what_stands_around_a_writing_stays(name: str) -> None:
    scrubbed = Scrubber([SECRET]).scrub(f"before: {WRITINGS[name](SECRET)} :after")
    assert scrubbed.startswith("before: ")
    assert scrubbed.endswith(" :after")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | secrets | st.just(SECRET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(secrets, inner, max_size=3),
    max_leaves=8,
)


@given(value=json_values, secret=st.sampled_from([SECRET, '": "', 'a": [', '\\"},', "1234567"]), indent=st.booleans())
@example(value={"a": 1234567, "b": ["x"]}, secret="1234567", indent=False)
@example(value={"level": 'ends in \\"},'}, secret='\\"},', indent=False)
@example(value={"key": "value", "list": [1]}, secret='": "va', indent=False)
@settings(max_examples=50)
def test_json_stays_json(value: Any, secret: str, indent: bool) -> None:
    text = json.dumps(value, indent=2 if indent else None)
    scrubbed = Scrubber([secret]).scrub(text)
    read = json.loads(scrubbed)
    assert Scrubber([secret]).finds(scrubbed) is False
    if not Scrubber([secret]).finds(text):
        assert read == value


def test_values_are_scrubbed_in_strings_numbers_and_keys() -> None:
    value = {SECRET: [f"a {SECRET}", 1234567, True, None, 1.5]}
    assert Scrubber([SECRET, "1234567"]).scrub_values(value) == {
        SENSITIVE: [f"a {SENSITIVE}", SENSITIVE, True, None, 1.5]
    }


@pytest.mark.parametrize(
    ("known", "text", "expected"),
    [
        pytest.param(["hunter22", "hunter22-and-more"], "a hunter22-and-more b", f"a {SENSITIVE} b", id="within"),
        pytest.param(["abcdef", "defghi"], "abcdefghi", SENSITIVE, id="overlapping"),
        pytest.param(["short", "", " 12345 "], "short 12345", "short 12345", id="too short"),
        pytest.param([" padded-secret\n"], "<padded-secret>", f"<{SENSITIVE}>", id="blanks around it"),
        pytest.param(["first line\nsecond line"], "│ second line\n", f"│ {SENSITIVE}\n", id="a line of it"),
        pytest.param(["first  line\nsecond"], "first line second", SENSITIVE, id="on one line"),
        pytest.param(["x" * 100 + "1"], "x" * 100 + "2", "x" * 100 + "2", id="only its beginning"),
        pytest.param(["x" * 100 + "1", "x" * 100 + "2"], "x" * 100 + "2", SENSITIVE, id="two that begin alike"),
        pytest.param(["pa55word"], b"u:pa55word".hex(":"), b"u:pa55word".hex(":"), id="hex with colons stays"),
    ],
)
def test_which_parts_are_masked(known: list[str], text: str, expected: str) -> None:
    assert Scrubber(known).scrub(text) == expected


def test_neighbours_in_base64_give_no_bit_away() -> None:
    text = base64.b64encode(b"a:" + SECRET.encode() + b":b").decode()
    assert Scrubber([SECRET]).scrub(text) == f"YT{SENSITIVE}6Yg=="


def test_the_wrapped_base64_of_a_key_file_is_found() -> None:
    key = "-----BEGIN KEY-----\n" + "\n".join(f"{n:064x}" for n in range(20)) + "\n-----END KEY-----\n"
    text = base64.encodebytes(key.encode()).decode().replace("\n", "\n│ ")
    assert Scrubber([key]).scrub(f"│ got {text}end").startswith(f"│ got {SENSITIVE}")
    assert text[80:120] not in Scrubber([key]).scrub(f"│ got {text}end")


def test_a_shell_agrees_with_the_writings() -> None:
    printed = subprocess.run(
        ["bash", "-c", 'printf "%q" "$1"', "-", SECRET], capture_output=True, text=True, check=True
    )
    assert Scrubber([SECRET]).scrub(printed.stdout) == SENSITIVE


def test_nothing_known_nothing_done() -> None:
    text = "any 'text' %20"
    assert not NO_SECRETS
    assert NO_SECRETS.scrub(text) is text
    assert NO_SECRETS.scrub_values({1: text}) == {1: text}
    assert NO_SECRETS.address('a.b["any"]') == 'a.b["any"]'


# --- Addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("aws_server.server", "aws_server.server"),
        ('a.b["aws_server"]', 'a.b["(sensitive)#b8f1c2d3e4a5"]'),
        ('module.m["x aws_server y"].a.b["k"]', 'module.m["(sensitive)#b8f1c2d3e4a5"].a.b["k"]'),
        ("a.b[0]", "a.b[0]"),
        ('a.b["YXdzX3NlcnZlcg=="]', 'a.b["(sensitive)#b8f1c2d3e4a5"]'),
        ('module.m["it\\"s"].a.b["aws_server"]', 'module.m["it\\"s"].a.b["(sensitive)#b8f1c2d3e4a5"]'),
    ],
)
def test_an_address_hides_keys_alone(address: str, expected: str) -> None:
    known = Scrubber(["aws_server"], label=lambda _: "sha256:" + "0" * 52 + "b8f1c2d3e4a5")
    assert known.address(address) == expected
    assert known.address(expected) == expected


def test_hidden_keys_are_told_apart_by_their_labels() -> None:
    known = Scrubber(["secret-one", "secret-two"], label=lambda key: key.hex())
    assert known.address('a.b["secret-one"]') != known.address('a.b["secret-two"]')
    assert Scrubber(["secret-one"]).address('a.b["secret-one"]') == f'a.b["{SENSITIVE}"]'


# --- Names of the code ----------------------------------------------------------------------------------------------

NAMES = [
    "postgresql_role.admins",
    'module.postgres["a"].postgresql_database.postgres_main[0]',
    "data.aws_region.postgres",
]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("postgresql_role.admins: no", "postgresql_role.admins: no", id="an address"),
        pytest.param("a postgresql_role can't", "a postgresql_role can't", id="a type"),
        pytest.param("module.postgres is gone", "module.postgres is gone", id="a module"),
        pytest.param("in data.aws_region.postgres", "in data.aws_region.postgres", id="a data source"),
        pytest.param("for user postgres", f"for user {SENSITIVE}", id="the secret itself"),
        pytest.param("postgresql_roles", f"{SENSITIVE}ql_roles", id="a word that is not known"),
        pytest.param("x-postgresql_role", f"x-{SENSITIVE}ql_role", id="a part of another word"),
        pytest.param("postgresql_role.other", "postgresql_role.other", id="a type, and a name that is not known"),
        pytest.param("postgres.admins", f"{SENSITIVE}.admins", id="a word of an address alone"),
        pytest.param(
            'postgresql_role.admins["postgres"]', f'postgresql_role.admins["{SENSITIVE}"]', id="a key is no name"
        ),
        pytest.param('{"m": "postgresql_role.admins postgres"}', '{"m": "postgresql_role.admins (sensitive)"}', id="J"),
    ],
)  # fmt: skip
def test_names_that_are_known_stay(text: str, shown: str) -> None:
    assert Scrubber(["postgres"]).sparing(NAMES).scrub(text) == shown


def test_a_secret_that_is_a_type_is_hidden_where_it_stands_alone() -> None:
    known = Scrubber(["postgresql_role"]).sparing(NAMES)
    assert known.scrub("postgresql_role.admins") == "postgresql_role.admins"
    assert known.scrub("password postgresql_role") == f"password {SENSITIVE}"
    assert known.finds("postgresql_role.admins"), "what decides whether a text may be shown at all spares nothing"


def test_a_secret_that_reaches_over_a_name_is_hidden() -> None:
    known = Scrubber(["my postgresql_role.admins", "admins: no"]).sparing(NAMES)
    assert known.scrub("is my postgresql_role.admins") == f"is {SENSITIVE}"
    assert known.scrub("postgresql_role.admins: no") == f"postgresql_role.{SENSITIVE}"


def test_names_are_kept_when_secrets_are_added() -> None:
    known = Scrubber(["postgres"]).sparing(NAMES).with_secrets(["hunter22"])
    assert known.scrub("postgresql_role.admins hunter22") == f"postgresql_role.admins {SENSITIVE}"


identifiers = st.from_regex(r"[a-z][a-z0-9_-]{0,14}", fullmatch=True).filter(lambda one: one not in {"module", "data"})
static = st.tuples(st.lists(identifiers, max_size=2), identifiers, identifiers).map(
    lambda one: "".join(f"module.{name}." for name in one[0]) + f"{one[1]}.{one[2]}"
)


@settings(max_examples=dear_examples(100))
@given(addresses=st.lists(static, min_size=1, max_size=4), data=st.data(), other=secrets)
def test_no_address_and_no_type_is_altered_and_no_secret_comes_out(
    addresses: list[str], data: st.DataObject, other: str
) -> None:
    """Whatever part of them is a secret's value."""
    address = data.draw(st.sampled_from(addresses))
    part = data.draw(st.sampled_from([address[at : at + 7] for at in range(len(address))] + address.split(".")))
    assume(part != address and "module" not in part and "." not in part)
    known = Scrubber([part, other]).sparing(addresses)
    assume(not Scrubber([other]).finds(" ".join(addresses)))
    type_ = address.split(".")[-2]
    assert known.scrub(f"<{address}> failed") == f"<{address}> failed"
    if part != type_:
        assert known.scrub(f"a <{type_}>") == f"a <{type_}>"
    shown = known.scrub(f"<{address}> <{other}>")
    assert shown.startswith(f"<{address}> <")
    assert not Scrubber([other]).finds(shown.replace(SENSITIVE, "\0"))


# --- Speed ----------------------------------------------------------------------------------------------------------


def test_the_time_hardly_depends_on_how_much_is_known() -> None:
    numbers = random.Random(7)
    text = json.dumps([{"address": f"a.b[{n}]", "value": f'"{n}" %20 \\ + x'} for n in range(5000)])
    few = Scrubber([SECRET])
    many = Scrubber(f"{numbers.getrandbits(128):032x}" for _ in range(1000))
    spent = {}
    for name, known in (("few", few), ("many", many)):
        known.finds("")
        began = time.process_time()
        assert not known.finds(text)
        spent[name] = time.process_time() - began
    assert spent["many"] < 5 * spent["few"] + 0.5
