"""Plans and applies with the real binary: what a session gives, and what it leaves behind."""

from tests.fixtures.terraform import Rig, bucket, code

ONE = code(bucket("a", "size = 1"), fakecloud="0.1.0")


async def test_from_nothing_to_applied_to_quiet(rig: Rig) -> None:
    run = await rig.apply(ONE)
    assert (run.ok, run.interrupted, run.diagnostics, run.errored_state) == (True, False, (), None)
    assert [(step.address, step.action, step.state) for step in rig.progress] == [
        ("fakecloud_bucket.a", "create", "started"),
        ("fakecloud_bucket.a", "create", "completed"),
    ]
    again = await rig.plan(ONE)
    assert (again.quiet, again.document) == (True, None)
    assert rig.left_behind() == []
