"""Owns reading Terraform's dependency lock file (.terraform.lock.hcl): which providers it pins. Pure.

The file is written by Terraform alone, one `provider` block after another, so blocks are taken as text.
https://developer.hashicorp.com/terraform/language/files/dependency-lock
"""

import re
from collections.abc import Mapping

NAME = ".terraform.lock.hcl"

_BLOCK = re.compile(r'^provider[ \t]+"([^"\n]+)"[ \t]*\{.*?^\}', re.MULTILINE | re.DOTALL)


def read_locked(text: str) -> dict[str, str]:
    """The text of each provider's block, by the provider's full address."""
    return {match[1]: match[0] for match in _BLOCK.finditer(text)}


def with_locked(text: str, known: Mapping[str, str]) -> str:
    """The lock file with the blocks of those known providers that it does not name."""
    named = read_locked(text)
    missing = [known[address] for address in sorted(known) if address not in named]
    return "\n\n".join([*([text.rstrip("\n")] if text.strip() else []), *missing]) + "\n" if missing else text
