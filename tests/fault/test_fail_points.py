"""Deaths at the moments that no timing from outside hits."""
import time

import pytest

from harness.load import Tally
from harness.wait import wait_until

EVENT = {"event_type": "crm.lead.created", "entity_type": "lead"}


def publish(app, first, count):
    names = [f"e-{i}" for i in range(first, first + count)]
    for name in names:
        answer = app.publish({**EVENT, "entity_id": name})
        assert answer.status_code == 200, answer.text
    return names


def die_at(stack, name, point, app):
    """Starts `name` anew with a fail point, sends until it is dead; what was
    accepted."""
    stack.restart(name, extra={"SLUICE_FAIL_POINT": point})
    accepted = []
    deadline = time.monotonic() + 20
    while stack[name].running and time.monotonic() < deadline:
        accepted += publish(app, 1000 + len(accepted), 1)
    assert not stack[name].running, f"{name} never passed {point}"
    assert stack[name].popen.returncode == -9
    return accepted


def test_logger_dies_between_committing_a_lease_and_sending_it(stack, load_receiver):
    stack.app.subscribe(load_receiver.url + "/all")
    tally = Tally(load_receiver)
    accepted = die_at(stack, "logger", "logger.lease_committed:5", stack.app)
    accepted += publish(stack.app, 0, 20)
    stack.start("logger")
    began = time.monotonic()
    wait_until(
        lambda: not tally.missing(accepted),
        15,
        lambda: f"missing {tally.missing(accepted)}",
    )
    print(f"all {len(accepted)} delivered {time.monotonic() - began:.1f} s after")
    assert tally.duplicates == 0


@pytest.mark.parametrize("point", ["router.plan:5", "router.ack:5"])
def test_router_dies_after_a_plan_before_its_ack(stack, load_receiver, point):
    stack.app.subscribe(load_receiver.url + "/all")
    tally = Tally(load_receiver)
    accepted = die_at(stack, "router", point, stack.app)
    accepted += publish(stack.app, 0, 20)
    stack.start("router")
    wait_until(
        lambda: not tally.missing(accepted),
        15,
        lambda: f"missing {tally.missing(accepted)}",
    )
    assert tally.duplicates == 0
    assert len(stack.app.logs()) == len(accepted)


def test_ingest_dies_with_a_record_written_or_synced(stack, load_receiver):
    """What got a 200 arrives once; what got no answer at most once."""
    stack.app.subscribe(load_receiver.url + "/all")
    tally = Tally(load_receiver)
    accepted = publish(stack.app, 0, 10)
    for point in ("ingest.written:3", "ingest.synced:3"):
        stack.restart("ingest", extra={"SLUICE_FAIL_POINT": point})
        while True:
            try:
                accepted += publish(stack.app, 1000 + len(accepted), 1)
            except OSError:
                break
        assert stack["ingest"].wait_end(10) == -9
        stack.start("ingest")
        accepted += publish(stack.app, 2000 + len(accepted), 5)
    wait_until(lambda: not tally.missing(accepted), 15, "all accepted")
    assert tally.duplicates == 0
    assert len(tally.entities) <= len(accepted) + 2


def test_deliverer_dies_with_an_answer_in_hand(stack, load_receiver):
    """The POST was made and answered, but nobody was told: one duplicate."""
    stack.app.subscribe(load_receiver.url + "/all")
    tally = Tally(load_receiver)
    accepted = die_at(stack, "deliverer", "deliverer.answered:5", stack.app)
    stack.start("deliverer")
    wait_until(lambda: not tally.missing(accepted), 20, "all accepted")
    wait_until(
        lambda: all(r["success"] for r in stack.app.logs()), 20, "all logged"
    )
    tally.update()
    assert 1 <= tally.duplicates <= 64
    assert len(tally.keys) == len(tally.entities)
