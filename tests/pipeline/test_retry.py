"""500, 500, 200: three attempts of one delivery."""
from harness import signature
from harness.wait import wait_until

EVENT = {
    "event_type": "crm.contact.updated",
    "entity_id": "42",
    "entity_type": "contact",
    "consumer_id": "c-1",
    "service_id": "hubspot",
}
SCHEDULE = {"SLUICE_RETRY_SCHEDULE": "1s,1s,1s,1s,1s,1s", "SLUICE_RETRY_JITTER": "0"}


def test_two_failures_then_success(make_stack, receiver):
    app = make_stack(settings=SCHEDULE).start().app
    receiver.answer("/flaky", lambda delivery, n: 500 if n < 3 else 200)
    app.subscribe(receiver.url + "/flaky")
    assert app.publish(EVENT).status_code == 200

    got = receiver.wait_for(3, "/flaky")
    assert [d.status for d in got] == [500, 500, 200]
    assert [d.payload["execution_attempt"] for d in got] == [1, 2, 3]
    assert len({d.key for d in got}) == 1
    for d in got:
        assert signature.raw_is_right(app.key, d.body, d.signature)
        assert signature.parsed_is_right(app.key, d.body, d.signature)
        without = {**d.payload, "execution_attempt": None}
        assert without == {**got[0].payload, "execution_attempt": None}

    row = wait_until(
        lambda: next((r for r in app.logs() if r["success"]), None),
        what=lambda: f"a row that succeeded: {app.logs()}",
    )
    assert len(app.logs()) == 1
    assert row["id"] == got[0].key
    assert row["execution_attempt"] == 3
    assert row["status_code"] == 200
    assert row["retry_scheduled"] is False
    assert row["request_body"] == got[2].body.decode()
    assert [
        (a["execution_attempt"], a["status_code"], a["success"])
        for a in row["attempts"]
    ] == [(1, 500, False), (2, 500, False), (3, 200, True)]


def test_between_attempts_the_log_says_so(make_stack, receiver):
    settings = {**SCHEDULE, "SLUICE_RETRY_SCHEDULE": "1h,1h"}
    app = make_stack(settings=settings).start().app
    receiver.answer("/down", lambda delivery, n: 503)
    app.subscribe(receiver.url + "/down")
    assert app.publish(EVENT).status_code == 200
    row = wait_until(
        lambda: next((r for r in app.logs() if r["attempts"]), None),
        what=lambda: f"an attempt: {app.logs()}",
    )
    assert row["success"] is False
    assert row["status_code"] == 503
    assert row["retry_scheduled"] is True
    assert receiver.count("/down") == 1
