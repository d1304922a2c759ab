"""Owns what passes between the operator and a policy worker: frames of a JSON header and raw bytes. No I/O."""

import json
import struct
from typing import Any

PREFIX = struct.Struct(">II")
"""Lengths of header and body, in bytes."""
MAX_HEADER = 4 * 2**20
MAX_ANSWER = 8 * 2**20
"""The largest body that the operator takes from a worker."""


class FrameError(ValueError):
    """A frame that breaks a limit or is none."""


def pack(header: dict[str, Any], body: bytes = b"") -> tuple[bytes, bytes]:
    """Prefix with header, and the body, which is not copied."""
    text = json.dumps(header).encode()
    return PREFIX.pack(len(text), len(body)) + text, body


def unpack_prefix(prefix: bytes, *, max_body: int = 2**32) -> tuple[int, int]:
    """Lengths of header and body. Raises FrameError."""
    header, body = PREFIX.unpack(prefix)
    if header > MAX_HEADER or body > max_body:
        msg = "the answer is too large"
        raise FrameError(msg)
    return header, body


def unpack_header(text: bytes) -> dict[str, Any]:
    """The header. Raises FrameError."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = "the answer is not readable"
        raise FrameError(msg) from error
    if not isinstance(header, dict):
        msg = "the answer is not readable"
        raise FrameError(msg)
    return header
