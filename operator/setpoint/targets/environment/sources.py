"""Owns turning an Environment's source into a bundle, with the Secrets that it names. Keeps nothing."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from setpoint.api.source import GitSource
from setpoint.api.v1alpha1.environment import Environment
from setpoint.ports import SourceResolver
from setpoint.targets.environment.code import CODE
from setpoint.targets.environment.ports import Bundle, ModuleHost, RunInputs, Terraform
from setpoint.targets.environment.secrets import SecretReader

_SHORT = re.compile(r"^(?:[^@/\s]+@)?(?P<host>[A-Za-z0-9.-]+):(?!//)")
"""As in git@host:group/repository.git."""


class SourceBundler:
    """Makes bundles of sources. `origin_of` gives the folder of an Environment's manifest, None on a cluster."""

    def __init__(
        self, resolver: SourceResolver, terraform: Terraform, origin_of: Callable[[Environment], Path | None]
    ) -> None:
        self._resolver = resolver
        self._terraform = terraform
        self._origin_of = origin_of

    async def bundle(self, environment: Environment, inputs: RunInputs, reader: SecretReader) -> Bundle:
        """The bundle of spec.source as it is now. Raises what the ports raise, and StalledError (SecretNotFound)."""
        source = environment.spec.source
        own: Mapping[str, str] = {}
        hosts: tuple[ModuleHost, ...] = ()
        if source.git is not None:
            if source.git.secret_ref is not None:
                own = await reader.read(source.git.secret_ref.name, field="spec.source.git.secretRef")
            hosts = await gather_hosts(source.git, own, reader)
        tree = await self._resolver.resolve(source, origin=self._origin_of(environment), credentials=own, code=CODE)
        return await self._terraform.bundle(environment.ref.key, tree, dataclasses.replace(inputs, module_hosts=hosts))


async def gather_hosts(git: GitSource, own: Mapping[str, str], reader: SecretReader) -> tuple[ModuleHost, ...]:
    """Hosts from which modules may be fetched with a Secret: those of the spec, then the source's own with its Secret.

    The source's password goes to its host by the scheme of its URL, any other by https alone.
    """
    hosts = []
    for index, one in enumerate(git.credentials):
        keys = await reader.read(one.secret_ref.name, field=f"spec.source.git.credentials[{index}].secretRef")
        hosts.append(ModuleHost("https", one.host, keys))
    scheme, host = _host_of(git.url)
    if own and host and (scheme, host) not in {(known.scheme, known.host) for known in hosts}:
        hosts.append(ModuleHost(scheme, host, own))
    return tuple(hosts)


def _host_of(url: str) -> tuple[Literal["http", "https"], str]:
    """The scheme for passwords and the host of a repository; no host for one on this machine."""
    if short := _SHORT.match(url):
        return "https", short["host"].lower()
    split = urlsplit(url)
    place = split.netloc.rpartition("@")[2].lower()
    if split.scheme.lower() == "http":
        return "http", place
    return "https", place if split.scheme.lower() == "https" else place.partition(":")[0]
