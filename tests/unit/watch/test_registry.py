"""What kopf is told."""

from setpoint.watch.registry import build_settings


def test_settings__bound_what_kopf_holds_of_a_first_list() -> None:
    settings = build_settings(scan=True)
    # kopf keeps a worker, a queue and the object itself for that long after an object's last event; with 0 its
    # workers spin on Python 3.11, where wait_for never takes what is ready.
    assert 0 < settings.queueing.idle_timeout <= 0.5
    assert settings.watching.chunk_size is not None
    assert settings.watching.chunk_size <= 100


def test_settings__let_kopf_write_nothing() -> None:
    settings = build_settings(scan=False)
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.scanning.disabled
