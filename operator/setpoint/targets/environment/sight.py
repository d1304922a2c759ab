"""Owns what people may see of a target outside of its passes, when nobody has gathered its secrets. Keeps nothing."""

from collections.abc import Awaitable, Callable

from setpoint.api.meta import ObjectRef
from setpoint.api.v1alpha1.environment import Environment
from setpoint.domain.errors import SetpointError
from setpoint.domain.reading import parse
from setpoint.domain.scrubbing import Scrubber, label_keys
from setpoint.domain.secret_values import known_texts
from setpoint.ports import ClusterClient
from setpoint.targets.environment.secrets import SecretReader

Sight = Callable[[ObjectRef], Awaitable[Scrubber]]
"""Gives the scrubber that keeps a target's secrets from sight."""


async def sight_of(cluster: ClusterClient, digest: Callable[[bytes], str], target: ObjectRef) -> Scrubber:
    """By the Secrets of today. Where they can't be read, any key of an address may be one."""
    label = label_keys(target.key, digest)
    try:
        environment = parse(Environment, await cluster.get(target))
        reader = SecretReader(cluster, target.namespace)
        secrets = await reader.read_all(environment.spec.variables_from, field="spec.variablesFrom")
    except SetpointError:
        return Scrubber(label=label, blind=True)
    hidden = (text for name, text in secrets.values.items() if name not in secrets.plain)
    return Scrubber(known_texts(hidden), label=label)
