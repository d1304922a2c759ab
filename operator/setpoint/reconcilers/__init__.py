"""The pipeline, one driver per kind of target, and short reconcilers for the other kinds. I/O only through ports."""
