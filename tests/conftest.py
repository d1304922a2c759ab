"""Owns what holds for every test."""

import asyncio


def pytest_configure() -> None:
    """No event loop outside of tests: pytest-asyncio would make one, never close it, and warnings are errors."""
    asyncio.set_event_loop(None)
