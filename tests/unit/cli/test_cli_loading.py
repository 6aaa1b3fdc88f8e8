"""Starting loads modules without collections, and leaves the collector as it was."""

import gc

import pytest

from regista.cli.loading import loading


def load(*, fails: bool) -> bool:
    """Whether the collector was on meanwhile."""
    with loading():
        if fails:
            raise ModuleNotFoundError
        return gc.isenabled()


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_off_while_modules_are_loaded_and_as_it_was_afterwards(on: bool) -> None:
    was = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        assert not load(fails=False)
        assert gc.isenabled() is on
        with pytest.raises(ModuleNotFoundError):
            load(fails=True)
        assert gc.isenabled() is on
    finally:
        (gc.enable if was else gc.disable)()


def test_what_was_loaded_is_not_walked_again() -> None:
    with loading():
        made: list[list[object]] = [[]]
    assert not any(found is made for found in gc.get_objects())
