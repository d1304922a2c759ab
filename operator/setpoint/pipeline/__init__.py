"""The one path of every change, and what it keeps: Changes, Snapshots, Resets. I/O only through ports."""
