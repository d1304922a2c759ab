"""An operator as kopf's documentation has it: high-level handlers with kopf's defaults, which do nothing.

KUBECONFIG names the cluster.
"""

from typing import Any

import kopf

HANDLED = "handled"


@kopf.on.create("setpoint.dev", "v1alpha1", "environments")
@kopf.on.update("setpoint.dev", "v1alpha1", "environments")
@kopf.on.resume("setpoint.dev", "v1alpha1", "environments")
async def handled(name: str, **_: Any) -> None:
    print(HANDLED, name, flush=True)


if __name__ == "__main__":
    kopf.configure(quiet=True)
    kopf.run(clusterwide=True, standalone=True)
