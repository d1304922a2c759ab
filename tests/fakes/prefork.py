"""Owns a process that has loaded what a provider in Python needs, and forks one whenever Terraform starts it.

Terraform starts a provider three times for one plan, and to load gRPC takes longer than all that it is then asked.
What Terraform starts is a client (`client`): it hands its output and environment over, and both live as long as either.
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_MOST = 1 << 20
_LOADED = ("cryptography.x509", "tf.gen.grpc_controller_pb2_grpc", "tf.gen.grpc_stdio_pb2_grpc", "tf.provider")
_CLIENT = """#!{python} -IS
import json, os, signal, socket
signal.signal(signal.SIGINT, signal.SIG_IGN)
with socket.socket(socket.AF_UNIX) as link:
    link.connect({place!r})
    socket.send_fds(link, [json.dumps([{name!r}, dict(os.environ)]).encode()], [1, 2])
    link.recv(1)
"""


@contextlib.contextmanager
def preforking(module: str) -> Iterator[str]:
    """Serves clients with `serve(name)` of a module, at the socket that is given."""
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "socket")
        command = [sys.executable, "-Wignore", "-m", "tests.fakes.prefork", place, module]
        with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                yield place
            finally:
                process.terminate()


def client(place: str, name: str) -> str:
    """The program to install as the provider of that name."""
    return _CLIENT.format(python=sys.executable, place=place, name=name)


def _serve_clients(place: str, module: str) -> None:
    serve = importlib.import_module(module).serve
    for name in _LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            link, _ = listener.accept()
            said, files, _, _ = socket.recv_fds(link, _MOST, 2)
            if os.fork() == 0:
                listener.close()
                _become(serve, link, json.loads(said), files)
            link.close()
            for file in files:
                os.close(file)


def _become(serve: Callable[[str], None], link: socket.socket, told: list[Any], files: list[int]) -> None:
    """One provider, to its end."""
    for file, own in zip(files, (1, 2), strict=True):
        os.dup2(file, own)
    name, environment = told
    os.environ.clear()
    os.environ.update(environment)
    threading.Thread(target=lambda: (link.recv(1), os._exit(0)), daemon=True).start()
    try:
        serve(name)
    finally:
        os._exit(0)


if __name__ == "__main__":
    _serve_clients(*sys.argv[1:])
