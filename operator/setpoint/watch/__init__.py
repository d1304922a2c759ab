"""Owns what moves on a cluster, as kopf sees it. The only importer of kopf; knows nothing of what a move means."""

from setpoint.watch.source import KopfSource, WatchOptions

__all__ = ["KopfSource", "WatchOptions"]
