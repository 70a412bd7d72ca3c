"""Fixtures of the system tests: stacks and subscribers that clean up."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness.receiver import LoadReceiver, Receiver  # noqa: E402
from harness.stack import BUILD, Stack  # noqa: E402


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed


@pytest.fixture
def make_stack(request):
    """make_stack(...) as Stack(...). At the end everything must drain and end
    with status 0; after a failure the logs are shown instead."""
    stacks = []

    def make(*args, **kwargs):
        stacks.append(Stack(*args, **kwargs))
        return stacks[-1]

    yield make
    failed = getattr(request.node, "failed", True)
    try:
        for stack in stacks:
            if not failed:
                stack.stop()
                assert not stack.complaints()
    except BaseException:
        failed = True
        raise
    finally:
        for stack in stacks:
            if failed:
                print(stack.log_tails())
            stack.close()


@pytest.fixture
def stack(make_stack):
    """One of each, running."""
    return make_stack().start()


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def load_receiver(tmp_path):
    one = LoadReceiver(BUILD, str(tmp_path))
    yield one
    one.close()
