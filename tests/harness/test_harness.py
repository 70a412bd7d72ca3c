"""The tools of the system tests do what the tests believe they do."""
import json
import os
import socket

import pytest
import requests

from harness import signature
from harness.proxy import Proxy
from harness.wait import wait_until

KEY = "sk_live_test"
# Computed for the published procedure by hand.
VECTORS = [
    (
        b'{"message":"Validating delivery URL"}',
        "f2408ee602775022275d7a7a24be105445bb4899487321721ec56100c31d81c2",
    ),
    (
        b'{"payload":{"consumer_id":"test_user_id","entity_id":"123456ASDF",'
        b'"entity_type":"activity","entity_url":'
        b'"https://unify.apideck.com/crm/activities/123456ASDF","event_id":'
        b'"d290f1ee-6c54-4b01-90e6-d701748f0851","event_type":'
        b'"crm.activity.created","occurred_at":"2020-01-01T00:00:00.000Z",'
        b'"service_id":"hubspot","unified_api":"crm"}}',
        "dc818aa53da2e9b1538b913d0f3fd80449fbd4816da23de607bbd2d5e7ee572c",
    ),
]


@pytest.mark.parametrize("body,expected", VECTORS)
def test_signature_vectors(body, expected):
    assert signature.raw_is_right(KEY, body, expected)
    assert signature.parsed_is_right(KEY, body, expected)
    assert not signature.raw_is_right(KEY + "x", body, expected)


def test_parsed_signature_needs_canonical_bytes():
    body = b'{"b":1,"a":{"d":[{"z":1,"y":"\xc3\xa9/"}],"c":null}}'
    right = b'{"a":{"c":null,"d":[{"y":"\xc3\xa9/","z":1}]},"b":1}'
    assert signature.parsed_is_right(KEY, body, signature.sign(KEY, right))
    assert not signature.parsed_is_right(KEY, body, signature.sign(KEY, body))


def test_receiver_answers_as_told(receiver):
    receiver.answer("/flaky", lambda delivery, n: 500 if n < 3 else 200)
    answers = [
        requests.post(receiver.url + "/flaky", json={"n": n}, timeout=5).status_code
        for n in range(3)
    ]
    assert answers == [500, 500, 200]
    got = receiver.wait_for(3, "/flaky")
    assert [d.json["n"] for d in got] == [0, 1, 2]
    assert [d.status for d in got] == answers


def test_receiver_hangs(receiver):
    receiver.hang("/never")
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.post(receiver.url + "/never", data=b"{}", timeout=0.3)
    assert receiver.count("/never") == 1


def test_load_receiver_records(load_receiver):
    session = requests.Session()
    body = json.dumps({"payload": {"entity_id": "1", "text": "a b"}})
    for path, status in (("/a", 200), ("/status/503/b", 503)):
        answer = session.post(
            load_receiver.url + path,
            data=body,
            headers={
                "x-apideck-idempotency-key": "k-1",
                "x-apideck-signature": "ab",
            },
            timeout=5,
        )
        assert answer.status_code == status
    with pytest.raises(requests.exceptions.ReadTimeout):
        session.post(load_receiver.url + "/hang/c", data=body, timeout=0.3)
    rows = wait_until(
        lambda: len(load_receiver.rows()) == 3 and load_receiver.rows()
    )
    assert [r[1:4] for r in rows] == [
        (200, "/a", "k-1"),
        (503, "/status/503/b", "k-1"),
        (0, "/hang/c", "-"),
    ]
    assert rows[0][5] == body.encode()


def test_proxy_cuts(tmp_path):
    target = str(tmp_path / "t.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(target)
        listener.listen(4)
        proxy = Proxy(str(tmp_path / "p.sock"), f"ipc://{target}")
        path = proxy.address.removeprefix("ipc://")
        assert os.path.exists(path)
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(path)
        server, _ = listener.accept()
        server.settimeout(0.2)
        client.sendall(b"one")
        assert server.recv(10) == b"one"
        proxy.freeze()
        client.sendall(b"two")
        with pytest.raises(TimeoutError):
            server.recv(10)
        proxy.resume()
        server.settimeout(5)
        assert server.recv(10) == b"two"
        proxy.refuse()
        assert client.recv(10) == b""
        assert server.recv(10) == b""
        proxy.close()
        for s in (client, server):
            s.close()
