"""The quota of a month: what comes over it is held, shown on both faces, and
sent once it is raised or the month turns."""
import calendar
import datetime
import glob
import time

import pytest
import requests
from jsonapi.client import Client
from pipeline import hubspot

from harness.stack import SANITIZED
from harness.wait import wait_until

CALL = 50  # events of one call
EVENT = {"event_type": "crm.lead.created", "entity_id": "1", "entity_type": "lead"}
TURN_S = 25 if SANITIZED else 12  # from the start of the processes


class Quota:
    """An application with two webhooks and a connection, and what it sent."""

    def __init__(self, stack, receiver):
        self.app, self.receiver = stack.app, receiver
        self.hooks = [
            self.app.subscribe(f"{receiver.url}/{n}", ["crm.contact.*"]) for n in "ab"
        ]
        self.sent = []
        self.url = self.app.connect("hubspot", "c-1")["execute_url"]
        # The connection's own event counts, too.
        self.before = 1
        self.used(0)

    def used(self, count):
        wait_until(
            lambda: self.app.usage()["used"] == self.before + count,
            20,
            lambda: f"{count} more than {self.before}: {self.app.usage()}",
        )

    def allow(self, count):
        """So many calls' events, by the operator's command."""
        self.app.limit(quota=self.before + count)
        wait_until(
            lambda: self.app.usage()["quota"] == self.before + count, 10, "the quota"
        )

    def send(self, count):
        """As a connector: 200, whatever the quota."""
        events = [hubspot.event(len(self.sent) + i) for i in range(count)]
        answer = requests.post(self.url, json=events, timeout=30)
        assert answer.status_code == 200, answer.text
        self.sent += [str(e["objectId"]) for e in events]

    def limited(self):
        wait_until(lambda: self.app.usage()["limited"], 10, "the limit")

    def arrived(self, count):
        """The first `count` are there, each once at each webhook; no other."""

        def seen():
            return [d.payload["entity_id"] for d in self.receiver.deliveries()]

        wait_until(
            lambda: len(seen()) >= 2 * count, 40, lambda: f"{len(seen())} deliveries"
        )
        assert sorted(seen()) == sorted(2 * self.sent[:count])


def refused(answer):
    assert answer.status_code == 402, answer.text
    return answer.json()


def check_limited(quota, client):
    """What both faces show and refuse, and what they go on doing."""
    app = quota.app
    for hook in app.call("GET", "/webhook/webhooks").json()["data"]:
        assert (hook["status"], hook["disabled_reason"]) == ("disabled", "usage_limit")
    hook = quota.hooks[0]
    path = f"/webhook/webhooks/{hook['id']}"
    create = {k: hook[k] for k in ("delivery_url", "events", "unified_api", "status")}
    for answer in (
        app.call("POST", "/webhook/webhooks", {**create, "status": "enabled"}),
        app.call("PATCH", path, {"status": "enabled"}),
        app.publish(EVENT),
    ):
        body = refused(answer)
        assert body["type_name"] == "RequestLimitError"
        limit = app.usage()["quota"]
        assert body["detail"] == f"You have reached your limit of {limit}"
    error = refused(client.post(url=hook["delivery_url"], events=["*"]))["errors"][0]
    assert error["status"] == "402"
    (first, second) = client.list()["data"]
    assert first["attributes"]["url"] == hook["delivery_url"]
    assert client.patch(second["id"], name="renamed").status_code == 200
    assert app.call("PATCH", path, {"description": "x"}).status_code == 200


def test_held_until_it_is_raised(stack, receiver):
    quota = Quota(stack, receiver)
    app, client = quota.app, Client(stack, stack.app.key)
    quota.allow(2 * CALL)
    quota.send(CALL)
    assert app.usage()["limited"] is False
    quota.send(CALL)
    quota.limited()  # all of it, and nothing over it
    quota.arrived(2 * CALL)
    for _ in range(3):
        quota.send(CALL)
    quota.used(5 * CALL)
    check_limited(quota, client)
    for name in ("logger", "api"):
        stack.kill(name)
        stack.start(name)
    # A write is answered when those who read the directory have it.
    wait_until(
        lambda: stack["api"].metric("sluice_api_sessions") >= 3, 20, "sessions"
    )
    quota.send(CALL)
    quota.used(6 * CALL)
    check_limited(quota, client)
    quota.arrived(2 * CALL)
    rows = app.logs()
    assert len(rows) == 2 * 6 * CALL
    assert sum(r["success"] for r in rows) == 2 * 2 * CALL

    quota.allow(3 * CALL)  # more, and less than was used
    quota.limited()
    quota.arrived(2 * CALL)
    quota.allow(7 * CALL)
    wait_until(lambda: receiver.count() > 2 * 2 * CALL, 20, "the first that was held")
    stack.kill("logger")
    stack.start("logger")
    quota.arrived(6 * CALL)
    assert app.usage()["limited"] is False
    for hook in app.call("GET", "/webhook/webhooks").json()["data"]:
        assert (hook["status"], hook["disabled_reason"]) == ("enabled", "none")
    assert app.publish(EVENT).status_code == 200
    app.subscribe(f"{receiver.url}/c")
    quota.used(6 * CALL + 1)


def test_disabled_ones_stay_held(stack, receiver):
    """Each of the two reasons for itself."""
    quota = Quota(stack, receiver)
    app = quota.app
    path = f"/webhook/webhooks/{quota.hooks[1]['id']}"
    quota.allow(2)

    def switch(status):
        answer = app.call("PATCH", path, {"status": status})
        assert answer.status_code == 200, answer.text

    switch("disabled")
    quota.send(1)
    receiver.wait_for(1, "/a")
    switch("enabled")  # what was held for that alone
    receiver.wait_for(1, "/b")
    quota.send(1)
    quota.limited()
    receiver.wait_for(2, "/b")
    quota.send(1)
    quota.used(3)
    switch("disabled")
    quota.allow(10)
    receiver.wait_for(3, "/a")
    assert receiver.count("/b") == 2
    switch("enabled")
    receiver.wait_for(3, "/b")
    quota.arrived(3)


# ---- the month ---------------------------------------------------------------


def clock_before_turn(seconds):
    """Settings by which a process sees the last seconds of this month, and
    when, by the monotonic clock here, the next one begins."""
    library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    assert library, "the package libfaketime is not installed"
    now = datetime.datetime.now(datetime.timezone.utc)
    days = calendar.monthrange(now.year, now.month)[1]
    turn = datetime.datetime(
        now.year, now.month, days, tzinfo=datetime.timezone.utc
    ) + datetime.timedelta(days=1)
    offset = turn.timestamp() - seconds - time.time()
    settings = {
        "LD_PRELOAD": library[0],
        "FAKETIME": f"{offset:+.3f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "ASAN_OPTIONS": "verify_asan_link_order=0",
    }
    return settings, time.monotonic() + seconds, turn.strftime("%Y-%m")


@pytest.mark.parametrize("logger", ["stays", "dies"])
def test_held_until_the_month_turns(make_stack, receiver, logger):
    settings, turn, month = clock_before_turn(TURN_S)
    stack = make_stack(settings=settings).start()
    quota = Quota(stack, receiver)
    app = quota.app
    quota.allow(2)
    quota.send(2)
    quota.limited()
    quota.send(5)
    quota.used(7)
    refused(app.publish(EVENT))
    quota.arrived(2)
    if logger == "dies":
        stack.kill("logger")
    assert time.monotonic() < turn, "too slow: the month turned before"
    time.sleep(max(0, turn - time.monotonic()))
    if logger == "dies":
        stack.start("logger")
    quota.arrived(7)
    wait_until(lambda: not app.usage()["limited"], 10, "the end of the limit")
    usage = app.usage()
    assert (usage["month"], usage["used"]) == (month, 0)
    assert usage["renews_at"] > f"{month}-28"
    quota.before = 0
    quota.send(1)
    quota.used(1)
    quota.arrived(8)
