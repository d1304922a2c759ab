"""The settings and the handlers that kopf is given."""

from kopf._core.intents.causes import Activity

from setpoint.watch.registry import build_registry, build_settings


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


async def test_kopf_says_that_it_ends() -> None:
    ends: list[str] = []
    registry = build_registry(["Environment"], lambda _type, _obj: None, None, lambda: ends.append("over"))  # type: ignore[arg-type]
    (handler,) = [one for one in registry._activities.get_all_handlers() if one.activity is Activity.CLEANUP]
    await handler.fn()
    assert ends == ["over"]
