"""The HTTP prober against a real server of its own: what it says of each kind of answer, and when it gives up."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from setpoint.adapters.health import HttpProber

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[str]]
SECRET = "hunter2-very-secret"


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a handler, with TLS where a context is given; its address."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler, tls: ssl.SSLContext | None = None) -> str:
            runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.01)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
            return f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/healthz"

        yield start


def answers(*statuses: int, **headers: str) -> tuple[Handler, list[str]]:
    """A handler that gives these statuses, the last one for ever; and the paths that it was asked for."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=statuses[min(len(asked), len(statuses)) - 1], headers=headers)

    return handle, asked


@pytest.mark.parametrize(
    ("statuses", "wanted", "requests"),
    [
        pytest.param((200,), 200, 1, id="as wanted"),
        pytest.param((503,), 503, 1, id="an error that is wanted"),
        pytest.param((302,), 302, 1, id="a redirect that is wanted"),
        pytest.param((500, 404, 200), 200, 3, id="as wanted at the third try"),
    ],
)
@pytest.mark.looptime
async def test_nothing_is_wrong(serve: Serve, statuses: tuple[int, ...], wanted: int, requests: int) -> None:
    handle, asked = answers(*statuses)
    assert await HttpProber().probe(await serve(handle), wanted, 30) == ""
    assert len(asked) == requests


@pytest.mark.looptime
async def test_a_wrong_status_is_asked_for_again_until_the_time_is_over(serve: Serve) -> None:
    handle, asked = answers(500, 502)
    url, loop = await serve(handle), asyncio.get_running_loop()
    begun = loop.time()
    assert await HttpProber().probe(url, 200, 5.5) == f"GET {url}: status 502 for 6 s, wanted 200"
    assert loop.time() - begun == pytest.approx(5.5, abs=0.1)
    assert len(asked) == 6


@pytest.mark.looptime
async def test_a_redirect_is_an_answer_and_is_not_followed(serve: Serve) -> None:
    handle, asked = answers(302, Location="/elsewhere")
    assert "status 302" in await HttpProber().probe(await serve(handle), 200, 1.5)
    assert set(asked) == {"/healthz"}


@pytest.mark.looptime
async def test_one_that_never_answers_is_given_up(serve: Serve) -> None:
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    url, loop = await serve(hang), asyncio.get_running_loop()
    begun = loop.time()
    assert await HttpProber().probe(url, 200, 5) == f"GET {url}: no answer yet for 5 s, wanted 200"
    assert loop.time() - begun == pytest.approx(5, abs=0.1)
    assert "TimeoutError for 25 s" in await HttpProber().probe(url, 200, 25), "each try has a limit of its own"
    release.set()


@pytest.mark.looptime
async def test_a_refused_connection_is_tried_again() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else's
        port = listener.getsockname()[1]
        problem = await HttpProber().probe(f"http://127.0.0.1:{port}/", 200, 2.5)
    assert problem == f"GET http://127.0.0.1:{port}/: ClientConnectorError for 2 s, wanted 200"


@pytest.mark.looptime
async def test_what_is_no_http_is_no_answer() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"SSH-2.0-{SECRET}\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        problem = await HttpProber().probe(f"http://127.0.0.1:{port}/", 200, 1.5)
    assert problem.startswith(f"GET http://127.0.0.1:{port}/: ")
    assert SECRET not in problem, "what the other side says is not shown"


async def test_a_body_is_not_read(serve: Serve) -> None:
    sent, over = 0, asyncio.Event()

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65_536))
                sent += 65_536
        finally:
            over.set()

    assert await HttpProber().probe(await serve(pour), 200, 60) == ""
    async with asyncio.timeout(60):
        await over.wait()
    assert sent < 50_000_000, "the endless body was cut off"


# --- TLS and what a message shows ---------------------------------------------------------------------------------


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    """A server's side of TLS that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both = tmp_path / "both.pem"
    encoding, none = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, none)
    both.write_bytes(private + certificate.public_bytes(encoding))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    return context


@pytest.mark.looptime
async def test_a_certificate_that_nobody_trusts_is_no_answer(serve: Serve, self_signed: ssl.SSLContext) -> None:
    handle, asked = answers(200)
    problem = await HttpProber().probe(await serve(handle, self_signed), 200, 1.5)
    assert "ClientConnectorCertificateError" in problem
    assert asked == []


@pytest.mark.looptime
async def test_tls_that_is_none_is_no_answer(serve: Serve) -> None:
    handle, asked = answers(200)
    url = (await serve(handle)).replace("http:", "https:")
    assert "ClientConnectorSSLError" in await HttpProber().probe(url, 200, 1.5)
    assert asked == []


@pytest.mark.looptime
async def test_credentials_in_the_address_are_sent_and_not_shown(serve: Serve) -> None:
    sent: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        sent.append(request.headers["Authorization"])
        return web.Response(status=500)

    plain = await serve(handle)
    problem = await HttpProber().probe(plain.replace("//", f"//ada:{SECRET}@"), 200, 0.5)
    assert len(sent) == 1
    assert SECRET not in problem
    assert "status 500" in problem
    assert plain.removeprefix("http://") in problem, "it still says which"


# --- Addresses that are never asked -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "0xA9FEA9FE",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "metadata.google.internal",
        "METADATA.google.internal.",
    ],
)
async def test_metadata_is_not_asked_however_its_address_is_written(host: str) -> None:
    problem = await HttpProber().probe(f"http://ada:{SECRET}@{host}/latest?token={SECRET}", 200, 30)
    assert "is link-local or serves a machine's metadata; SETPOINT_HEALTH_ALLOW" in problem
    assert SECRET not in problem


@pytest.mark.parametrize("host", ["2852039166", "0251.0376.0251.0376", "169.254.43518"])
async def test_numbers_that_are_no_address_are_not_asked(host: str) -> None:
    problem = await HttpProber().probe(f"http://{host}/latest", 200, 30)
    assert problem == f"GET http://{host}/latest: this is no address to ask"


async def test_a_name_that_leads_to_metadata_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("169.254.0.7", "169.254.0.8")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    problem = await HttpProber().probe("http://shop.example.com/", 200, 30)
    assert problem.startswith("GET http://shop.example.com/: 169.254.0.")


async def test_a_name_may_be_served_at_several_addresses(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    handle, _ = answers(200)
    port = int((await serve(handle)).split(":")[2].split("/")[0])
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("169.254.0.7", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    assert await HttpProber().probe(f"http://shop.example.com:{port}/", 200, 30) == ""


async def test_a_redirect_to_metadata_is_not_followed(serve: Serve) -> None:
    handle, asked = answers(302, location="http://169.254.169.254/latest")
    assert await HttpProber().probe(await serve(handle), 302, 30) == ""
    assert asked == ["/healthz"]
