"""The setting `ordered`: deliveries leave in the order of commit, one at a time."""
import threading

from harness.wait import wait_until

EVENT = {"event_type": "crm.lead.created", "entity_type": "lead"}
SCHEDULE = {"SLUICE_RETRY_SCHEDULE": "50ms,50ms", "SLUICE_RETRY_JITTER": "0"}
COUNT = 60
NEVER = 10  # this one never works: three attempts
FLAKY = 7  # every seventh works at the second attempt


class Subscriber:
    """Remembers what came in which order, and how many were there at once."""

    def __init__(self):
        self.came = []
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._pause = threading.Event()

    def answer(self, delivery, _):
        number = int(delivery.payload["entity_id"])
        attempt = delivery.payload["execution_attempt"]
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.came.append((number, attempt))
        self._pause.wait(0.005)
        with self._lock:
            self._now -= 1
        if number == NEVER or (number % FLAKY == 0 and attempt == 1):
            return 500
        return 200

    def order(self):
        """Without repetitions of one and the same."""
        came = [number for number, _ in self.came]
        return [n for i, n in enumerate(came) if i == 0 or came[i - 1] != n]


def make_ordered(app, hook, wanted=True):
    answer = app.call(
        "PATCH", f"/webhook/webhooks/{hook['id']}/settings", {"ordered": wanted}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["ordered"] is bool(wanted)


def publish(app, number):
    assert app.publish({**EVENT, "entity_id": str(number)}).status_code == 200


def test_failures_and_dying_deliverers(make_stack, receiver):
    stack = make_stack(counts={"deliverer": 3}, settings=SCHEDULE).start()
    app, subscriber = stack.app, Subscriber()
    receiver.answer("/o", subscriber.answer)
    hook = app.subscribe(receiver.url + "/o")
    make_ordered(app, hook)
    for number in range(COUNT // 2):
        publish(app, number)
    for number in range(COUNT // 2, COUNT):
        publish(app, number)
        if number % 10 == 5:  # whoever has the lease, sooner or later
            name = ("deliverer", "deliverer2", "deliverer3")[number // 10 % 3]
            stack.restart(name)
    wait_until(
        lambda: subscriber.came and subscriber.came[-1][0] == COUNT - 1,
        60,
        lambda: f"all; came {subscriber.came}",
    )
    assert subscriber.order() == list(range(COUNT)), subscriber.came
    assert subscriber.most == 1
    attempts = {}
    for number, attempt in subscriber.came:
        attempts.setdefault(number, set()).add(attempt)
    for number, seen in attempts.items():
        tries = 3 if number == NEVER else 2 if number % FLAKY == 0 else 1
        assert seen == set(range(1, tries + 1)), (number, subscriber.came)
    failed = wait_until(
        lambda: [r for r in app.logs() if not r["success"]]
        if sum(r["success"] for r in app.logs()) == COUNT - 1
        else None,
        what="all but one delivered",
    )
    assert [r["execution_attempt"] for r in failed] == [3]


def test_what_waits_is_sent_in_order_after_enabling(make_stack, receiver):
    """The logger dies between; the setting can be taken back."""
    stack = make_stack(settings={**SCHEDULE, "SLUICE_RETRY_SCHEDULE": "1h,1h"}).start()
    app, subscriber = stack.app, Subscriber()
    down = True
    receiver.answer("/o", lambda d, n: 500 if down else subscriber.answer(d, n))
    hook = app.subscribe(receiver.url + "/o")
    make_ordered(app, hook)
    for number in range(1, 6):
        publish(app, number)
    wait_until(lambda: len(app.logs()) == 5, what="all planned")
    receiver.wait_for(1, "/o")
    stack.restart("logger")
    publish(app, 6)
    wait_until(lambda: len(app.logs()) == 6, what="all planned")
    # The first has its retry in an hour; nothing passes it.
    assert receiver.count("/o") == 1
    down = False
    make_ordered(app, hook, None)
    wait_until(lambda: sorted(n for n, _ in subscriber.came) == [2, 3, 4, 5, 6], 20, "the rest")


def test_replays_keep_the_order(make_stack, receiver):
    app = make_stack(settings=SCHEDULE).start().app
    subscriber = Subscriber()
    receiver.answer("/o", subscriber.answer)
    hook = app.subscribe(receiver.url + "/o")
    make_ordered(app, hook)
    for number in range(1, 7):
        publish(app, number)
    wait_until(lambda: subscriber.order() == list(range(1, 7)), 20, "all once")
    wait_until(lambda: all(r["success"] for r in app.logs()), 20, "all done")
    done = app.call("POST", f"/webhook/webhooks/{hook['id']}/replay", {})
    assert done.json()["data"]["count"] == 6, done.text
    wait_until(lambda: subscriber.order() == 2 * list(range(1, 7)), 20, lambda: subscriber.came)
    assert subscriber.most == 1
