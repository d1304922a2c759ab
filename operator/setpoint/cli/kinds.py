"""Owns how people name kinds and objects on the command line: kubectl's habits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import click

from setpoint.api.meta import GROUP, VERSION, KubeObject, ObjectRef
from setpoint.api.target import TARGET_KINDS
from setpoint.api.v1alpha1 import KINDS

ALL = ("all", "setpoint")

_SUFFIXES = (f".{VERSION}.{GROUP}", f".{GROUP}")


def find_kinds(text: str) -> tuple[type[KubeObject], ...]:
    """The kinds of a comma-separated list of plurals, singulars, short names or categories. Raises ClickException."""
    return tuple(dict.fromkeys(itertools.chain.from_iterable(map(_find, text.split(",")))))


def _find(word: str) -> tuple[type[KubeObject], ...]:
    bare = word.lower()
    for suffix in _SUFFIXES:
        bare = bare.removesuffix(suffix)
    found = KINDS if bare in ALL else tuple(kind for kind in KINDS if bare in names_of(kind))
    if not found:
        known = ", ".join(kind.META.plural for kind in KINDS)
        msg = f'the server doesn\'t have a resource type "{word}"; known are {known}'
        raise click.ClickException(msg)
    return found


def complete_kinds(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The plurals that begin like that, for the shell's completion."""
    return [kind.META.plural for kind in KINDS if kind.META.plural.startswith(incomplete.lower())]


def names_of(kind: type[KubeObject]) -> tuple[str, ...]:
    """Every name of a kind, in lower case, the plural first."""
    return tuple(dict.fromkeys((kind.META.plural, kind.__name__.lower(), *kind.META.short_names)))


def kind_of(name: str) -> type[KubeObject]:
    """The type of a kind by its name, such as `Change`."""
    return next(kind for kind in KINDS if kind.__name__ == name)


def resource_name(kind: str) -> str:
    """As in `changes.setpoint.dev`."""
    return f"{kind_of(kind).META.plural}.{GROUP}"


def qualified_name(ref: ObjectRef) -> str:
    """As in `change.setpoint.dev/shop-prod-a1b2c3d4e5`."""
    return f"{ref.kind.lower()}.{GROUP}/{ref.name}"


def reference(kind: type[KubeObject], namespace: str, name: str) -> ObjectRef:
    """The reference of an object; cluster-scoped kinds have no namespace."""
    return ObjectRef(kind.__name__, namespace if kind.META.namespaced else "", name)


def find_object(text: str, namespace: str, *, default: str | None = None) -> ObjectRef:
    """The object of `KIND/NAME`, or of a bare `NAME` where the kind goes without saying. Raises UsageError."""
    word, slash, name = text.partition("/")
    if not slash and default is not None:
        return reference(kind_of(default), namespace, text)
    if not slash or not name or "/" in name:
        msg = f"{text!r} names no object; write KIND/NAME, as in environment/shop-prod."
        raise click.UsageError(msg)
    kinds = find_kinds(word)
    if len(kinds) != 1 or (default is not None and kinds[0].__name__ != default):
        msg = f"{text!r} is no {default or 'single object'}."
        raise click.UsageError(msg)
    return reference(kinds[0], namespace, name)


def find_target(text: str, namespace: str) -> ObjectRef:
    """The target of `KIND/NAME`. Raises UsageError for kinds that are no targets."""
    ref = find_object(text, namespace)
    if ref.kind not in TARGET_KINDS:
        msg = f"{ref} is no target; targets are of kind {', '.join(TARGET_KINDS)}."
        raise click.UsageError(msg)
    return ref


def find_selection(words: Sequence[str]) -> list[tuple[type[KubeObject], str | None]]:
    """Reads what `get` and `describe` are asked for: (kind, name) each, the name None for all objects of the kind.

    `KINDS`, `KINDS NAME...` or `KIND/NAME...`, as kubectl reads them. Raises UsageError.
    """
    if any("/" in word for word in words):
        if not all("/" in word for word in words):
            msg = "there is no need to name a kind as a separate argument beside KIND/NAME."
            raise click.UsageError(msg)
        refs = [find_object(word, "") for word in words]
        return [(kind_of(ref.kind), ref.name) for ref in refs]
    kinds = find_kinds(words[0])
    if len(words) > 1 and words[0].lower() in ALL:
        msg = f"{words[0]!r} can't be combined with names."
        raise click.UsageError(msg)
    return list(itertools.product(kinds, words[1:] or (None,)))
