"""Owns one connection to an API server: credentials, deadlines, rate limit, and the error of each answer.

Asks only; what is asked for is the caller's. Reads credentials again when the server refuses them, and each minute
where they are a file (service account tokens rotate).
"""

import asyncio
import contextlib
import dataclasses
import json
import ssl
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import aiohttp
import yaml
from kubernetes.aio import client, config
from kubernetes.aio.config import ConfigException

from setpoint.adapters.kube.errors import error_of, retry_after
from setpoint.adapters.kube.limits import RateLimiter
from setpoint.api.conditions import Reason
from setpoint.api.meta import JsonObject
from setpoint.domain.errors import InvalidError, TransientError
from setpoint.ports import ApiCredentials

READS_A_SECOND = 200.0
WRITES_A_SECOND = 20.0
_TOKEN_SECONDS = 60.0
_RETRIES = 2
"""How often an answer of 429 or 503 that names a delay is asked again, before the caller's own back-off begins."""
_MAX_ERROR = 1 << 20
_CONNECTION_ERRORS = (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError)
_CONFIG_ERRORS = (ConfigException, OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError)
"""Errors that the library raises for a kubeconfig of another shape."""
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


_Loader = Callable[[client.Configuration], Awaitable[None]]


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The cluster and identity to use. Without `context` and `kubeconfig`: the pod's own, else kubectl's rules.

    `seconds` bounds each exchange that says nothing else.
    """

    context: str | None = None
    kubeconfig: Path | None = None
    user_agent: str = "setpoint"
    reads_a_second: float = READS_A_SECOND
    writes_a_second: float = WRITES_A_SECOND
    seconds: float = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class KubeRequest:
    """One request. `subject` names in errors what is asked for.

    `seconds` bounds the whole exchange; None: as the connection's options do.
    """

    method: str
    path: str
    subject: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    accept: str = "application/json"
    seconds: float | None = None


class KubeConnection:
    """Sends requests. Raises errors of domain.errors; TransientError where the server can't be reached."""

    def __init__(self, api: client.ApiClient, load: _Loader, options: ConnectionOptions) -> None:
        self._api = api
        self._load = load
        self._seconds = options.seconds
        self._loading = asyncio.Lock()
        self._loaded_at = asyncio.get_running_loop().time()
        self._reads = RateLimiter(options.reads_a_second, burst=int(2 * options.reads_a_second))
        self._writes = RateLimiter(options.writes_a_second, burst=int(5 * options.writes_a_second))

    async def credentials(self) -> ApiCredentials:
        """Read anew, for another client of the same server; may be called from any event loop."""
        configuration = type.__call__(client.Configuration)
        await self._load(configuration)
        bearer = configuration.api_key.get("BearerToken") or ""
        return ApiCredentials(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            ca_data=configuration.ca_cert_data,
            insecure=not configuration.verify_ssl,
            token=bearer.partition(" ")[2] or None,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
        )

    async def request(self, request: KubeRequest) -> JsonObject:
        """The object of the answer."""
        await (self._reads if request.method == "GET" else self._writes).acquire()
        for attempt in range(_RETRIES + 1):
            status, headers, data = await self._exchange(request)
            if 200 <= status < 300:
                return _parse(data, request.subject)
            if status == 401 and attempt == 0:
                await self.reload_credentials()
            elif status in {429, 503} and attempt < _RETRIES and (delay := retry_after(headers)):
                await asyncio.sleep(delay)
            else:
                break
        raise error_of(status, data, request.subject)

    async def user(self) -> str:
        """The name by which the server knows us (KEP-3325)."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        found = await self.request(KubeRequest("POST", path, "who we are", body=review))
        return str(found["status"]["userInfo"].get("username") or "")

    async def text(self, path: str) -> str:
        """A plain text answer, such as /readyz."""
        status, _, data = await self._exchange(KubeRequest("GET", path, path))
        if status != 200:
            raise error_of(status, data, path)
        return data.decode(errors="replace")

    @contextlib.asynccontextmanager
    async def stream(self, request: KubeRequest, *, silence_seconds: float) -> AsyncIterator[AsyncIterator[JsonObject]]:
        """The objects of a watch, one a line. Raises TransientError after `silence_seconds` without a byte."""
        await self._reads.acquire()
        seconds = request.seconds or self._seconds
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=silence_seconds)
        with _unreachable(request.subject):
            response = await self._call(request, timeout)
        try:
            if response.status != 200:
                with _unreachable(request.subject):
                    data = await response.content.read(_MAX_ERROR)
                raise error_of(response.status, data, request.subject)
            yield _lines(response, request.subject)
        finally:
            response.close()

    async def reload_credentials(self) -> None:
        """Reads the credentials again, at most once a second however many ask."""
        async with self._loading:
            now = asyncio.get_running_loop().time()
            if now - self._loaded_at >= 1.0:
                self._loaded_at = now
                await self._load(self._api.configuration)

    async def _exchange(self, request: KubeRequest) -> tuple[int, Mapping[str, str], bytes]:
        seconds = request.seconds or self._seconds
        with _unreachable(request.subject):
            async with asyncio.timeout(seconds), await self._call(request, seconds) as answer:
                return answer.status, answer.headers, await answer.read()

    async def _call(self, request: KubeRequest, limit: float | aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        if asyncio.get_running_loop().time() - self._loaded_at > _TOKEN_SECONDS:
            await self.reload_credentials()
        # Not the body: it is JSON already, and to have each of its values looked at takes longer than to write it.
        method, url, headers, _, _ = await self._api.param_serialize(
            request.method,
            request.path,
            query_params=[*request.query.items()],
            header_params={"Accept": request.accept, "Content-Type": request.content_type},
            auth_settings=["BearerToken"],
        )
        answer = await self._api.call_api(method, url, headers, request.body, _request_timeout=limit)
        return cast("aiohttp.ClientResponse", answer.response)


@contextlib.contextmanager
def _unreachable(subject: str) -> Iterator[None]:
    try:
        yield
    except _CONNECTION_ERRORS as error:
        message = f"{subject}: the API server can't be reached ({type(error).__name__})"
        raise TransientError(Reason.API_UNAVAILABLE, message) from error


def _parse(data: bytes, subject: str) -> JsonObject:
    try:
        found = json.loads(data)
    except ValueError:
        raise TransientError(Reason.API_UNAVAILABLE, f"{subject}: the API server's answer is cut off") from None
    return found if isinstance(found, dict) else {}


async def _lines(response: aiohttp.ClientResponse, subject: str) -> AsyncIterator[JsonObject]:
    with _unreachable(subject):
        async for line in response.content:
            if line.strip():
                yield _parse(line, subject)


@contextlib.asynccontextmanager
async def connect(options: ConnectionOptions) -> AsyncIterator[KubeConnection]:
    """Opens a connection; asks the server nothing yet. Raises InvalidError for a kubeconfig that can't be used."""
    configuration = type.__call__(client.Configuration)
    load = _loader(options)
    await load(configuration)
    configuration.retries = None
    # With it, each request reads the netrc file and asks for proxies in a thread: an eighth of a request's CPU.
    configuration.client_session_kwargs = {"trust_env": bool(urllib.request.getproxies())}
    api = client.ApiClient(configuration)
    api.user_agent = options.user_agent
    connection = KubeConnection(api, load, options)
    try:
        yield connection
    finally:
        await api.close()


def _loader(options: ConnectionOptions) -> _Loader:
    in_cluster = options.context is None and options.kubeconfig is None and (_SERVICE_ACCOUNT / "token").is_file()

    async def load(configuration: client.Configuration) -> None:
        try:
            if in_cluster:
                config.load_incluster_config(client_configuration=configuration, try_refresh_token=False)
            else:
                await config.load_kube_config(
                    config_file=str(options.kubeconfig) if options.kubeconfig else None,
                    context=options.context,
                    client_configuration=configuration,
                    persist_config=False,
                )
        except _CONFIG_ERRORS as error:
            raise InvalidError(f"kubeconfig: {_one_line(error)}") from None
        token = configuration.api_key.get("BearerToken")
        if token:
            # A token read from a file ends with a newline, which no header may hold.
            configuration.api_key["BearerToken"] = token.strip()

    return load


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
