"""All I/O, one port each. Adapters know no reconciler and no other adapter."""
