"""Switched off by failure: held at once, shown, and repaired for good."""
from harness.wait import wait_until

LEAD = {"event_type": "crm.lead.created", "entity_id": "e-1", "entity_type": "lead"}


class Failing:
    """A webhook whose schedule is one retry, and a subscriber that is down."""

    def __init__(self, stack, receiver):
        self.stack, self.app, self.receiver = stack, stack.app, receiver
        self.up = False
        receiver.answer("/hook", lambda delivery, n: 200 if self.up else 500)
        self.hook = self.app.subscribe(receiver.url + "/hook")
        self.path = f"/webhook/webhooks/{self.hook['id']}"
        settings = self.app.call("PATCH", self.path + "/settings", {"schedule": "1s"})
        assert settings.status_code == 200

    def publish(self, entity_id):
        answer = self.app.publish({**LEAD, "entity_id": entity_id})
        assert answer.status_code == 200
        return answer.json()["data"]["event_ids"][0]

    def delivery(self, event):
        answer = self.app.call("GET", f"/webhook/events/{event}")
        deliveries = answer.json()["data"]["deliveries"] if answer.ok else []
        return deliveries[0] if deliveries else None

    def state(self, event):
        delivery = self.delivery(event)
        return delivery and delivery["state"]

    def shown(self):
        data = self.app.call("GET", self.path).json()["data"]
        return data["status"], data["disabled_reason"]

    def planned(self):
        return self.stack["logger"].metric("sluice_logger_plans_total")

    def wait_hold(self):
        wait_until(lambda: " hold=retry_limit" in self.stack["logger"].log(), 10, "the hold")

    def enable(self):
        self.up = True
        answer = self.app.call("PATCH", self.path, {"status": "enabled"})
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        assert (data["status"], data["disabled_reason"]) == ("enabled", "none")


def test_held_at_once_shown_and_sent_when_enabled_again(stack, receiver):
    failing = Failing(stack, receiver)
    # The api is away: it cannot be who stops the sending.
    with stack.paused("api"):
        first = failing.publish("first")
        receiver.wait_for(2, "/hook")
        failing.wait_hold()
        planned = failing.planned()
        second = failing.publish("second")
        wait_until(lambda: failing.planned() > planned, 10, "a plan")
    wait_until(lambda: failing.shown() == ("disabled", "retry_limit"), 20, "the notice")
    gone = failing.delivery(first)
    assert gone["state"] == "failed" and gone["retry_scheduled"] is False
    assert [a["status_code"] for a in gone["attempts"]] == [500, 500]
    assert failing.state(second) == "held"
    third = failing.publish("third")
    wait_until(lambda: failing.state(third) == "held", 10, "the third one held")
    assert receiver.count("/hook") == 2

    failing.enable()
    for event in (second, third):
        wait_until(lambda: failing.state(event) == "delivered", 10, "what was held")
    assert sorted(d.payload["entity_id"] for d in receiver.deliveries("/hook")) == [
        "first", "first", "second", "third"
    ]
    assert failing.shown() == ("enabled", "none")
    # What was given up before stays so, until somebody asks for it.
    assert failing.state(first) == "failed"
    row = failing.delivery(first)
    assert failing.app.call("POST", f"/webhook/logs/{row['id']}/replay").status_code == 200
    wait_until(lambda: failing.state(first) == "delivered", 10, "the replay")


def test_a_late_notice_never_undoes_a_repair(stack, receiver):
    """The notice and the repair wait for the api side by side, so that either
    may come first: in the end it is enabled, and stays so."""
    failing = Failing(stack, receiver)
    first = failing.publish("first")
    receiver.wait_for(1, "/hook")
    with stack.paused("api"):
        receiver.wait_for(2, "/hook")
        failing.wait_hold()
        planned = failing.planned()
        second = failing.publish("second")
        wait_until(lambda: failing.planned() > planned, 10, "a plan")
    failing.enable()
    wait_until(lambda: failing.state(second) == "delivered", 10, "what was held")
    third = failing.publish("third")
    wait_until(lambda: failing.state(third) == "delivered", 10, "one more")
    assert failing.shown() == ("enabled", "none")
    assert failing.state(first) == "failed"
