"""The nine vault events, which all share one event_id, arrive as nine."""
import json
import os

from harness.wait import wait_until

FIELDS = {
    "event_id",
    "event_type",
    "service_id",
    "entity_id",
    "entity_type",
    "entity",
    "execution_attempt",
    "occurred_at",
}

def samples():
    path = os.path.join(os.path.dirname(__file__), "vault_events.json")
    with open(path, encoding="utf-8") as f:
        return [e["payload"] for e in json.load(f)]


def test_nine_vault_events(stack, receiver):
    events = samples()
    assert len(events) == 9
    assert len({e["event_id"] for e in events}) == 1
    stack.app.subscribe(receiver.url + "/vault", unified_api="vault")

    # One by one with the envelope, as an array without it: both are accepted.
    for event in events[:4]:
        answer = stack.app.publish({"payload": event})
        assert answer.status_code == 200, answer.text
    answer = stack.app.publish(events[4:])
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["data"]["event_ids"]) == 5

    got = {d.payload["event_type"]: d for d in receiver.wait_for(9)}
    assert len(got) == 9
    assert len({d.key for d in got.values()}) == 9
    for event in events:
        delivery = got[event["event_type"]]
        assert delivery.event_type == event["event_type"]
        assert set(delivery.json) == {"payload"}
        assert set(delivery.payload) == FIELDS
        assert delivery.payload == {**event, "execution_attempt": 1}


def test_vault_events_reach_their_unified_api(stack, receiver):
    """`*` of a crm subscription means the vault events of crm connections."""
    stack.app.subscribe(receiver.url + "/crm", unified_api="crm")
    stack.app.subscribe(receiver.url + "/ats", unified_api="ats")
    stack.app.subscribe(
        receiver.url + "/one",
        unified_api="ats",
        events=["vault.connection.created"],
    )
    answer = stack.app.publish(samples())
    assert answer.status_code == 200, answer.text
    receiver.wait_for(9, "/crm")
    receiver.wait_for(1, "/one")
    assert receiver.count("/one") == 1
    assert receiver.count("/ats") == 0


def test_ready_before_there_is_any_application(make_stack):
    """An empty directory is a whole one: everything starts with it."""
    stack = make_stack(apps=()).start()
    app = stack.make_app("late")
    event = {"event_type": "crm.lead.created", "entity_id": "1", "entity_type": "lead"}
    # Its key reaches ingest within a moment.
    wait_until(lambda: app.publish(event).status_code == 200, 5, "a 200")
