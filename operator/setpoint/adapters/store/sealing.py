"""Owns how bytes are sealed: AES-256-GCM in frames, with keys derived from the home's key file.

A sealed file is MAGIC, 7 random bytes, then frames. Each frame seals up to 1 MiB with the nonce
`random || frame number (4 bytes) || 1 on the last frame`, so that frames can't be cut off, swapped or repeated (the
STREAM construction); the blob's digest is their associated data, so that no file passes for another. Frames also let
other threads run: one call holds the interpreter for 2 ms per MB.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from setpoint.adapters.store.files import write_atomically
from setpoint.domain.digests import keyed_digest
from setpoint.domain.errors import StoreError

KEY_SIZE = 32
_MAGIC = b"SPSEAL1\n"
_PREFIX_SIZE = 7
_FRAME = 1 << 20
_SEALED_FRAME = _FRAME + 16


class DamagedError(ValueError):
    """Sealed bytes that are not what was sealed, or were sealed with another key."""


class Sealer:
    """Seals, opens and names bytes with one key of KEY_SIZE bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(_derive(key, b"setpoint blob sealing 1"))
        self._digest_key = _derive(key, b"setpoint blob digest 1")

    def digest(self, data: bytes) -> str:
        """`sha256:<hex>`, which tells nothing about the bytes without the key."""
        return keyed_digest(self._digest_key, data)

    def seal(self, data: bytes, digest: str) -> Iterator[bytes]:
        """The pieces of the sealed file."""
        prefix = secrets.token_bytes(_PREFIX_SIZE)
        yield _MAGIC + prefix
        view = memoryview(data)
        for nonce, start in _frames(prefix, len(data), _FRAME):
            yield self._cipher.encrypt(nonce, view[start : start + _FRAME], digest.encode())

    def open(self, sealed: bytes, digest: str) -> bytes:
        """The plain bytes. Raises DamagedError."""
        start = len(_MAGIC) + _PREFIX_SIZE
        if len(sealed) <= start or not sealed.startswith(_MAGIC):
            raise DamagedError
        view = memoryview(sealed)[start:]
        frames = _frames(sealed[len(_MAGIC) : start], len(view), _SEALED_FRAME)
        try:
            return b"".join(
                self._cipher.decrypt(nonce, view[at : at + _SEALED_FRAME], digest.encode()) for nonce, at in frames
            )
        except (InvalidTag, ValueError):
            raise DamagedError from None


def trail_key(key: bytes) -> bytes:
    """The key of the seals on audit rows, derived from a home's key."""
    return _derive(key, b"setpoint audit trail 1")


def _frames(prefix: bytes, size: int, frame: int) -> Iterator[tuple[bytes, int]]:
    """Nonce and offset of each frame; there is always one."""
    last = max(0, (size - 1) // frame)
    for number in range(last + 1):
        yield prefix + number.to_bytes(4, "big") + bytes([number == last]), number * frame


def _derive(key: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=use).derive(key)


def load_key(path: Path, *, guards: str) -> bytes:
    """The key in a file of mode 0600; made at first use. `guards` says what would be lost, empty where nothing.

    Raises StoreError for a key that is missing though it guards something, and for one that is no key.
    """
    try:
        if not path.exists():
            if guards:
                msg = f"the key {path} is missing: {guards} can't be opened without it; restore it from a backup"
                raise StoreError(msg)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, [os.urandom(KEY_SIZE)], replace=False)
    except OSError as error:
        raise StoreError(f"the key {path} can't be read or made: {error.strerror}") from None
    return read_key(path)


def read_key(path: Path) -> bytes:
    """The key in a file. Raises StoreError where it can't be read, and for one that is no key."""
    try:
        with path.open("rb") as file:
            key = file.read(KEY_SIZE + 1)
    except OSError as error:
        raise StoreError(f"the key {path} can't be read: {error.strerror}") from None
    if len(key) != KEY_SIZE:
        raise StoreError(f"the key {path} is damaged: it must have {KEY_SIZE} bytes; restore it from a backup")
    return key
