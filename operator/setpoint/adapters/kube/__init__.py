"""Owns talking to a Kubernetes API server, behind the ports of setpoint.ports.cluster."""

from setpoint.adapters.kube.cluster import KubeCluster
from setpoint.adapters.kube.connection import ConnectionOptions, KubeConnection, connect

__all__ = ["ConnectionOptions", "KubeCluster", "KubeConnection", "connect"]
