"""What callers of ingest get: verification, forms, limits, refusals."""
import json
import socket
import uuid

import pytest

from harness.stack import COMPLAINTS

from ingest.alone import APP, ENTRIES, NUMBER, Alone, entry, wait_events


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


def documented(answer, status, type_name):
    body = answer.json()
    assert answer.status_code == body["status_code"] == status, answer.text
    assert body["type_name"] == type_name
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["request-id"])
    return body


def test_verification_calls_echo_as_their_vendors_want(alone):
    url = alone.url + f"/webhook/w/{alone.token('look-4')}/generic"
    text = "Validation: a+b & ü<script>"
    for name in ("validationToken", "validationtoken"):
        answer = alone.session.post(url, params={name: text}, timeout=10)
        assert answer.status_code == 200 and answer.content.decode() == text
        assert answer.headers["content-type"] == "text/plain"
        assert answer.headers["x-content-type-options"] == "nosniff"
        # Another name of the other method is no verification.
        assert alone.session.get(url, params={name: text}, timeout=10).json()["data"]
    answer = alone.session.get(url, params={"challenge": text}, timeout=10)
    assert answer.status_code == 200 and answer.content.decode() == text
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["x-content-type-options"] == "nosniff"
    meta = {"hub.mode": "subscribe", "hub.verify_token": "t", "hub.challenge": "1158"}
    answer = alone.session.get(url, params=meta, timeout=10)
    assert answer.status_code == 200 and answer.text == "1158"
    assert answer.headers["content-type"] == "text/plain"
    answer = alone.session.get(url, params={**meta, "hub.mode": "x"}, timeout=10)
    documented(answer, 403, "VerificationFailedError")
    answer = alone.session.get(url, timeout=10)
    body = answer.json()
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert body["data"] == {k: body[k] for k in ("request_id", "timestamp")}
    assert body["request_id"] == answer.headers["request-id"]
    for wrong in (url.replace("/w/", "/w/x"), url + "x"):
        assert alone.session.get(wrong, params={"challenge": "1"}, timeout=10).status_code in (401, 404)


def test_form_and_cloudevents_bodies_are_events(alone):
    token = alone.token()
    for route in ("execute", "x"):
        answer = alone.post(
            f"/webhook/webhooks/{token}/{route}/generic",
            "type=crm.contact.created&data%5Bid%5D=17&note=a+b",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 200, answer.text
        answer = alone.post(
            f"/webhook/webhooks/{token}/{route}/generic",
            '[{"specversion":"1.0","id":"1","type":"crm.lead.created"},'
            '{"specversion":"1.0","id":"2","type":"crm.lead.updated"}]',
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
        assert answer.status_code == 200, answer.text
    router = alone.router()
    made = [(m["event_type"], m.get("entity_id")) for m in wait_events(router, 6)]
    assert made == [("crm.contact.created", "17"), ("crm.lead.created", "1"), ("crm.lead.updated", "2")] * 2
    bad = alone.post(
        f"/webhook/webhooks/{token}/x/generic", "type=%zz",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    )
    documented(bad, 400, "RequestValidationError")


def test_raw_shows_the_request_on_w_and_nowhere_else(alone):
    body = {"type": "crm.contact.created", "id": "ü"}
    answer = alone.w(body, "look-4", "generic", "?raw=true", headers={"X-Seen": "1", "Authorization": "Bearer x"})
    raw = answer.json()["_raw"]
    assert raw["method"] == "POST" and json.loads(raw["body"]) == body
    headers = {k.lower(): v for k, v in raw["headers"].items()}
    assert headers["x-seen"] == "1" and headers["authorization"] == "***"
    assert "_raw" in alone.w(body, "look-4", "generic", headers={"x-apideck-raw": "true"}).json()
    assert "_raw" not in alone.w(body, "look-4", "generic", "?raw=false").json()
    large = alone.w('{"type":"crm.contact.created","id":"' + "\\u0001" * 150000 + '"}', "look-4", "generic", "?raw=true")
    assert large.status_code == 400 or large.json()["_raw"]
    for route in ("execute", "x"):
        answer = alone.post(f"/webhook/webhooks/{alone.token()}/{route}/generic?raw=true", body)
        assert answer.status_code == 200 and "_raw" not in answer.json()


def test_requests_of_an_application_are_limited(request):
    limited = [entry(kind=APP, number=NUMBER, app=1, id="alone", name="Alone", rate=3)] + ENTRIES[1:]
    one = Alone(limited).start()
    request.addfinalizer(one.close)
    event = {"event_type": "crm.contact.created", "entity_id": "1", "entity_type": "contact"}
    answers = [one.events(event) for _ in range(12)]
    codes = [a.status_code for a in answers]
    assert codes[:3] == [200] * 3 and 429 in codes
    refused = answers[codes.index(429)]
    documented(refused, 429, "ConnectorRateLimitError")
    assert int(refused.headers["retry-after"]) >= 1
    assert all(one.w([{"subscriptionType": "contact.creation"}]).status_code == 200 for _ in range(12))


def test_quota_of_an_application_is_402_for_publishers_alone(request):
    over = [entry(kind=APP, number=NUMBER, app=1, id="alone", name="Alone", quota=2000, reason="usage_limit")] + ENTRIES[1:]
    one = Alone(over).start()
    request.addfinalizer(one.close)
    event = {"event_type": "crm.contact.created", "entity_id": "1", "entity_type": "contact"}
    body = documented(one.events(event), 402, "RequestLimitError")
    assert body["detail"] == "You have reached your limit of 2000"
    assert one.w([{"subscriptionType": "contact.creation"}]).status_code == 200


def test_what_libmicrohttpd_refuses_is_json_with_a_request_id(alone):
    for text in (
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    ):
        host, port = alone.url[7:].split(":")
        with socket.create_connection((host, int(port)), 10) as s:
            s.sendall(text)
            got = b""
            while chunk := s.recv(65536):
                got += chunk
        if not got:
            continue  # closed without a word: nothing to misread
        head, _, body = got.partition(b"\r\n\r\n")
        names = {l.split(b":")[0].lower(): l.split(b": ", 1)[1] for l in head.split(b"\r\n")[1:]}
        status = int(head.split()[1])
        assert status in (400, 413, 414, 431), head
        assert names[b"content-type"] == b"application/json", head
        assert uuid.UUID(names[b"request-id"].decode())
        assert json.loads(body)["status_code"] == status
