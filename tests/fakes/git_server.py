"""A repository over smart HTTP, by git's own CGI program, behind basic authentication."""

import asyncio
import base64
import os
import subprocess

from aiohttp import web
from tests.fakes.git_repository import Repository


class GitServer:
    """Serves one repository at `url` to whoever knows the user and password; `asked` holds the paths of requests.

    After `smart` fetches or listings it gives files only, as a server without git would.
    """

    def __init__(self, repository: Repository, user: str, password: str) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.smart = 1000
        self._repository = repository
        self._expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/code.git/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> "GitServer":
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/code.git"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        if request.headers.get("Authorization") != self._expected:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environ(request)
        )
        output, _ = await process.communicate(await request.read())
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=body)

    @property
    def _sessions(self) -> int:
        return sum("/info/refs" in path for path in self.asked)

    def _environ(self, request: web.Request) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_PROJECT_ROOT": f"{self._repository.folder}/.git",
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + request.match_info["path"],
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query_string if self._sessions <= self.smart else "",
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "x",
        }
