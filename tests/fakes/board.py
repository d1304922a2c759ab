"""Owns a board where people look at Changes outside of Setpoint: they carry one out themselves, or decline it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from setpoint.domain.gating import GateDecision
from setpoint.domain.model import CarriedOut, Review


@dataclasses.dataclass
class Post:
    """A Change on the board: its subject, what is there once it was carried out, and who declined it."""

    subject: str
    wanted: Mapping[str, str]
    declined_by: str | None = None
    why: str = ""


@dataclasses.dataclass
class Board:
    """The posts that are up, by the name of their Change, and how often one was put up or taken down.

    `put_up_fails` and `take_down_fails` are raised instead, until they are taken away.
    """

    posts: dict[str, Post] = dataclasses.field(default_factory=dict)
    put_up: int = 0
    taken_down: int = 0
    put_up_fails: Exception | None = None
    take_down_fails: Exception | None = None
    _carried_out: tuple[CarriedOut, Mapping[str, str]] | None = None

    def show(self, name: str, post: Post) -> Review:
        """Puts a post up, unless it is; its place, and what people said."""
        if self.put_up_fails:
            raise self.put_up_fails
        if name not in self.posts:
            self.posts[name] = post
            self.put_up += 1
            self._carried_out = None
        up = self.posts[name]
        return Review(_url(name), up.declined_by, up.why)

    def take_down(self, name: str) -> None:
        """Takes a post down, if it is up."""
        if self.take_down_fails:
            raise self.take_down_fails
        self.taken_down += self.posts.pop(name, None) is not None

    def decline(self, name: str, who: str, why: str = "") -> None:
        """A person turns a Change down."""
        self.posts[name].declined_by, self.posts[name].why = who, why

    def carry_out(self, name: str, who: str) -> dict[str, str]:
        """A person carries a Change out, and takes its post down; what is there then."""
        post = self.posts.pop(name)
        self.claim(post.subject, who, post.wanted, evidence=_url(name))
        return dict(post.wanted)

    def claim(self, subject: str, who: str, actual: Mapping[str, str], *, evidence: str = "board://claim") -> None:
        """A person says that what is there comes of the Change of this subject."""
        self._carried_out = CarriedOut(subject, who, evidence), dict(actual)

    def carried_out_by(self, actual: Mapping[str, str]) -> CarriedOut | None:
        """The Change that what is there comes of, where people carried it out."""
        if self._carried_out is None or self._carried_out[1] != actual:
            return None
        return self._carried_out[0]


class ShownOnBoard:
    """The part of a session that shows Changes on the board of its world, where that has one."""

    _world: Any
    _wanted: Mapping[str, str]

    @property
    def shows_changes(self) -> bool:
        return self._world.board is not None

    async def propose(self, decision: GateDecision, name: str) -> Review:
        decision.require_review()
        post = Post(decision.subject, dict(self._wanted))
        return self._world.board.show(name, post) if self.shows_changes else Review()

    async def withdraw(self, name: str) -> None:
        if self.shows_changes:
            self._world.board.take_down(name)

    def carried_out_by(self) -> CarriedOut | None:
        return self._world.board.carried_out_by(self._world.actual) if self.shows_changes else None

    def take_down_applied(self, subject: str) -> None:
        """Ends what is shown of a Change that was carried out by an apply."""
        board = self._world.board
        if board is not None:
            board.posts = {name: post for name, post in board.posts.items() if post.subject != subject}


def _url(name: str) -> str:
    return f"board://changes/{name}"
