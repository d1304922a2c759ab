"""The controller runtime: queue, controllers, manager, events, metrics, logs. Knows requests, not kinds."""
