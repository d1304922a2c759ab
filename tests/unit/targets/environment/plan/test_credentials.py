"""Of credentials, hosts, users and regions are shown; whatever may be a secret is not."""

import base64
import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from setpoint.targets.environment.plan.credentials import is_harmless, secret_texts

PLAIN = {
    "PGUSER": "postgres",
    "PGHOST": "db01.eu-central-1.k8s.example.com",
    "PGHOSTADDR": "2001:db8::1",
    "ARM_SUBSCRIPTION_ID": "00000000-1111-2222-3333-444444444444",
    "VAULT_ADDR": "https://vault-7f3a9c21.c9akciq32xyz.eu-central-1.example.com",
    "PGPORT": "5432",
    "PGSSLMODE": "verify-full",
    "PGDATABASE": "shop_prod",
    "AWS_REGION": "us-gov-west-1",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/deploy",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
    "ARM_ENVIRONMENT": "usgovernment",
    "GOOGLE_PROJECT": "shop-prod-123",
    "GOOGLE_ZONE": "europe-west1-b",
    "GITEA_BASE_URL": "https://git.example.com:8443/api/v1",
    "KUBE_CONTEXT": "ada@example.com",
    "PGSERVICEFILE": "/var/run/postgresql/service.conf",
    "IPV6": "fd00::1",
}
SECRET = {
    "PGPASSWORD": "postgres-pw",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "CLOUD": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "GITEA_BASE_URL": "https://sometoken@git.example.com",
    "PGHOST": "-----BEGIN KEY-----\nabc",
    "PGUSER": "password=hunter22",
    "SOME_ID": "00000000-1111-2222-3333-444444444444",
    "GITHUB": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "SHORT": "x7Kq2mZp",
    "PLATE": "AB12-CD34-EF56",
    "DATABASE_URL": "postgres://shop:pw-of-shop@db/shop",
    "ORIGIN": "https://sometoken@git.example.com/x.git",
    "LOGIN": "shop:pw-of-shop@db",
    "DSN_LIKE": "host=db user=shop password=hunter",
    "FILE": "-----BEGIN KEY-----\nabc\n-----END KEY-----\n",
    "PHRASE": "correct horse\nbattery",
    "HEX": "d41d8cd98f00b204e9800998ecf8427e",
    "SPOKEN": "the-secret-of-shop",
    "ODD": "grebe & tern/2207?",
    "LETTERS": "qwrtzpsdfghjkl",
    "LONG": "a-" * 101,
    "KUBE_TOKEN": "abcdefgh",
    "my_api_key": "abcdefgh",
}


@pytest.mark.parametrize("key", PLAIN)
def test_what_is_harmless_is_shown(key: str) -> None:
    assert secret_texts({key: PLAIN[key]}) == set()


@pytest.mark.parametrize("key", SECRET)
def test_what_may_be_a_secret_is_hidden(key: str) -> None:
    assert SECRET[key] in secret_texts({**PLAIN, key: SECRET[key]})


def test_a_key_that_is_named_plain_is_shown_where_it_is_no_other_secret() -> None:
    assert secret_texts(SECRET, SECRET) == set()
    assert secret_texts({"ID": "x7Kq2mZp", "PASSWORD": "x7Kq2mZp"}, ["ID"]) == {"x7Kq2mZp"}


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        ("postgres://postgres:p%40ssword@db/shop", {"p%40ssword", "p@ssword"}),
        ("https://sometoken@git.example.com", {"sometoken"}),
        ("postgres:p4ssword@db", {"p4ssword"}),
        ("postgres://postgres:pass/wo?rd@x#@db/shop", {"pass/wo?rd@x#"}),
    ],
)
def test_of_a_url_the_password_is_a_secret_and_the_user_is_none(url: str, hidden: set[str]) -> None:
    assert secret_texts({"URL": url}) == {url, *hidden}


def test_of_a_key_file_in_json_what_looks_secret_is_known_by_itself() -> None:
    file = {"type": "service_account", "project_id": "shop", "private_key_id": "abcdef", "private_key": "-----\nx"}
    text = json.dumps(file)
    assert secret_texts({"GOOGLE_CREDENTIALS": text}) == {text, "abcdef", "-----\nx"}


@pytest.mark.parametrize("odd", ["", "[" * 100_000, "{", '{"a": [1, null]}', "\0", "\ud800", "a" * 10**6])
def test_odd_values_are_secrets_or_nothing(odd: str) -> None:
    assert secret_texts({"X": odd}) in ({odd}, set())
    assert secret_texts({"PASSWORD": odd}) in ({odd}, set())


@given(data=st.binary(min_size=16, max_size=48))
@example(data=bytes(16))
def test_random_bytes_are_no_harmless_text(data: bytes) -> None:
    assert not is_harmless(base64.b64encode(data).decode()) or len(set(data)) < 8
    assert not is_harmless(data.hex()) or data.hex().isdigit() or len(set(data)) < 8


@given(text=st.text(string.ascii_letters + string.digits + "+/_-", min_size=24, max_size=64))
def test_a_long_random_token_is_no_harmless_text(text: str) -> None:
    kinds = (str.islower, str.isupper, str.isdigit)
    mixed = all(sum(map(kind, text)) > 4 for kind in kinds)
    assert not (mixed and is_harmless(text) and len(set(text)) > 12)


@given(
    key=st.sampled_from(["DB_PASSWORD", "apiKey", "TF_TOKEN_app", "CLIENT_SECRET", "OAUTH", "MY_CREDENTIALS"]),
    value=st.text(min_size=1),
)
def test_the_name_alone_is_enough(key: str, value: str) -> None:
    assert value in secret_texts({key: value})
