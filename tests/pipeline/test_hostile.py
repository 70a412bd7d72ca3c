"""What must be refused is refused with the right status, and nothing is kept."""
import json
import socket
import sqlite3
import time

import pytest
import requests
from pipeline import hubspot

from harness import token
from harness.wait import wait_until

GOOD = {"event_type": "crm.contact.created", "entity_id": "9", "entity_type": "contact"}


def altered(text):
    """The token with one character of its signature changed."""
    head, _, tail = text.rpartition(".")
    return f"{head}.{'B' if tail[0] != 'B' else 'C'}{tail[1:]}"


def slow_drip(url):
    """A body that never becomes whole; the status of the answer."""
    host, port = url.removeprefix("http://").split("/")[0].split(":")
    path = "/" + url.removeprefix("http://").split("/", 1)[1]
    with socket.create_connection((host, int(port)), timeout=20) as s:
        s.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 100\r\n\r\n".encode()
        )
        deadline = time.monotonic() + 15
        s.settimeout(0.2)
        answer = b""
        while b"\r\n" not in answer and time.monotonic() < deadline:
            try:
                s.sendall(b" ")
                answer += s.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
        return int(answer.split()[1]) if answer else None


def requests_of(stack, connection):
    """(what, URL, body or bytes, headers, status)"""
    good = connection["execute_url"]
    service = "/hubspot"
    text = token.of_url(good)
    base = good[: good.index(text)]
    values = token.claims(text)
    secret = token.key(stack)
    one = [hubspot.event(1)]
    events = stack.ingest_url() + "/webhook/events"
    key = {
        "Authorization": f"Bearer {stack.app.key}",
        "x-apideck-app-id": stack.app.id,
    }

    def forged(algorithm="HS256", with_secret=secret, **more):
        return base + token.mint(with_secret, {**values, **more}, algorithm) + service

    return [
        ("altered signature", base + altered(text) + service, one, {}, 401),
        ("no token at all", base + "x" + service, one, {}, 401),
        ("alg none", forged("none"), one, {}, 401),
        ("alg HS512", forged("HS512"), one, {}, 401),
        ("another key", forged(with_secret=b"k" * 32), one, {}, 401),
        ("expired", forged(e=int(time.time()) - 60), one, {}, 401),
        ("bad JSON", good, b'[{"eventId":1,]', {}, 400),
        ("cut JSON", good, b'[{"eventId":1', {}, 400),
        ("scalar", good, b"17", {}, 400),
        ("array of scalars", good, b"[1,2]", {}, 400),
        ("not UTF-8", good, b'{"subscriptionType":"\xff\xfe"}', {}, 400),
        ("depth bomb", good, b"[" * 100000, {}, 400),
        ("deep but whole", good, b"[" * 65 + b"]" * 65, {}, 400),
        ("2 MiB", good, b'[{"a":"' + b"x" * (2 << 20) + b'"}]', {}, 413),
        ("unknown service", base + text + "/nosuch", one, {}, 404),
        ("unknown route", stack.ingest_url() + "/webhook/nosuch", one, {}, 404),
        ("root", stack.ingest_url() + "/", one, {}, 404),
        ("no key", events, GOOD, {}, 401),
        ("wrong key", events, GOOD, {**key, "Authorization": "Bearer sk_no"}, 401),
        ("no app id", events, GOOD, {"Authorization": key["Authorization"]}, 400),
        ("other app id", events, GOOD, {**key, "x-apideck-app-id": "b"}, 401),
        ("no event type", events, {"entity_id": "9"}, key, 400),
    ]


def post(url, body, headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(
        url,
        data=data,
        headers={"Content-Type": "application/json", **headers},
        timeout=20,
    )


def stored(stack):
    """Events in the event store, without those a new connection makes."""
    with sqlite3.connect(f"file:{stack.data}/store/events.db?mode=ro", uri=True) as db:
        return db.execute(
            "SELECT count(*) FROM events WHERE event_type NOT LIKE 'vault.%'"
        ).fetchone()[0]


def test_refusals_keep_nothing(stack, receiver):
    app = stack.app
    app.subscribe(receiver.url + "/hook", events=["crm.*"])
    connection = app.connect()
    for what, url, body, headers, status in requests_of(stack, connection):
        answer = post(url, body, headers)
        assert answer.status_code == status, (what, answer.status_code, answer.text)
        assert answer.headers["content-type"].startswith("application/json"), what
        error = answer.json()
        assert error["status_code"] == status, (what, error)
        assert error["type_name"] and error["message"] and error["ref"], what
        assert answer.headers["Request-Id"], what

    # What was forged above differs from this one in a single thing each.
    text = token.of_url(connection["execute_url"])
    again = token.mint(token.key(stack), token.claims(text))
    url = connection["execute_url"].replace(text, again)
    assert post(url, [hubspot.event(77)], {}).status_code == 200
    receiver.wait_for(1)
    assert receiver.deliveries()[0].payload["entity_id"] == "77"
    assert [r["id"] for r in app.logs()] == [receiver.deliveries()[0].key]
    wait_until(lambda: stored(stack) == 1, 10, "one event")


@pytest.mark.parametrize("path", ["/webhook/events"])
def test_slow_drip(make_stack, path):
    stack = make_stack(settings={"SLUICE_REQUEST_TIMEOUT": "1s"}).start()
    assert slow_drip(stack.ingest_url() + path) == 408
    assert stored(stack) == 0


def test_unmapped_event_names_are_accepted_and_go_nowhere(stack, receiver):
    """Senders switch a hook off that fails, so unknown names get 200."""
    app = stack.app
    app.subscribe(receiver.url + "/hook", events=["crm.*"])
    url = app.connect()["execute_url"]
    assert post(url, [hubspot.event(5, "no.such.kind")], {}).status_code == 200
    assert post(url, [], {}).status_code == 200
    assert post(url, [hubspot.event(6)], {}).status_code == 200
    receiver.wait_for(1)
    assert [d.payload["entity_id"] for d in receiver.deliveries()] == ["6"]
    assert len(app.logs()) == 1
