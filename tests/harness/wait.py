"""Waiting for a condition; nothing in the tests sleeps for a guess."""
import time

EVERY_S = 0.02


def wait_until(condition, timeout=20.0, what="condition"):
    """The first true value of condition(), or AssertionError after timeout.

    `what` may be a function: its text is made when time is up.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {timeout} s: {text}")
        time.sleep(EVERY_S)
