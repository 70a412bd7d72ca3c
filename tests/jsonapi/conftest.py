"""One stack for the tests of a file; each makes the applications it needs."""
import itertools

import pytest

from harness.receiver import Receiver
from harness.stack import Stack

from .client import Client


@pytest.fixture(scope="module")
def world():
    stack, receiver = Stack(), Receiver()
    try:
        yield stack.start(), receiver
        stack.stop()
        assert not stack.complaints()
    finally:
        print(stack.log_tails())
        stack.close()
        receiver.close()


NAMES = itertools.count(1)


@pytest.fixture
def app(world):
    """A new application of the first face."""
    return world[0].make_app(f"app-{next(NAMES)}")


@pytest.fixture
def client(world, app):
    """And a client of the second face for it."""
    return Client(world[0], app.key)


@pytest.fixture
def other(world):
    return Client(world[0], world[0].make_app(f"app-{next(NAMES)}").key)
