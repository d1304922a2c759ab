"""Owns patterns with `*`, as users write them for addresses. Pure."""


def matches(pattern: str, text: str) -> bool:
    """`*` matches any run of characters, nothing else is special. Never backtracks, whatever the pattern."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
