"""Calls of vendors that sign: what is taken, and what is refused before it has
any effect. Every signature is computed here, by Python's own library."""
import http.client
import json
import os
import socket
import time
import uuid

import pytest
import requests

from harness import signature
from harness.paths import ROOT
from harness.seal import seal
from harness.signature import sign, sign_base64
from harness.stack import COMPLAINTS

from ingest.alone import ENTRIES, Alone, connection, wait_events

SECRET = "t\u00f8p secret"
PUBLIC = "https://in.example.com/hooks"
SIGNED = {21: ("hubspot", "crm"), 22: ("shopify", "ecommerce"), 23: ("generic", ""),
          24: ("form", "crm"), 25: ("graph", "")}
CONTACT = {"eventId": 1, "subscriptionId": 12345, "portalId": 62515, "occurredAt": 1564113600000,
           "subscriptionType": "contact.creation", "objectId": 123, "appId": 54321}
ORDER = {"id": 820982911946154508, "created_at": "2021-12-31T19:00:00-05:00"}
FORM = {
    "id": "form", "event": [{"item": "/type"}],
    "events": {"employee.updated": "crm.contact.updated"},
    "entity_id": [{"item": "/data/id"}],
    "content_types": {"Text/Plain": "json", "application/x-other": "form",
                      "application/json": "form"},
    "signature": {"scheme": "hmac-sha256", "header": "X-Sum", "encoding": "hex"},
}
GRAPH = {
    "id": "graph", "items": "/value", "event": [{"item": "/changeType"}],
    "events": {"updated": "file-storage.drive.updated"},
    "signature": {"scheme": "token", "item": "/clientState"},
}


def signed_entries(master):
    return ENTRIES + [
        connection(n, service=service, api=api, secret=seal(master, "secret:1", SECRET.encode()))
        for n, (service, api) in SIGNED.items()
    ] + [connection(31, service="shopify", api="ecommerce", secret=seal(master, "secret:2", b"x"))]


@pytest.fixture
def alone(request, tmp_path):
    for name in os.listdir(f"{ROOT}/ingest/connectors"):
        os.symlink(f"{ROOT}/ingest/connectors/{name}", tmp_path / name)
    for own in (FORM, GRAPH):
        (tmp_path / f"{own['id']}.json").write_text(json.dumps(own))
    one = Alone(signed_entries, {
        "SLUICE_CONNECTORS": str(tmp_path), "SLUICE_INGEST_PUBLIC_URL": PUBLIC + "/"})
    try:
        yield one.start()
        one.stop()
        assert not COMPLAINTS.search(one.process.log())
        assert SECRET not in one.process.log()
    finally:
        if getattr(request.node, "failed", True):
            print(one.process.log()[-6000:])
        one.close()


def b64(text, secret=SECRET):
    return sign_base64(secret, text.encode())


def hex_of(body):
    return sign(SECRET, body if isinstance(body, bytes) else body.encode())


def hubspot(target, body, at=None, secret=SECRET):
    return signature.hubspot(secret, PUBLIC + target, body, at)


def post_raw(alone, target, body, headers):
    """requests mends targets; this sends what it is given."""
    connection = http.client.HTTPConnection(alone.url[7:], timeout=20)
    connection.request("POST", target, body, headers)
    got, answer = connection.getresponse(), requests.Response()
    answer.status_code, answer._content = got.status, got.read()
    answer.headers.update(got.getheaders())
    connection.close()
    return answer


def refused(answer, status=401, type_name="ConnectorCredentialsError"):
    body = answer.json()
    assert answer.status_code == body["status_code"] == status, answer.text
    assert body["type_name"] == type_name
    assert body["error"] == {401: "Unauthorized", 503: "Service Unavailable"}[status]
    assert set(body) == {"status_code", "error", "type_name", "message", "detail", "ref"}
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["request-id"])
    return body["detail"]


def test_hubspot_v3_over_method_public_url_body_and_time(alone):
    router = alone.router()
    body = json.dumps([CONTACT, {**CONTACT, "eventId": 2}])
    # Of the target the bytes count: an escape, an empty value, a name alone.
    for query in ("", "?", "?e=a%20b+c&x&y=", "?e=Employees::Events::Created"):
        target = f"/webhook/w/{alone.token('look-21')}/hubspot{query}"
        now = int(time.time() * 1000)
        for answer in (
            post_raw(alone, target, body, hubspot(target, body)),
            post_raw(alone, target, body, hubspot(target, body, now - 290000)),
            post_raw(alone, target, body, {**hubspot(target, body), "Host": "evil.example"}),
        ):
            assert answer.status_code == 200, answer.text
        before = alone.accepted()
        assert "missing" in refused(post_raw(alone, target, body, {}))
        right = hubspot(target, body)
        only = {k: v for k, v in right.items() if "Time" not in k}
        assert "missing" in refused(post_raw(alone, target, body, only))
        for wrong in (
            hubspot(target, body + " "), hubspot(target + "x", body),
            hubspot(target, body, secret="other"),
            {**right, "X-HubSpot-Request-Timestamp": str(now + 1000)},
            {**right, "X-HubSpot-Signature-v3": ""},
            {**right, "X-HubSpot-Signature-v3": "A" * 44},
        ):
            refused(post_raw(alone, target, body, wrong))
        for at in (now - 310000, now + 310000):
            detail = refused(post_raw(alone, target, body, hubspot(target, body, at)))
            assert "time" in detail
        assert alone.accepted() == before
    # As HubSpot's documents have it: some escapes are signed decoded, others not.
    target = f"/webhook/w/{alone.token('look-21')}/hubspot?e="
    answer = post_raw(alone, target + "%3A%2fb%20", body, hubspot(target + ":/b%20", body))
    assert answer.status_code == 200, answer.text
    refused(post_raw(alone, target + "%3A%2fb%20", body, hubspot(target + ":/b ", body)))
    assert len(wait_events(router, 26)) == 26


def test_nothing_of_what_is_refused_has_an_effect(alone):
    """No event, no dedupe key: the same call, rightly signed, is taken."""
    router = alone.router()
    body = json.dumps(ORDER)
    names = {"X-Shopify-Topic": "orders/create", "X-Shopify-Event-Id": "e-1"}
    base, before = f"/webhook/webhooks/{alone.token()}", alone.accepted()
    calls = [
        f"/webhook/w/{alone.token('look-22')}/shopify",
        f"/webhook/webhooks/{alone.token(u='ecommerce', s=0)}/x/shopify?l_id=look-22",
        f"/webhook/webhooks/{alone.token(u='ecommerce', s=0)}/execute/shopify?l_id="
        + alone.token("look-22"),
    ]
    for path in calls:
        for wrong in ({}, {"X-Shopify-Hmac-Sha256": b64("{}")}):
            refused(alone.post(path, body, headers={**names, **wrong}))
        refused(alone.post(path, "not json", headers=names))  # not a word of what it is
    assert alone.accepted() == before and not router.got
    for path in calls:
        right = {**names, "X-Shopify-Hmac-Sha256": b64(body)}
        assert alone.post(path, body, headers=right).status_code == 200
    assert {e["consumer_id"] for e in wait_events(router, 3)} == {"consumer-22"}
    # Without l_id no connection is named, so there is nothing to check with.
    assert alone.post(calls[2].split("?")[0], body, headers=names).status_code == 200
    assert alone.post(f"{base}/x/hubspot?l_id=look-1", [CONTACT]).status_code == 200
    lines = [l for l in alone.process.admin("/metrics").text.splitlines()
             if l.startswith("sluice_ingest_signature_refused_total")]
    assert sorted(lines) == [
        'sluice_ingest_signature_refused_total{connector="shopify",why="missing"} 6',
        'sluice_ingest_signature_refused_total{connector="shopify",why="wrong"} 3']
    # Not more often than once a minute.
    assert alone.process.log().count("signature=missing") == 1
    assert "connection=con-22" in alone.process.log()


def test_the_bytes_are_signed_as_they_came(alone):
    """Chunks, a form, bytes that are no UTF-8: all of it before it is read."""
    router = alone.router()
    path = f"/webhook/w/{alone.token('look-24')}/form"
    form = b"type=employee.updated&data%5Bid%5D=17&x=%f8%C3%B8+"
    head = {"Content-Type": "application/x-www-form-urlencoded", "X-Sum": hex_of(form)}
    assert alone.post(path, form, headers=head).status_code == 400  # right, but no UTF-8
    form = b"type=employee.updated&data%5Bid%5D=17&x=%C3%B8+"
    head["X-Sum"] = hex_of(form)
    assert alone.post(path, form, headers=head).status_code == 200
    refused(alone.post(path, form + b"&", headers=head))
    text = b' {"type" : "employee.updated",\r\n"data":{"id":"\\u0031\\/"}}\n'
    head = {"X-Sum": hex_of(text).upper()}
    assert alone.post(path, data=iter([text[:7], text[7:8], text[8:]]), headers=head).status_code == 200
    refused(alone.post(path, data=iter([text[:-1]]), headers=head))
    host, port = alone.url[7:].split(":")
    with socket.create_connection((host, int(port)), 10) as s:
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: h\r\nX-Sum: {head['X-Sum']}\r\n"
                  "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode())
        for at in range(0, len(text), 3):
            part = text[at:at + 3]
            s.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        s.sendall(b"0\r\nX-Sum: trailer\r\n\r\n")
        assert s.recv(20).startswith(b"HTTP/1.1 200")
    got = wait_events(router, 3)
    assert [e.get("entity_id") for e in got] == ["17", "1/", "1/"]


def test_an_empty_body_is_signed_like_any_other(alone):
    target = f"/webhook/w/{alone.token('look-21')}/hubspot?e=contact.creation"
    before = alone.accepted()
    refused(alone.post(target))
    assert alone.accepted() == before
    assert alone.post(target, headers=hubspot(target, "")).status_code == 200
    assert alone.accepted() == before + 1
    # A GET is no event, whoever makes it.
    assert alone.session.get(alone.url + target, timeout=10).status_code == 200
    assert alone.accepted() == before + 1


def test_handshakes_by_the_query_need_no_signature(alone):
    for n in (1, 21, 25):
        service = SIGNED.get(n, ("hubspot",))[0]
        url = f"{alone.url}/webhook/w/{alone.token(f'look-{n}')}/{service}"
        for how, name in (("post", "validationToken"), ("post", "validationtoken"),
                          ("get", "challenge"), ("get", "hub.challenge")):
            answer = getattr(alone.session, how)(url, params={name: "a b&c"}, timeout=10)
            assert (answer.status_code, answer.text) == (200, "a b&c"), (n, name)


def test_a_token_in_every_item(alone):
    router = alone.router()
    item = {"changeType": "updated", "clientState": SECRET}
    answer = alone.w({"value": [item, item]}, "look-25", "graph")
    assert answer.status_code == 200, answer.text
    assert len(wait_events(router, 2)) == 2
    before = alone.accepted()
    for items in ([], [item, {**item, "clientState": "x"}], [item, {"changeType": "updated"}],
                  [{**item, "clientState": None}], [item, 1]):
        refused(alone.w({"value": items}, "look-25", "graph"))
    refused(alone.w({}, "look-25", "graph"))
    assert alone.w("{", "look-25", "graph").status_code == 400
    assert alone.accepted() == before


def test_a_secret_that_nothing_can_check_refuses_and_says_so(alone):
    """Rather than letting everybody in where somebody wanted to keep some out."""
    detail = refused(alone.w({"type": "crm.lead.created"}, "look-23", "generic"))
    assert "declares no signature" in detail
    # Sealed for another application, or with another master key: ours to mend.
    body = json.dumps(ORDER)
    answer = alone.w(body, "look-31", "shopify", headers={
        "X-Shopify-Topic": "orders/create", "X-Shopify-Hmac-Sha256": b64(body, "x")})
    assert "cannot be opened" in refused(answer, 503, "ServiceUnavailableError")
    assert answer.headers["retry-after"]
    assert alone.accepted() == 0


def test_secrets_survive_a_restart_without_the_api(alone):
    """In the cache of the directory, sealed as they came."""
    path, body = f"{alone.data}/accept/directory.cache", json.dumps(ORDER)
    names = {"X-Shopify-Topic": "orders/create", "X-Shopify-Hmac-Sha256": b64(body)}
    for _ in range(2):
        assert alone.w(body, "look-22", "shopify", headers=names).status_code == 200
        refused(alone.w(body, "look-22", "shopify"))
        alone.stop()
        with open(path, "rb") as f:
            held = f.read()
        assert SECRET.encode() not in held
        alone.start()
    # One of a time without secrets would let unsigned calls in: nobody is known.
    alone.stop()
    with open(path, "r+b") as f:
        f.write(b"SACCDIR1")
    alone.start(ready=False)
    assert alone.w(body, "look-22", "shopify").status_code == 503


def test_content_types_as_the_connector_declares(alone):
    router = alone.router()
    text = '{"type":"employee.updated","data":{"id":"%d"}}'
    form = "type=employee.updated&data[id]=%d"
    for n, (kind, body) in enumerate((
        ("text/plain", text), ("TEXT/PLAIN ; charset=utf-8", text),
        ("application/x-other", form), ("Application/X-Other;a=b", form),
        ("application/json", form), ("application/json; charset=utf-8", form),
        ("application/x-www-form-urlencoded", form),
        ("application/x-www-form-urlencoded", text),  # as undeclared: it looks so
        ("application/octet-stream", text), ("text/plainer", text), ("", text), (None, text),
    )):
        body = body % n
        head = {"X-Sum": hex_of(body), "Content-Type": kind}
        answer = alone.w(body.encode(), "look-24", "form", headers=head)
        assert answer.status_code == 200, (kind, answer.text)
    assert [e["entity_id"] for e in wait_events(router, 12)] == [str(n) for n in range(12)]
    for kind, body in (("text/plain", form), ("text/plainer", form), ("application/json", text)):
        body = body % 0
        head = {"X-Sum": hex_of(body), "Content-Type": kind}
        answer = alone.w(body.encode(), "look-24", "form", headers=head)
        # As a form it has one name, the whole of it, that maps to nothing.
        assert answer.status_code == (200 if body[0] == "{" else 400), kind
    assert alone.accepted() == 12


@pytest.mark.parametrize("what, told", [
    ({"content_types": {"text/plain": "xml"}}, '"json" or "form"'),
    ({"content_types": {"text": "json"}}, "content type text"),
    ({"content_types": ["text/plain"]}, "must be an object"),
    ({"content_types": {"a/b": "json", "A/B": "json"}}, "twice"),
    ({"signature": {"scheme": "hmac-sha1"}}, "the scheme is not known"),
    ({"signature": {"scheme": "hmac-sha256", "header": "X", "encoding": "hex",
                    "signed": ["timestamp"]}}, "body must be signed"),
])
def test_a_file_that_is_wrong_stops_the_start(tmp_path, what, told):
    (tmp_path / "wrong.json").write_text(json.dumps({"id": "wrong", **what}))
    one = Alone(ENTRIES, {"SLUICE_CONNECTORS": str(tmp_path)})
    try:
        one.process.start()
        assert one.process.wait_end() != 0
        assert told in one.process.log() and "wrong.json" in one.process.log()
    finally:
        one.close()
