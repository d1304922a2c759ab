"""How kopf connects: with credentials that are read anew each time, and without an end of retries."""

import asyncio
import dataclasses
import itertools
from typing import Any

import kopf
import pytest

from setpoint.ports import ApiCredentials
from setpoint.watch.registry import EndlessBackoffs, build_registry

FIRST = ApiCredentials(
    server="https://127.0.0.1:1",
    ca_path=None,
    ca_data=None,
    insecure=False,
    token="first",
    certificate_path=None,
    private_key_path=None,
)
ROTATED = dataclasses.replace(FIRST, token="second")


class Credentials:
    """The credentials found at each reading; the last of them from then on."""

    def __init__(self, *found: ApiCredentials) -> None:
        self._found = list(found)
        self.read = 0

    async def __call__(self) -> ApiCredentials:
        self.read += 1
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


def login_of(credentials: Credentials) -> Any:
    registry = build_registry(["Environment"], lambda _type, _obj: None, credentials)
    (handler,) = [one for one in registry._activities.get_all_handlers() if one.id == "login"]
    return handler.fn


async def test_a_rotated_token_is_taken_up_at_once() -> None:
    login = login_of(Credentials(FIRST, ROTATED))
    assert [(await login()).token, (await login()).token] == ["first", "second"]


@pytest.mark.looptime
async def test_the_same_credentials_are_read_once_more_a_second_later() -> None:
    credentials = Credentials(FIRST, FIRST, ROTATED)
    login = login_of(credentials)
    await login()
    began = asyncio.get_running_loop().time()
    assert (await login()).token == "second"
    assert asyncio.get_running_loop().time() - began == pytest.approx(1.0)
    assert credentials.read == 3


@pytest.mark.looptime
async def test_credentials_that_stay_are_never_equal_to_kopf() -> None:
    login = login_of(Credentials(FIRST))
    first, second = await login(), await login()
    assert isinstance(first, kopf.ConnectionInfo)
    assert first != second, "kopf takes equal ones for those that the server has refused"


def test_retries_have_no_end() -> None:
    seconds = [*itertools.islice(EndlessBackoffs(), 1000)]
    assert seconds[:5] == [1.0, 1.0, 2.0, 3.0, 5.0]
    assert set(seconds[5:]) == {5.0}
