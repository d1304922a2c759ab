"""Owns talking to a Kubernetes API server, behind the ports of setpoint.ports.cluster."""

from setpoint.adapters.kube.cluster import KubeCluster
from setpoint.adapters.kube.connection import ConnectionOptions, KubeConnection, connect
from setpoint.adapters.kube.events import KubeEvents
from setpoint.adapters.kube.leases import KubeLease

__all__ = ["ConnectionOptions", "KubeCluster", "KubeConnection", "KubeEvents", "KubeLease", "connect"]
