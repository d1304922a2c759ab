"""Turns spec.source into a tree of regular files within limits: a folder of the home, inline files, or git."""
