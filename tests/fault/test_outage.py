"""Whole stages gone for a while: ingest takes everything, nothing is lost, and
a router that knows nobody plans for nobody."""
import requests

from fault.test_kill import settle
from harness.load import Load, Tally
from harness.stack import free_port
from harness.wait import wait_until
from pipeline.test_hostile import stored

EVENT = {"event_type": "crm.lead.created", "entity_type": "lead"}


def test_router_logger_and_api_all_down(stack, load_receiver):
    stack.app.subscribe(load_receiver.url + "/all")
    load = Load(stack.app, 200)
    tally = Tally(load_receiver)
    wait_until(lambda: len(load.accepted) > 100, what="load")
    for name in ("router", "logger", "api"):
        stack.kill(name)
    count = len(load.accepted)
    wait_until(lambda: len(load.accepted) > count + 200, what="accepted alone")
    assert not load.refused
    # Ingest itself goes and comes back, with only what is on its disk.
    stack.kill("ingest")
    stack.start("ingest")
    count = len(load.accepted)
    wait_until(lambda: len(load.accepted) > count + 200, what="after a restart")
    for name in ("api", "logger", "router"):
        stack.start(name, ready=False)
    settle(load, tally)
    load.stop()
    settle(load, tally)
    assert not load.refused
    assert tally.duplicates == 0


def test_router_started_while_the_api_is_down(stack, load_receiver):
    app = stack.app
    app.subscribe(load_receiver.url + "/all")
    tally = Tally(load_receiver)
    stack.kill("api")
    stack.kill("router")
    admin = f"127.0.0.1:{free_port()}"  # it says which one when it is ready
    stack.start("router", extra={"SLUICE_ADMIN_HTTP": admin}, ready=False)
    stack["router"].ready["admin"] = admin
    for i in range(50):
        answer = app.publish({**EVENT, "entity_id": f"e-{i}"})
        assert answer.status_code == 200, answer.text

    def metric(name):
        try:
            return stack["router"].metric(name)
        except requests.ConnectionError:  # not there yet
            return None

    # All that a wrong router needs to plan them to nobody, and turns to do it.
    for peers in ("sources", "loggers"):
        wait_until(lambda: metric(f"sluice_router_{peers}"), what=peers)
    frames = metric("sluice_link_frames_in_total")
    wait_until(
        lambda: metric("sluice_link_frames_in_total") >= frames + 2, what="turns"
    )
    assert metric("sluice_router_granting") == metric("sluice_router_events_total") == 0
    assert stored(stack) == 0
    assert stack["router"].running and not stack["router"].is_ready
    stack.start("api")
    stack["router"].wait_ready()
    wanted = [f"e-{i}" for i in range(50)]
    wait_until(lambda: not tally.missing(wanted), 20, "all 50 delivered")
    assert tally.duplicates == 0


def test_a_stopped_deliverer_is_replaced_and_fences_itself(make_stack, load_receiver):
    """It sleeps longer than the link waits; what it holds goes to the other one,
    and when it wakes it starts nothing that is not its own any more."""
    slots = 32
    stack = make_stack(
        counts={"deliverer": 2}, settings={"SLUICE_DELIVERER_SLOTS": str(slots)}
    ).start()
    stack.app.subscribe(load_receiver.url + "/all")
    load = Load(stack.app, 200)
    tally = Tally(load_receiver)
    wait_until(lambda: len(load.accepted) > 200, what="load")
    with stack.paused("deliverer"):
        count = len(load.accepted)
        wait_until(lambda: len(load.accepted) > count + 200, what="load goes on")
        accepted = list(load.accepted)
        wait_until(
            lambda: not tally.missing(accepted), 30, "delivered by the other one"
        )
    load.stop()
    settle(load, tally)
    assert tally.duplicates <= slots
