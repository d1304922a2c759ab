"""The Secret that goes to each host."""

import pytest
from pydantic import ValidationError
from tests.fakes.cluster import InMemoryCluster

from setpoint.api.source import GitSource
from setpoint.domain.errors import StalledError
from setpoint.targets.environment.ports import ModuleHost
from setpoint.targets.environment.secrets import SecretReader
from setpoint.targets.environment.sources import gather_hosts

OWN = {"password": "own"}
OTHER = {"username": "me", "password": "other"}


@pytest.fixture
async def reader(cluster: InMemoryCluster) -> SecretReader:
    metadata = {"name": "other", "namespace": "default"}
    await cluster.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": OTHER})
    return SecretReader(cluster, "default")


def credentials(*hosts: str, name: str = "other") -> list[dict]:
    return [{"host": host, "secretRef": {"name": name}} for host in hosts]


@pytest.mark.parametrize(
    ("url", "scheme", "host"),
    [
        pytest.param("https://Git.Example.org/x/y.git", "https", "git.example.org", id="https"),
        pytest.param("https://me@h.example:8443/x", "https", "h.example:8443", id="port-and-user"),
        pytest.param("http://h.example/x", "http", "h.example", id="http"),
        pytest.param("ssh://git@h.example:2222/x", "https", "h.example", id="ssh"),
        pytest.param("git@h.example:x/y.git", "https", "h.example", id="short"),
        pytest.param("git://h.example/x", "https", "h.example", id="git"),
    ],
)
async def test_the_sources_secret_serves_its_host(reader: SecretReader, url: str, scheme: str, host: str) -> None:
    assert await gather_hosts(GitSource(url=url), OWN, reader) == (ModuleHost(scheme, host, OWN),)


@pytest.mark.parametrize("url", ["/srv/x", "file:///srv/x"])
async def test_a_repository_on_this_machine_has_no_host(reader: SecretReader, url: str) -> None:
    assert await gather_hosts(GitSource(url=url), OWN, reader) == ()


async def test_other_hosts_have_their_own_by_https(reader: SecretReader) -> None:
    source = GitSource.model_validate({"url": "https://h/x", "credentials": credentials("a:8443", "h")})
    assert await gather_hosts(source, OWN, reader) == (
        ModuleHost("https", "a:8443", OTHER),
        ModuleHost("https", "h", OTHER),
    )
    assert await gather_hosts(GitSource(url="https://h/x"), {}, reader) == ()


async def test_a_missing_secret_names_its_field(reader: SecretReader) -> None:
    source = GitSource.model_validate({"url": "https://h/x", "credentials": credentials("a", name="gone")})
    with pytest.raises(StalledError, match=r"spec\.source\.git\.credentials\[0\]\.secretRef: there is no Secret"):
        await gather_hosts(source, {}, reader)


@pytest.mark.parametrize("hosts", [("a", "a"), ("https://a",), ("a/b",), ("*",), ("a b",), ("-a",), ("A",), ("",)])
def test_a_host_is_a_plain_name_and_there_once(hosts: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        GitSource.model_validate({"url": "https://h/x", "credentials": credentials(*hosts)})
