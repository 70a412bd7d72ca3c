"""Ingest by itself: who is let in, what is accepted, and what it becomes."""
import hashlib
import json
import os
import signal
import time
import uuid

import pytest

from harness import token
from harness.stack import COMPLAINTS
from harness.wait import wait_until
from harness.wire import unpack

from ingest.alone import API_KEY, ENTRIES, NUMBER, Alone, body_of, wait_events

HERE = os.path.dirname(os.path.abspath(__file__))
CONTACT = {"eventId": 1, "subscriptionId": 12345, "portalId": 62515,
           "occurredAt": 1564113600000, "subscriptionType": "contact.creation",
           "attemptNumber": 0, "objectId": 123, "changeSource": "CRM"}
LEAD = {"event_type": "crm.lead.created", "entity_id": "l1", "entity_type": "lead"}


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.fixture
def alone(request):
    one = Alone()
    try:
        yield one.start()
        one.stop()
        assert not COMPLAINTS.search(one.process.log())
    finally:
        if getattr(request.node, "failed", True):
            print(one.process.log()[-6000:])
        one.close()


def test_hubspot_array(alone):
    router = alone.router()
    answer = alone.w([CONTACT, {**CONTACT, "eventId": 2, "objectId": 9,
                                "subscriptionType": "deal.propertyChange"}])
    assert answer.status_code == 200
    told = answer.json()
    assert told["data"] == {"request_id": told["request_id"], "timestamp": told["timestamp"]}
    assert (told["status_code"], told["status"]) == (200, "OK")
    assert answer.headers["Request-Id"] == told["request_id"]
    first, second = wait_events(router, 2)
    assert first["app"] == 1 and first["event_type"] == "crm.contact.created"
    assert second["event_type"] == "crm.opportunity.updated"
    assert str(uuid.UUID(bytes=first["request_id"])) == told["request_id"]
    assert len(first["dedupe_key"]) == 32 != second["dedupe_key"]
    whole, payload = body_of(first, 3)
    assert payload == {
        "consumer_id": "consumer-1", "entity_id": "123", "entity_type": "contact",
        "entity_url": "https://unify.apideck.com/crm/contacts/123",
        "event_id": str(uuid.UUID(bytes=first["custody"])),
        "event_type": "crm.contact.created", "execution_attempt": 3,
        "occurred_at": "2019-07-26T04:00:00.000Z", "service_id": "hubspot",
        "unified_api": "crm"}
    assert whole == canonical({"payload": payload})


def test_vault_events_have_their_eight_fields(alone):
    router = alone.router()
    with open(f"{HERE}/../pipeline/vault_events.json", encoding="utf-8") as f:
        events = json.load(f)
    answer = alone.events(events)
    assert answer.status_code == 200, answer.text
    got = wait_events(router, len(events))
    ids = [str(uuid.UUID(bytes=e["custody"])) for e in got]
    assert answer.json()["data"]["event_ids"] == ids and len(set(ids)) == len(events)
    for sent, event in zip(events, got):
        sent = dict(sent.get("payload", sent))
        whole, payload = body_of(event, 7)
        assert payload == {**sent, "execution_attempt": 7}
        assert whole == canonical({"payload": payload})
        assert event["unified_api"] == "crm" and event["consumer_id"] == "test_user_id"


def test_published_event_keeps_its_own_members(alone):
    router = alone.router()
    body = {**LEAD, "z": {"b": 1.10, "a": [True, None]}, "data": {"é": "\u2028😀\n"},
            "event_id": "mine", "execution_attempt": 99}
    text = json.dumps(body).replace("1.1,", "1.10,")
    answer = alone.events(text, x_apideck_consumer_id="c9", x_apideck_service_id="crmx")
    assert answer.status_code == 200, answer.text
    whole, payload = body_of(wait_events(router, 1)[0], 1)
    assert payload["z"] == body["z"] and payload["data"] == body["data"]
    assert payload["event_id"] == "mine" and payload["execution_attempt"] == 1
    assert payload["consumer_id"] == "c9" and payload["service_id"] == "crmx"
    assert payload["unified_api"] == "crm" and payload["entity_url"].endswith("/crm/leads/l1")
    assert whole == canonical({"payload": payload})


def test_forms_of_publishing(alone):
    for body in (LEAD, [LEAD], {"payload": LEAD}, {"payload": [LEAD, LEAD]}, []):
        answer = alone.events(body)
        assert answer.status_code == 200, answer.text
    assert alone.accepted() == 5
    missing = alone.events({"event_type": "crm.lead.created", "entity_type": "lead"})
    assert missing.status_code == 400
    assert missing.json()["detail"] == {"missing": [{"entity_id": "required"}]}
    for bad in (3, "x", [1], [LEAD, "x"], {**LEAD, "event_type": "nope"},
                {**LEAD, "occurred_at": "yesterday"}, {**LEAD, "entity_id": {}},
                {**LEAD, "entity_id": "x" * 300}, [LEAD, {}]):
        answer = alone.events(bad)
        assert (answer.status_code, answer.json()["type_name"]) == (
            400, "RequestValidationError"), bad
    assert alone.accepted() == 5


def test_connectors(alone):
    router = alone.router()
    assert alone.w({"id": 5, "created_at": "2024-01-02T03:04:05Z"}, "look-3", "shopify",
                   headers={"X-Shopify-Topic": "orders/create",
                            "X-Shopify-Event-Id": "e1"}).status_code == 200
    for query, headers, body in (
            ("?e=hris.employee.terminated", {}, {"id": 1}),
            ("", {"X-Event-Type": "hris.employee.created"}, {"id": 2}),
            ("", {}, {"type": "hris.employee.updated", "data": {"id": "3"}}),
            ("", {}, {"event": "pos.modifier_group.created", "entity_id": 4, "occurred_at": 1700000000}),
            ("?e=crm.contact.created", {}, None)):
        answer = alone.w(body, "look-4", "generic", query, headers=headers)
        assert answer.status_code == 200, answer.text
    got = wait_events(router, 6)
    assert [e["event_type"] for e in got] == [
        "ecommerce.order.created", "hris.employee.terminated", "hris.employee.created",
        "hris.employee.updated", "pos.modifier-group.created", "crm.contact.created"]
    assert body_of(got[0])[1]["occurred_at"] == "2024-01-02T03:04:05.000Z"
    assert body_of(got[4])[1]["occurred_at"] == "2023-11-14T22:13:20.000Z"
    assert body_of(got[4])[1]["entity_url"].endswith("/pos/modifier-groups/4")
    assert "entity_id" not in body_of(got[5])[1]


def test_execute_and_x(alone):
    router = alone.router()
    base = f"/webhook/webhooks/{alone.token()}"
    assert alone.post(f"{base}/execute/hubspot", CONTACT).status_code == 200
    assert alone.post(f"{base}/x/hubspot?l_id=look-1", CONTACT).status_code == 200
    assert alone.post(f"{base}/x/hubspot?l_id={alone.token('look-1')}", CONTACT).status_code == 200
    assert alone.post("/webhook/webhooks/sub-1/execute/hubspot", CONTACT, headers={
        "Authorization": f"Bearer {API_KEY}", "x-apideck-app-id": "alone"}).status_code == 200
    got = wait_events(router, 4)
    assert [e.get("consumer_id") for e in got] == [None, "consumer-1", "consumer-1", None]
    for path, status, name in (
            (f"{base}/x/hubspot?l_id=look-9", 404, "ConnectionNotFoundError"),
            (f"{base}/x/hubspot?l_id=look-5", 404, "ConnectionNotFoundError"),
            (f"{base}/execute/shopify", 404, "ConnectorNotFoundError"),
            (f"{base}/execute/nothing", 404, "ConnectorNotFoundError"),
            (f"/webhook/webhooks/{alone.token(s=8)}/execute/hubspot", 404, "IntegrationNotFoundError"),
            (f"/webhook/webhooks/{alone.token(a=9)}/execute/hubspot", 401, "UnauthorizedError"),
            ("/webhook/webhooks/sub-1/execute/hubspot", 401, "UnauthorizedError")):
        answer = alone.post(path, CONTACT)
        assert (answer.status_code, answer.json()["type_name"]) == (status, name), path
    assert alone.accepted() == 4


def test_wrong_tokens(alone):
    good = alone.token("look-1")
    key = hashlib.sha256(b"wrong").digest()
    claims = {"k": "c", "l": "look-1"}
    for text in (good[:-2] + "AA", good[:-1], "a.b.c", "", token.mint(key, claims),
                 token.mint(alone.master, claims), token.mint(key, claims, "none"),
                 alone.token("look-1", e=int(time.time()) - 5), alone.token(), "x" * 3000):
        answer = alone.post(f"/webhook/w/{text}/hubspot", CONTACT)
        assert answer.status_code == 401, text
        assert answer.json()["type_name"] == "UnauthorizedError"
    assert alone.w(CONTACT, "look-2").status_code == 403
    assert alone.w(CONTACT, "look-9").status_code == 404
    assert alone.w(CONTACT, "look-1", "shopify").status_code == 404
    for headers, status in (({}, 401), ({"Authorization": "Bearer x"}, 401),
                            ({"Authorization": f"Bearer {API_KEY}"}, 400),
                            ({"Authorization": f"Bearer {API_KEY}", "x-apideck-app-id": "other"}, 401)):
        assert alone.post("/webhook/events", LEAD, headers=headers).status_code == status
    assert alone.accepted() == 0


def test_hostile_bodies(alone):
    url = f"/webhook/w/{alone.token('look-1')}/hubspot"
    for body, status in ((b"{", 400), (b"[" * 70 + b"]" * 70, 400), (b"\xff\xfe", 400),
                         (b"[1]", 400), (b"7", 400), (b"x" * (2 << 20), 413),
                         (b'{"subscriptionType":"contact.creation"}' * 2, 400)):
        answer = alone.post(url, body)
        assert answer.status_code == status, body[:20]
        assert answer.headers["Content-Type"] == "application/json"
    many = [{**CONTACT, "eventId": n} for n in range(1001)]
    assert alone.post(url, many).status_code == 413
    assert alone.accepted() == 0
    assert alone.post(url, many[:1000]).status_code == 200
    assert alone.accepted() == 1000


def test_routes_and_methods(alone):
    url = f"/webhook/w/{alone.token('look-1')}/hubspot"
    for method, path, status in (("GET", "/webhook/nothing", 404), ("GET", "/", 404),
                                 ("POST", url + "/x", 404), ("GET", "/webhook/events", 405),
                                 ("PUT", url, 405), ("DELETE", url, 405), ("GET", url, 200)):
        answer = alone.session.request(method, alone.url + path, timeout=20)
        assert answer.status_code == status, path
        if status == 404:
            assert answer.json()["type_name"] == "EntityNotFoundError"
        if status == 405:
            assert "POST" in answer.headers["Allow"]
    assert alone.accepted() == 0


def test_handshakes(alone):
    url = alone.url + f"/webhook/w/{alone.token('look-1')}/hubspot"
    for method, query, text in (("POST", "validationToken=a%20b%2B", "a b+"),
                                ("POST", "validationtoken=x", "x"), ("GET", "challenge=c1", "c1"),
                                ("GET", "hub.mode=subscribe&hub.challenge=77", "77")):
        answer = alone.session.request(method, f"{url}?{query}", timeout=20)
        assert (answer.status_code, answer.text) == (200, text)
        assert answer.headers["Content-Type"].startswith("text/plain")
    slack = alone.post(url[len(alone.url):], {"type": "url_verification", "challenge": "s"})
    assert slack.text == "s"


def test_unmapped_names_are_answered_and_counted(alone):
    assert alone.w({**CONTACT, "subscriptionType": "quote.creation"}).status_code == 200
    assert alone.w([{}, CONTACT]).status_code == 200
    assert alone.process.metric("sluice_ingest_unmapped_total") == 2
    assert alone.accepted() == 1
    assert 'event="quote.creation"' in alone.process.log()


def test_dedupe_keys(alone):
    router = alone.router()
    for _ in range(2):
        alone.w([CONTACT])
        alone.events([LEAD, LEAD], Idempotency_Key="k")
    keys = [e["dedupe_key"] for e in wait_events(router, 6)]
    assert keys[:3] == keys[3:] and len(set(keys)) == 3


def test_token_ahead_of_the_directory(alone):
    start = time.monotonic()
    answer = alone.post(f"/webhook/w/{alone.token('look-1', n=NUMBER + 1)}/hubspot", CONTACT)
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert 0.9 < time.monotonic() - start < 5
    assert alone.post(f"/webhook/w/{alone.token('look-1', n=NUMBER)}/hubspot", CONTACT).status_code == 200


def test_nobody_is_unauthorized_without_a_directory(request):
    one = Alone(entries=None)
    try:
        one.start(ready=False)
        assert one.w(CONTACT).status_code == 503
        assert one.events(LEAD).status_code == 503
        assert not one.process.is_ready
    finally:
        one.close()


def test_replay_after_kill_brings_the_incomplete_only(alone):
    first = alone.router(judge=lambda kind, m: None)
    for n in range(10):
        alone.events({**LEAD, "entity_id": f"a{n}"})
    wait_events(first, 10)
    wait_until(lambda: alone.process.metric("sluice_forward_out") == 0, 20, "completed")
    first.close()
    alone.routers.clear()
    for n in range(10):
        assert alone.events({**LEAD, "entity_id": f"b{n}"}).status_code == 200
    alone.process.signal(signal.SIGKILL)
    alone.process.wait_end()
    alone.start()
    second = alone.router()
    got = wait_events(second, 10)
    assert [e["entity_id"] for e in got] == [f"b{n}" for n in range(10)]
    assert all(e.get("age_ms", 0) > 0 for e in got)
    wait_until(lambda: alone.process.metric("sluice_forward_out") == 0, 20, "completed")
    assert len(second.got) == 10


def test_refused_events_are_quarantined(alone):
    router = alone.router(judge=lambda kind, m: "bad: test" if m["entity_id"] == "l1" else None)
    alone.events(LEAD)
    alone.events({**LEAD, "entity_id": "l2"})
    wait_events(router, 2)
    folder = f"{alone.data}/accept/quarantine"
    wait_until(lambda: alone.process.metric("sluice_accept_log_quarantined_total") == 1, 20, "kept")
    (name,) = os.listdir(folder)
    with open(f"{folder}/{name}", "rb") as f:
        assert f.readline() == b"bad: test\n"
        assert unpack(f.read())[1]["entity_id"] == "l1"
    assert alone.process.metric("sluice_forward_completed_total") == 1


def test_backlog_while_routers_are_away(alone):
    batch = [{**LEAD, "entity_id": f"{n}"} for n in range(500)]
    for _ in range(20):
        assert alone.events(batch).status_code == 200
    assert alone.process.metric("sluice_accept_log_ahead_records") <= 4096
    router = alone.router()
    got = wait_events(router, 10000, 60)
    assert [e["entity_id"] for e in got] == [f"{n}" for n in range(500)] * 20
    wait_until(lambda: alone.process.metric("sluice_forward_completed_total") == 10000, 20, "done")
    assert alone.process.metric("sluice_accept_log_segments") <= 1


def test_one_application_at_one_router(alone):
    routers = [alone.router(), alone.router()]
    for n in range(50):
        alone.events({**LEAD, "entity_id": f"{n}"})
    wait_until(lambda: sum(len(r.got) for r in routers) == 50, 20, "all")
    assert sorted(len(r.got) for r in routers) == [0, 50]
    busy = max(routers, key=lambda r: len(r.got))
    other = min(routers, key=lambda r: len(r.got))
    alone.routers.remove(busy)
    busy.close()
    alone.events({**LEAD, "entity_id": "last"})
    assert wait_events(other, 1)[0]["entity_id"] == "last"


def test_full_log_answers_503(alone):
    alone.stop()
    alone.process.environment["SLUICE_ACCEPT_LOG_MAX"] = "16m"
    alone.start()
    big = {**LEAD, "data": "x" * 1000000}
    statuses = [alone.events(big).status_code for _ in range(20)]
    full = statuses.index(503)
    assert statuses[:full] == [200] * full and set(statuses[full:]) == {503}
    assert alone.process.admin("/readyz").status_code == 503
    router = alone.router()
    wait_events(router, full, 30)
    wait_until(lambda: alone.events(LEAD).status_code == 200, 20, "room again")


def test_directory_is_cached(alone):
    alone.stop()
    assert alone.start().w(CONTACT).status_code == 200
    with open(f"{alone.data}/accept/directory.cache", "r+b") as f:
        f.seek(60)
        f.write(b"\0\0\0")
    alone.stop()
    alone.start(ready=False)
    assert alone.w(CONTACT).status_code == 503
