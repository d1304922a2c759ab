"""Owns text from outside as people may see it: nothing in it moves a cursor, turns the writing around, or hides."""


def visible(text: str, *, keep: str = "") -> str:
    r"""The text with an escape, such as \x1b or \u202e, for each character that Unicode calls not printable.

    `keep` are characters that stay as they are, a line break perhaps.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode() for char in text
    )
