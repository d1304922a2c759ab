"""HTTP servers: the listener, health and metrics. May not do what a reconciler or an adapter does."""
