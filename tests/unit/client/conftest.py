"""A session whose patience goes by the script's clock."""

import pytest
from tests.support.scripted import Script

from regista.client.retry import Patience
from regista.client.session import Session
from regista.client.settings import Settings


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def session(script: Script) -> Session:
    numbers = iter(range(1, 1000))
    patience = Patience(attempts=4, deadline=10.0, jitter=lambda ceiling: ceiling, clock=script.clock)
    settings = Settings("http://registry.test", token="s3cret", actor="ci/fraud")
    return Session(settings, patience, new_id=lambda: f"key-{next(numbers)}")
