"""Owns whether the error of a create is an answer that says no, so that nothing was made. Pure.

Providers say it in prose alone. What is not surely an answer to the create itself is none: a wait that failed after it,
a read, a call whose answer never came. Samples of real words are in tests/data/create_errors.json.

An error quotes names, and a name may say anything. Go joins errors by `: `, and what stands before, between and after
these joints is the provider's own: so an error is read from its beginning, joint by joint, and nothing that it quotes
may hold one. Where a value of the object does, and the error has it, the error proves nothing.
"""

import itertools
import re
from collections.abc import Iterable

from setpoint.domain.transport_errors import tells_of_outage

_JOINT = ": "
_MAX_TEXT = 8000
"""A longer text proves nothing."""
_WINDOW = 6
"""Characters on each side of a joint by which a quoted value is found, even one that was cut short."""
_PART = r"(?:[^:]|:(?! ))*?"
"""The text between two joints: the kind and the name of what was to be made."""
_MAKING = rf"(?:error,? |failed to |could not |unable to |cannot )?(?:create|creating)\b{_PART}"
_NO = r"4(?!08|25|29)\d\d"
"""A status that says no. Time-outs and too many requests are none: a try before, made in silence, may have passed."""
_AWS_CALL = (
    r"(?:Add|Allocate|Associate|Attach|Authorize|Create|Enable|Import|Issue|Provision|Publish|Put|Register|Request|Run"
    r"|Set|Start|Subscribe|Upload)\w*"
)
_AWS_DOUBT = r"(?!HostID|\w*(?:InProgress|OwnedByYou)|RequestTimeout|RequestError|Idempotent|OperationAborted)"
"""Errors that an earlier try of the same call, whose answer was lost, leads to as well."""
_RPC = r"(?:AlreadyExists|FailedPrecondition|InvalidArgument|NotFound|OutOfRange|PermissionDenied|Unauthenticated)"
_AZURE_ID = r'\((?:\w[\w ]*: "[^"\\]*"[,/ ]*)+\)'
_KUBE_ANSWER = (
    r'(?:[a-z][a-z0-9.-]*(?: "[^"\\]*")? is forbidden: '
    r'(?:User "[^"\\]*" cannot (?:create|patch) resource|exceeded quota|unable to create|violates)'
    r'|[A-Za-z][\w.-]*(?: "[^"\\]*")? is invalid: '
    r'|[a-z][a-z0-9.-]* "[^"\\]*" already exists$|namespaces "[^"\\]*" not found$'
    r'|admission webhook "[^"\\]*" denied the request\b)'
)
_KUBECTL_LOOK = (
    r'error when retrieving current configuration of: Resource: "[^"\\]*", GroupVersionKind: "[^"\\]*" '
    r'Name: "[^"\\]*", Namespace: "[^"\\]*" from server for: "[^"\\]*": [a-z][a-z0-9.-]* "[^"\\]*" is forbidden: '
)
"""kubectl looks before it makes."""
_POSTGRES_ANSWER = (
    r"(?:permission denied|must be (?:a )?(?:member|owner|superuser)|only roles with|syntax error|invalid "
    r"|unrecognized |(?:database|extension|function|publication|relation|role|schema|type) "
    r'"[^"]*" (?:already exists|does not exist))'
)
_FILE_ANSWER = (
    r"(?:is a directory|not a directory|no such file or directory|operation not permitted|permission denied"
    r"|read-only file system|file name too long)"
)
_AWS_ANSWER = (
    rf"operation error [\w ]+: {_AWS_CALL}, https response error StatusCode: {_NO}, RequestID: [\w-]*, "
    rf"(?:HostID: [\w+/=.-]*, )?(?:api error )?{_AWS_DOUBT}[A-Z][\w.]*:"
)
_AWS_OLD_ANSWER = (
    rf"{_AWS_DOUBT}[A-Z][\w.]*: .*\bstatus code: {_NO}, request id: [\w-]+(?:, host id: [\w+/=.-]+)?$"
)  # fmt: skip
_AZURE_IMPORT = (
    r'A resource with the ID "[^"\\ ]*" already exists - to be managed via Terraform this resource needs to be '
    r"imported into the State\. "
)
_FILE_ERROR = (
    r"(?:Create local (?:sensitive )?file error: An unexpected error occurred while (?:writing|creating) [\w ]+ "
    rf"\+?Original Error: )?(?:open|mkdir) {_PART}: {_FILE_ANSWER}$"
)
_ANSWERS = (
    rf"{_MAKING}: {_AWS_ANSWER}",
    rf"{_MAKING}: {_AWS_OLD_ANSWER}",
    # Google
    rf"{_MAKING}: googleapi: Error {_NO}: ",
    rf"{_MAKING}: rpc error: code = {_RPC} desc = ",
    r"googleapi: Error 409: .* already exists\b.*, alreadyExists$",
    # Azure: a look comes before the create, and where the object is there, it is to be imported
    rf"{_MAKING}{_AZURE_ID}: performing \w+: unexpected status {_NO}(?: \(\d+ [\w ]+\))? with error: ",
    rf"{_MAKING}: \w+\.\w+#Create\w*: Failure responding to request: StatusCode={_NO} -- Original Error: ",
    rf"(?:error )?checking for (?:the )?presence of (?:an )?existing {_PART}(?:{_AZURE_ID})?: ",
    _AZURE_IMPORT,
    # Kubernetes, by its own provider and by kubectl's
    rf"(?:{_MAKING}: )?{_KUBE_ANSWER}",
    rf"[\w./-]+ failed to run apply: (?:error when creating \"[^\"\\]*\": )?{_KUBE_ANSWER}",
    rf"[\w./-]+ failed to run apply: {_KUBECTL_LOOK}",
    # PostgreSQL
    rf"{_MAKING}: (?:pq|ERROR): {_POSTGRES_ANSWER}",
    rf"(?:error granting|could not execute grant){_PART}: (?:pq|ERROR): {_POSTGRES_ANSWER}",
    # Gitea, GitHub, GitLab: a status alone may be that of a look after the create
    r'422 Unprocessable Entity: \{"message":"[^"\\:]*\balready exists\b',
    rf"(?:{_MAKING}: Repository with name [^:]*: )?The repository with the same name already exists\.?$",
    rf"POST https?://[^\s\"\\]+: {_NO} ",
)
_TABLE = tuple(re.compile(answer, re.IGNORECASE) for answer in _ANSWERS)
_FILES = re.compile(_FILE_ERROR, re.IGNORECASE)
_FILE_TYPE = "local_"
"""Of hashicorp/local, whose create does nothing but write. Other providers open files for other ends, too."""
_DOUBTS = re.compile(
    r"\b(?:retr(?:y|ies|ied|ying)|attempts?|wait(?:ed|ing)|polling|timed?[ -]?out|deadline|eof)\b|cancel|in progress"
    r"|unexpected state|reset by|broken pipe|connection (?:was )?(?:closed|dropped|lost|reset|aborted|terminated)"
    r"|closed (?:network )?connection|deadlineexceeded|requesttimeout|request send failed|unavailable"
    r"|internal (?:server )?error",
    re.IGNORECASE,
)
"""Words by which an answer may be that to another try, or none. One of them anywhere leaves the suspicion."""


def is_refusal(summary: str, detail: str, *, type_: str, quotable: Iterable[str] = ()) -> bool:
    """True where the API answered the create of a `type_` with a no. `quotable` are its texts, which may be quoted."""
    said = _line(f"{summary}{_JOINT}{detail}" if detail.strip() else summary)
    if len(said) > _MAX_TEXT or _DOUBTS.search(said) or tells_of_outage(said) or _quotes_a_joint(said, quotable):
        return False
    table = (*_TABLE, _FILES) if type_.startswith(_FILE_TYPE) else _TABLE
    return any(answer.match(said) for answer in table)


def _quotes_a_joint(said: str, quotable: Iterable[str]) -> bool:
    lowered = said.casefold()
    windows = itertools.chain.from_iterable(_joints(_line(text).casefold()) for text in quotable)
    return any(window in lowered for window in windows)


def _joints(text: str) -> Iterable[str]:
    """Each joint in a text, with what stands around it."""
    for match in re.finditer(_JOINT, text):
        yield text[max(0, match.start() - _WINDOW) : match.end() + _WINDOW].strip()


def _line(text: str) -> str:
    return " ".join(text.split())
