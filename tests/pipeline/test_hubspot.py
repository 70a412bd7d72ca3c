"""One HubSpot call with two events becomes two signed POSTs and two logs."""
import re
import uuid

import requests
from pipeline import hubspot

from harness import signature
from harness.wait import wait_until

HEADERS = {
    "content-type",
    "user-agent",
    "x-apideck-event-type",
    "x-apideck-signature",
    "x-apideck-idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
}


def check_answer(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert (body["status_code"], body["status"]) == (200, "OK")
    assert str(uuid.UUID(body["request_id"])) == body["request_id"]
    assert body["data"]["request_id"] == body["request_id"]
    assert answer.headers["Request-Id"] == body["request_id"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", body["timestamp"])
    assert body["data"]["timestamp"] == body["timestamp"]


def check_signatures(key, delivery):
    assert signature.raw_is_right(key, delivery.body, delivery.signature)
    assert signature.parsed_is_right(key, delivery.body, delivery.signature)
    assert signature.standard_is_right(key, delivery.body, delivery.headers)
    other = delivery.body.replace(b'"crm"', b'"crx"')
    assert not signature.raw_is_right(key, other, delivery.signature)


def test_two_events_of_one_call(stack, receiver):
    app = stack.app
    app.subscribe(receiver.url + "/hook", events=["crm.contact.*"])
    (probe,) = receiver.validations
    assert probe.json == {"message": "Validating delivery URL"}
    assert signature.raw_is_right(app.key, probe.body, probe.signature)
    connection = app.connect("hubspot", "customer-7")

    answer = requests.post(
        connection["execute_url"],
        json=[hubspot.event(123), hubspot.event(124, "contact.deletion")],
        timeout=10,
    )
    check_answer(answer)
    got = {d.payload["entity_id"]: d for d in receiver.wait_for(2)}

    assert set(got) == {"123", "124"}
    for entity, kind in (("123", "created"), ("124", "deleted")):
        delivery = got[entity]
        check_signatures(app.key, delivery)
        assert HEADERS <= set(delivery.headers)
        assert delivery.headers["content-type"] == "application/json"
        assert delivery.event_type == f"crm.contact.{kind}"
        payload = dict(delivery.payload)
        uuid.UUID(payload.pop("event_id"))
        assert payload == {
            "consumer_id": "customer-7",
            "entity_id": entity,
            "entity_type": "contact",
            "entity_url": f"https://unify.apideck.com/crm/contacts/{entity}",
            "event_type": f"crm.contact.{kind}",
            "execution_attempt": 1,
            "occurred_at": "2019-07-26T04:00:00.000Z",
            "service_id": "hubspot",
            "unified_api": "crm",
        }
    check_logs(app, got, receiver.url + "/hook")


def check_logs(app, got, endpoint):
    """Both are in the log, with one attempt each."""
    rows = wait_until(
        lambda: [r for r in app.logs() if r["success"]].__len__() == 2 and app.logs(),
        what=lambda: f"two rows: {app.logs()}",
    )
    by_id = {r["id"]: r for r in rows}
    assert set(by_id) == {d.key for d in got.values()}
    for delivery in got.values():
        row = by_id[delivery.key]
        assert row["status_code"] == 200
        assert row["application_id"] == app.id
        assert row["consumer_id"] == "customer-7"
        assert row["unified_api"] == "crm"
        assert row["service"]["id"] == "hubspot"
        assert row["endpoint"] == endpoint
        assert row["event_type"] == delivery.event_type
        assert row["entity_type"] == "contact"
        assert row["http_method"] == "POST"
        assert row["execution_attempt"] == 1
        assert row["request_body"] == delivery.body.decode()
        assert row["response_body"] == "ok"
        assert row["retry_scheduled"] is False
        assert [
            (a["execution_attempt"], a["status_code"], a["success"])
            for a in row["attempts"]
        ] == [(1, 200, True)]


def test_integration_token_and_short_route(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook")
    base = hook["execute_base_url"]
    check_answer(
        requests.post(base + "/hubspot", json=[hubspot.event(1)], timeout=10)
    )
    check_answer(
        requests.post(
            re.sub(r"/execute$", "/x", base) + "/hubspot?e=ignored",
            json=hubspot.event(2),
            timeout=10,
        )
    )
    got = receiver.wait_for(2)
    assert {d.payload["entity_id"] for d in got} == {"1", "2"}
