"""Owns whose fault a failed transfer is, by the words of git, curl, ssh and Go. Pure.

Programs say it in prose alone, and may break that into lines, so a text is read as one line. What is not known
here is nobody's fault: whoever asks decides. Samples of real words are in tests/data/transport_errors.json.
"""

import re
from enum import StrEnum


class Fault(StrEnum):
    """The kind of fault that stopped a transfer."""

    OUTAGE = "outage"
    """The other side, or the way to it, does not work for now."""
    LOGIN = "login"
    """A login is asked for, or the one that was given is refused."""
    CERTIFICATE = "certificate"
    """The other side can't prove to us who it is."""
    ABSENT = "absent"
    """The other side works, and has no such thing."""


_STATUS = r"(?:the requested url returned error:|bad response code:|unexpected (?:http )?status(?: code)?:?) *"
_WORDS: tuple[tuple[Fault, str], ...] = (
    # Names of ssh and certificates come first: a login is not asked for before.
    (Fault.CERTIFICATE, r"host key verification failed|remote host identification has changed"),
    (Fault.CERTIFICATE, r"certificate verification failed|failed to verify certificate|ssl certificate problem"),
    (Fault.CERTIFICATE, r"\bx509: |unable to get local issuer certificate|no alternative certificate subject name"),
    # git and curl
    (Fault.LOGIN, r"could not read (?:username|password)|terminal prompts disabled|authentication failed for"),
    (Fault.LOGIN, r"invalid username or (?:password|token)|http basic: access denied|unable to update url base from"),
    (Fault.LOGIN, rf"{_STATUS}(?:401|403|407)\b"),
    (Fault.OUTAGE, rf"{_STATUS}(?:408|425|429|5\d\d)\b"),
    (Fault.ABSENT, rf"{_STATUS}(?:404|410)\b"),
    (Fault.OUTAGE, r"could not resolve (?:host|hostname|proxy)\b|couldn't connect to server|failed to connect to\b"),
    (Fault.OUTAGE, r"empty reply from server|transfer closed with|recv failure|send failure|early eof|rpc failed"),
    (Fault.OUTAGE, r"operation (?:timed out|too slow)|connection timed out|maximum \(\d+\) redirects followed"),
    (Fault.OUTAGE, r"gnutls_handshake\(\) failed|gnutls recv error|ssl_error_syscall|ssl_connect|ssl_read:"),
    (
        Fault.OUTAGE,
        r"the remote end hung up|unexpected disconnect|http/2 stream \d+ was not closed|unable to connect to",
    ),
    # ssh
    (Fault.LOGIN, r"permission denied \(|too many authentication failures"),
    (Fault.OUTAGE, r"kex_exchange_identification|connection closed by|connection reset by|banner exchange"),
    # Programs in Go
    (Fault.LOGIN, r"requires authentication credentials|\b401 unauthorized|\b403 forbidden|\b407 proxy auth"),
    (Fault.OUTAGE, r"\b(?:408 request timeout|425 too early|429 too many requests|5\d\d [a-z]+(?: [a-z]+)*)"),
    (Fault.OUTAGE, r"no such host|server misbehaving|network is unreachable|no route to host|connection refused"),
    (
        Fault.OUTAGE,
        r"i/o timeout|tls handshake timeout|deadline exceeded|client\.timeout exceeded|stopped after \d+ red",
    ),
    (Fault.OUTAGE, r"unexpected eof|\": eof\b|tls: first record does not look|temporary failure in name resolution"),
    (Fault.ABSENT, r"repository '[^']*' not found|does not appear to be a git repository|repository not found"),
    (Fault.ABSENT, r"fatal: .*does not exist"),
    (Fault.ABSENT, r"cannot be found in the module registry|does not have a provider named|does not provide a modules"),
    # Without a word why: a discovery that failed otherwise.
    (Fault.OUTAGE, r"could not connect to\b|failed to request discovery document"),
)
_TABLE = tuple((fault, re.compile(words, re.IGNORECASE)) for fault, words in _WORDS)


def fault_in(text: str) -> Fault | None:
    """The fault for which a transfer failed, as far as the words tell."""
    line = " ".join(text.split())
    return next((fault for fault, words in _TABLE if words.search(line)), None)


def tells_of_outage(text: str) -> bool:
    """True where any of the words tells of an outage, whatever else the text says."""
    line = " ".join(text.split())
    return any(fault is Fault.OUTAGE and words.search(line) for fault, words in _TABLE)
