"""Types, in order, the commands that README, the tutorial and the how-tos tell people to; they print what those say.

With SETPOINT_UPDATE_DOCS=1 (`make docs`) the pages are written anew instead, with what is printed today.
"""

import os
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, blocks
from tests.docs.rehearsal import Rehearsal
from tests.docs.shell import Shell

RUN = [page for page in PAGES if any(block.is_run for block in blocks(page.read_text(encoding="utf-8")))]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_blocks__typed_in_order__print_what_the_page_says(page: Path, tmp_path: Path) -> None:
    with Shell(tmp_path) as shell:
        rehearsal = Rehearsal(page.read_text(encoding="utf-8"), shell)
    if os.environ.get("SETPOINT_UPDATE_DOCS"):
        left = [each for each in rehearsal.differences if each.wrong_end]
        if not left:
            page.write_text(rehearsal.rewritten, encoding="utf-8")
    else:
        left = rehearsal.differences
    name = page.relative_to(ROOT)
    assert not left, f"{name} says something else ('make docs' writes what is printed):\n\n" + "\n\n".join(
        map(str, left)
    )
