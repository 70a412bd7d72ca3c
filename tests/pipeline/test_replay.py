"""Sending again: one delivery, those of a range, and through dying loggers."""
import datetime
import threading
import uuid

import pytest

from harness.wait import wait_until

EVENT = {"event_type": "crm.lead.created", "entity_type": "lead"}
# Two attempts, then it is given up.
SHORT = {"SLUICE_RETRY_SCHEDULE": "100ms", "SLUICE_RETRY_JITTER": "0"}
MANY = 3000
CALL = 500  # events of one call


def now():
    """As the log writes times."""
    at = datetime.datetime.now(datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def publish(app, names):
    answer = app.publish([{**EVENT, "entity_id": n} for n in names])
    assert answer.status_code == 200, answer.text
    return list(names)


def state_of(answer):
    return answer.status_code, answer.json().get("type_name")


def replay_log(app, log):
    return app.call("POST", f"/webhook/logs/{log}/replay")


def replay(app, hook, **body):
    return app.call("POST", f"/webhook/webhooks/{hook['id']}/replay", body)


def settled(app, count):
    """All rows, once there are so many and none is under way."""

    def look():
        rows = app.logs()
        done = [r for r in rows if r["attempts"] and not r["retry_scheduled"]]
        return len(done) == len(rows) >= count and rows

    return wait_until(look, 30, lambda: f"{count} settled rows: {len(app.logs())}")


def attempts(receiver, path):
    """Entity -> the attempts that came, in order."""
    got = {}
    for d in receiver.deliveries(path):
        got.setdefault(d.payload["entity_id"], []).append(d.payload["execution_attempt"])
    return got


def test_one_delivery(make_stack, receiver):
    stack = make_stack(settings=SHORT, apps=("acme", "other")).start()
    app, other = stack.apps
    hook = app.subscribe(receiver.url + "/one")
    publish(app, ["a"])
    (row,) = settled(app, 1)
    assert state_of(replay_log(other, row["id"])) == (404, "EntityNotFoundError")
    assert state_of(replay_log(app, uuid.uuid4())) == (404, "EntityNotFoundError")
    answer = replay_log(app, row["id"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["count"] == 1
    first, second = receiver.wait_for(2, "/one")
    assert first.key == second.key == row["id"]
    assert [d.payload["execution_attempt"] for d in (first, second)] == [1, 2]

    # It fails now, twice, in a cycle of its own; then it is given up.
    (row,) = settled(app, 1)
    receiver.answer("/one", lambda delivery, n: 500)
    assert replay_log(app, row["id"]).status_code == 200
    (row,) = wait_until(
        lambda: [r for r in app.logs() if r["execution_attempt"] == 4], what="attempt 4"
    )
    assert not row["success"] and not row["retry_scheduled"]
    assert [a["execution_attempt"] for a in row["attempts"]] == [1, 2, 3, 4]
    assert len({d.key for d in receiver.wait_for(4, "/one")}) == 1

    path = f"/webhook/webhooks/{hook['id']}"
    assert app.call("PATCH", path, {"status": "disabled"}).status_code == 200
    assert state_of(replay_log(app, row["id"])) == (422, "InvalidStateError")
    assert state_of(replay(app, hook)) == (422, "InvalidStateError")
    assert app.call("PATCH", path, {"status": "enabled"}).status_code == 200
    receiver.answer("/one", lambda delivery, n: 200)
    assert replay_log(app, row["id"]).status_code == 200
    assert receiver.wait_for(5, "/one")[4].payload["execution_attempt"] == 5
    settled(app, 1)
    assert app.call("DELETE", path).status_code == 200
    assert state_of(replay_log(app, row["id"])) == (422, "InvalidStateError")
    assert state_of(replay(app, hook)) == (404, "EntityNotFoundError")
    assert receiver.count("/one") == 5


def test_what_is_live_is_not_replayed(make_stack, receiver):
    stack = make_stack(settings={**SHORT, "SLUICE_RETRY_SCHEDULE": "1h"}).start()
    app = stack.app
    receiver.answer("/down", lambda delivery, n: 500)
    hook = app.subscribe(receiver.url + "/down")
    publish(app, ["a"])
    row = wait_until(lambda: next((r for r in app.logs() if r["attempts"]), None))
    assert state_of(replay_log(app, row["id"])) == (422, "InvalidStateError")
    answer = replay(app, hook)
    assert answer.status_code == 200 and answer.json()["data"]["count"] == 0
    assert receiver.count("/down") == 1


def test_a_range_and_a_state(make_stack, receiver):
    app = make_stack(settings=SHORT).start().app
    broken = True
    receiver.answer(
        "/r", lambda d, n: 500 if broken and d.payload["entity_id"].startswith("bad") else 200
    )
    hook = app.subscribe(receiver.url + "/r")
    early = publish(app, ["bad-1", "ok-1"])
    between = settled(app, 2)[0]["timestamp"]
    wait_until(lambda: now() > between, what="the next one is planned later")
    late = publish(app, ["bad-2", "ok-2", "bad-3"])
    settled(app, 5)
    broken = False

    done = replay(app, hook, state="failed", end_date=between).json()["data"]
    assert done["count"] == 1
    settled(app, 5)
    assert attempts(receiver, "/r") == {
        **{e: [1] for e in early + late},
        "bad-1": [1, 2, 3],
        "bad-2": [1, 2],
        "bad-3": [1, 2],
    }
    rows = {r["id"]: r for r in app.logs()}
    later = min(r["timestamp"] for r in rows.values() if r["timestamp"] > between)
    assert replay(app, hook, start_date=later).json()["data"]["count"] == 3
    settled(app, 5)
    assert replay(app, hook, state="delivered").json()["data"]["count"] == 5
    settled(app, 5)
    assert attempts(receiver, "/r") == {
        "bad-1": [1, 2, 3, 4],
        "ok-1": [1, 2],
        "bad-2": [1, 2, 3, 4],
        "bad-3": [1, 2, 3, 4],
        "ok-2": [1, 2, 3],
    }
    days = sorted(r["timestamp"][:10] for r in app.logs())
    done = replay(app, hook, start_date=days[0], end_date=days[-1])  # to its end
    assert done.json()["data"]["count"] == 5
    settled(app, 5)
    assert all(r["success"] and r["status_code"] == 200 for r in app.logs())
    assert replay(app, hook, state="failed").json()["data"]["count"] == 0
    assert replay(app, hook, state="held").json()["data"]["count"] == 0


def test_what_was_held(make_stack, receiver):
    """Enabling sends it, in a new cycle; before that nothing does."""
    app = make_stack(settings=SHORT).start().app
    receiver.answer("/h", lambda delivery, n: 410 if n == 1 else 200)
    hook = app.subscribe(receiver.url + "/h")
    path = f"/webhook/webhooks/{hook['id']}"
    publish(app, ["gone"])
    wait_until(lambda: app.call("GET", path).json()["data"]["status"] == "disabled")
    publish(app, ["a", "b"])
    wait_until(lambda: len(app.logs()) == 3, what="all planned")
    assert state_of(replay(app, hook, state="held")) == (422, "InvalidStateError")
    held = [r["id"] for r in app.logs() if not r["attempts"]]
    assert len(held) == 2
    assert state_of(replay_log(app, held[0])) == (422, "InvalidStateError")
    assert receiver.count("/h") == 1
    data = app.call("PATCH", path, {"status": "enabled"}).json()["data"]
    assert data["disabled_reason"] == "none"
    assert replay(app, hook, state="held").status_code == 200
    receiver.wait_for(3, "/h")
    settled(app, 3)
    assert attempts(receiver, "/h") == {"gone": [1], "a": [1], "b": [1]}
    assert replay(app, hook, state="failed").json()["data"]["count"] == 1
    settled(app, 3)
    assert attempts(receiver, "/h") == {"gone": [1, 2], "a": [1], "b": [1]}


def test_another_subscription_is_left_alone(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/mine")
    app.subscribe(receiver.url + "/theirs")
    publish(app, ["a", "b"])
    settled(app, 4)
    assert replay(app, hook).json()["data"]["count"] == 2
    settled(app, 4)
    assert attempts(receiver, "/mine") == {"a": [1, 2], "b": [1, 2]}
    assert attempts(receiver, "/theirs") == {"a": [1], "b": [1]}


def test_a_late_answer_does_not_end_a_replay(make_stack, receiver):
    """The first attempt is answered when its lease has ended, its delivery was
    sent again, and that was replayed: it is an attempt, and not the replay's."""
    settings = {**SHORT, "SLUICE_LEASE_MAX": "10s", "SLUICE_RETRY_SCHEDULE": "1h"}
    app = make_stack(settings=settings).start().app
    answers = {1: threading.Event(), 3: threading.Event()}

    def answer(delivery, n):
        if n in answers:
            assert answers[n].wait(60)
        return {1: 200, 2: 410, 3: 500}[n]

    receiver.answer("/late", answer)
    hook = app.subscribe(receiver.url + "/late")
    try:
        publish(app, ["a"])
        wait_until(lambda: receiver.count("/late") == 2, 30, "another lease")
        (row,) = settled(app, 1)
        path = f"/webhook/webhooks/{hook['id']}"
        assert app.call("PATCH", path, {"status": "enabled"}).status_code == 200
        assert replay_log(app, row["id"]).status_code == 200
        wait_until(lambda: receiver.count("/late") == 3, what="the replay")

        def statuses():
            (row,) = app.logs()
            return [a["status_code"] for a in row["attempts"]]

        answers[1].set()
        wait_until(lambda: len(statuses()) == 2, what="the late answer's attempt")
        (row,) = app.logs()
        assert sorted(statuses()) == [200, 410]
        assert (row["success"], row["status_code"]) == (False, 410)
        assert state_of(replay_log(app, row["id"])) == (422, "InvalidStateError")
        answers[3].set()
        wait_until(lambda: len(statuses()) == 3, what="the replay's attempt")
        (row,) = app.logs()
        assert (row["success"], row["status_code"]) == (False, 500)
        assert row["retry_scheduled"]
    finally:
        for event in answers.values():
            event.set()


class Asked(threading.Thread):
    """A replay whose answer may take a while."""

    def __init__(self, app, hook):
        super().__init__()
        self.call = lambda: replay(app, hook)
        self.answer = None
        self.start()

    def run(self):
        self.answer = self.call()


def posts(load_receiver):
    """Entity -> {attempt: how often it came}; (entity -> its keys)."""
    counts, keys = {}, {}
    for _, _, _, key, _, body in load_receiver.rows():
        entity = body.split(b'"entity_id":"', 1)[1].split(b'"', 1)[0].decode()
        attempt = int(body.split(b'"execution_attempt":', 1)[1].split(b",", 1)[0])
        of = counts.setdefault(entity, {})
        of[attempt] = of.get(attempt, 0) + 1
        keys.setdefault(entity, set()).add(key)
    return counts, keys


@pytest.mark.parametrize("how", ["committed", "any moment"])
def test_the_logger_dies_during_a_job(stack, load_receiver, how):
    """Every delivery is sent again once, whatever was killed when."""
    app = stack.app
    hook = app.subscribe(load_receiver.url + "/all")
    names = []
    for first in range(0, MANY, CALL):
        names += publish(app, [f"e-{i}" for i in range(first, first + CALL)])
    wait_until(lambda: len(posts(load_receiver)[0]) == MANY, 60, "all delivered")
    wait_until(lambda: stack["logger"].metric("sluice_logger_leases") == 0, 20, "quiet")
    if how == "committed":
        dying = {"SLUICE_FAIL_POINT": "logger.replay_step:7"}
        stack.restart("logger", extra=dying)
        asked = Asked(app, hook)
        assert stack["logger"].wait_end(20) == -9
        stack.start("logger", extra=dying, ready=False)
        assert stack["logger"].wait_end(20) == -9
        stack.start("logger")
    else:
        asked = Asked(app, hook)
        wait_until(
            lambda: stack["logger"].metric("sluice_logger_replayed_total") > 300,
            20,
            "a part of the job",
        )
        stack.restart("logger")
        stack.restart("logger")
    wait_until(
        lambda: all(2 in c for c in posts(load_receiver)[0].values()),
        60,
        lambda: f"all again; {sum(2 in c for c in posts(load_receiver)[0].values())}",
    )
    asked.join()
    assert asked.answer.status_code in (200, 503), asked.answer.text
    wait_until(lambda: stack["logger"].metric("sluice_logger_leases") == 0, 20, "quiet")
    counts, keys = posts(load_receiver)
    assert {e: set(c) for e, c in counts.items()} == {n: {1, 2} for n in names}
    assert all(len(k) == 1 for k in keys.values())
    repeated = sum(n - 1 for c in counts.values() for n in c.values())
    print(f"{how}: {asked.answer.text}; {repeated} POSTs repeated")
    assert repeated == 0
    assert app.call("GET", "/webhook/logs", params={"limit": 1}).json()["data"][0]["success"]
