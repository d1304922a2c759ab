"""Owns the wall clock of a running process. Pure code is given the time, and never asks."""

import datetime as dt


class SystemClock:
    """The wall clock."""

    def now(self) -> dt.datetime:
        """The instant, in UTC."""
        return dt.datetime.now(dt.UTC)
