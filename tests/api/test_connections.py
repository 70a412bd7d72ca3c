"""Connections: their life, their events, and what their URLs are worth."""
import concurrent.futures
import contextlib
import itertools
import json
import os
import random
import signal
import threading

import pytest
import requests

from harness.signature import sign_base64
from harness.wait import wait_until

FIELDS = {
    "event_id",
    "event_type",
    "service_id",
    "entity_id",
    "entity_type",
    "entity",
    "execution_attempt",
    "occurred_at",
}
KILLS = 6
HUBSPOT = [{"subscriptionType": "contact.creation", "objectId": 7, "portalId": 1}]


def samples():
    path = os.path.join(
        os.path.dirname(__file__), "..", "pipeline", "vault_events.json"
    )
    with open(path, encoding="utf-8") as f:
        return [e["payload"] for e in json.load(f)]


def act(app, connection, verb):
    answer = app.call("POST", f"/webhook/connections/{connection['id']}/{verb}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def call(url):
    return requests.post(url, json=HUBSPOT, timeout=10)


def types_of(deliveries):
    return [d.event_type.removeprefix("vault.connection.") for d in deliveries]


def test_decision_connections_emit_their_events_and_carry_the_fourteen_fields(stack, receiver):
    app = stack.app
    app.subscribe(receiver.url + "/vault", unified_api="vault")
    answer = app.call(
        "POST",
        "/webhook/connections",
        {
            "consumer_id": "test_user_id",
            "unified_api": "crm",
            "service_id": "hubspot",
            "name": "Hübspot \u001f",
            "icon": "https://example.com/icon.png",
            "logo": "https://example.com/logo.svg",
            "website": "https://example.com",
            "tag_line": "a line",
            "auth_type": "oauth2",
            "secret": "inbound",
        },
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    path = f"/webhook/connections/{made['id']}"
    assert app.call("PATCH", path, {"state": "authorized"}).status_code == 200
    act(app, made, "callable")
    act(app, made, "disable")
    act(app, made, "disable")  # it is: nothing to tell
    same = app.call("PATCH", path, {})  # no more than this
    assert same.json()["data"] == app.call("GET", path).json()["data"]
    act(app, made, "enable")
    act(app, made, "revoke")
    assert app.call("DELETE", path).json()["data"]["state"] == "added"
    got = receiver.wait_for(7)
    # By when they happened: several may be on the way at once.
    got.sort(key=lambda d: d.payload["entity"]["updated_at"])
    assert types_of(got) == [
        "created",
        "updated",
        "callable",
        "disabled",
        "updated",
        "revoked",
        "deleted",
    ]
    assert [d.payload["entity"]["state"] for d in got] == [
        "added",
        "authorized",
        "callable",
        "callable",
        "callable",
        "added",
        "available",
    ]
    wanted = samples()[0]
    for delivery in got:
        payload = delivery.payload
        assert set(payload) == FIELDS
        assert set(payload["entity"]) == set(wanted["entity"])
        assert payload["entity_id"] == payload["entity"]["id"] == "acme+test_user_id"
        assert payload["entity_type"] == "Connection"
        assert payload["service_id"] == "apideck-vault"
        assert payload["entity"]["name"] == "Hübspot \u001f"
        raw = json.dumps(
            delivery.json, separators=(",", ":"), sort_keys=True, ensure_ascii=False
        )
        assert delivery.body.decode() == raw
    assert [d.payload["entity"]["enabled"] for d in got].count(False) == 1
    events = app.call(
        "GET", "/webhook/events", params={"request_id": answer.headers["Request-Id"]}
    ).json()["data"]
    assert [e["event_type"] for e in events] == ["vault.connection.created"]


def test_connections_events_reach_the_webhooks_of_their_api(stack, receiver):
    stack.app.subscribe(receiver.url + "/crm", unified_api="crm")
    stack.app.subscribe(receiver.url + "/ats", unified_api="ats")
    stack.app.connect()
    receiver.wait_for(1, "/crm")
    assert receiver.count("/ats") == 0


def test_decision_connections_execute_url_is_ready_to_paste_until_revoked(make_stack, receiver):
    stack = make_stack({"ingest": 2}).start()
    app = stack.app
    app.subscribe(receiver.url + "/hook", events=["crm.contact.created"])
    made = app.connect()
    other = made["execute_url"].replace(
        stack.ingest_url("ingest"), stack.ingest_url("ingest2")
    )
    assert other != made["execute_url"]
    assert call(made["execute_url"]).status_code == 200
    assert call(other).status_code == 200
    receiver.wait_for(2, "/hook")

    act(app, made, "disable")
    for url in (made["execute_url"], other):
        refused = call(url)
        assert refused.status_code == 403
        assert refused.json()["type_name"] == "ConnectorDisabledError"
    act(app, made, "enable")
    assert call(other).status_code == 200

    again = act(app, made, "revoke")
    for url in (made["execute_url"], other):
        refused = call(url)
        assert refused.status_code == 401
        assert refused.json()["type_name"] == "UnauthorizedError"
    assert again["execute_url"] != made["execute_url"]
    assert call(again["execute_url"]).status_code == 200
    shown = app.call("GET", f"/webhook/connections/{made['id']}").json()["data"]
    assert shown == again

    app.call("DELETE", f"/webhook/connections/{made['id']}")
    gone = call(again["execute_url"])
    assert gone.status_code == 404
    assert gone.json()["type_name"] == "ConnectionNotFoundError"
    assert receiver.wait_for(4, "/hook")


def test_decision_connections_hold_the_inbound_secret_in_force_at_once_on_every_ingest(make_stack):
    stack = make_stack({"ingest": 2}).start()
    made = stack.app.connect("shopify", unified_api="ecommerce", secret="first")
    urls = [made["execute_url"]]
    urls.append(urls[0].replace(stack.ingest_url("ingest"), stack.ingest_url("ingest2")))
    body = b'{"id":1}'

    def statuses(secret):
        """Of both ingests, for a call that is signed with it, or not at all."""
        headers = {"X-Shopify-Topic": "orders/create"}
        if secret is not None:
            headers["X-Shopify-Hmac-Sha256"] = sign_base64(secret, body)
        return [requests.post(u, body, headers=headers, timeout=10).status_code for u in urls]

    def patch(**change):
        answer = stack.app.call("PATCH", f"/webhook/connections/{made['id']}", change)
        assert answer.status_code == 200 and "secret" not in answer.json()["data"]

    assert statuses("first") == [200, 200] and statuses(None) == [401, 401]
    patch(secret="second")
    assert statuses("first") == [401, 401] and statuses("second") == [200, 200]
    patch(name="Renamed")
    assert statuses("second") == [200, 200] and statuses(None) == [401, 401]
    patch(secret=None)
    assert statuses(None) == [200, 200]
    patch(secret="third")
    assert statuses("second") == [401, 401] and statuses("third") == [200, 200]
    # Known from the cache, while nobody could tell.
    stack.kill("api")
    for name in ("ingest", "ingest2"):
        stack[name].signal(signal.SIGTERM)
        assert stack[name].wait_end() == 0
        stack.start(name)
    assert statuses("second") == [401, 401] and statuses("third") == [200, 200]
    stack["api"].start()
    stack["api"].wait_ready()


@pytest.mark.parametrize(
    "point", ["api.committed:1", "api.outbox.sent:1", "api.outbox.completed:1"]
)
def test_connections_event_survives_the_api_and_comes_once(stack, receiver, point):
    app = stack.app
    app.subscribe(receiver.url + "/vault", unified_api="vault")
    stack.restart("api", extra={"SLUICE_FAIL_POINT": point})
    # Its followers are back: a write can be confirmed again.
    wait_until(
        lambda: stack["api"].metric("sluice_api_sessions") == 3, 20, "followers"
    )
    # With the last point the answer may be there before the end.
    with contextlib.suppress(requests.ConnectionError):
        app.connect()
    assert stack["api"].wait_end(10) == -9
    stack.start("api")
    receiver.wait_for(1)
    wait_until(
        lambda: stack["api"].metric("sluice_api_sessions") == 3, 20, "followers"
    )
    listed = app.call("GET", "/webhook/connections").json()["data"]
    assert len(listed) == 1
    # Another one behind it: by then a second copy would have come.
    app.connect(consumer_id="c-2")
    got = receiver.wait_for(2)
    assert sorted(d.payload["entity"]["consumer_id"] for d in got) == ["c-1", "c-2"]
    assert receiver.count() == 2


def test_connections_events_come_once_whenever_the_api_is_killed(stack, receiver):
    """Kills that nothing is timed by, under a client that goes on creating."""
    app, dice, never = stack.app, random.Random(KILLS), threading.Event()
    app.subscribe(receiver.url + "/vault", unified_api="vault")

    def followed():
        return stack["api"].metric("sluice_api_sessions") == 3

    def kill():
        for _ in range(KILLS):
            wait_until(followed, 20, "followers")
            never.wait(dice.random() * 0.1)
            stack.restart("api")
        wait_until(followed, 20, "followers")

    answered = set()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        for i in itertools.count():
            if killing.done():
                break
            body = {"consumer_id": f"c-{i}", "unified_api": "crm", "service_id": "hubspot"}
            with contextlib.suppress(requests.RequestException):
                if app.call("POST", "/webhook/connections", body).status_code == 201:
                    answered.add(f"c-{i}")
        killing.result()
    app.connect(consumer_id="last")

    listed, cursor = set(), ""
    while cursor is not None:
        page = app.call("GET", f"/webhook/connections?limit=200&cursor={cursor}").json()
        listed |= {c["consumer_id"] for c in page["data"]}
        cursor = page["meta"]["cursors"]["next"]
    assert answered <= listed and answered

    def told():
        """Whoever is there was told of, and of whoever is not, that too."""
        by = {}
        for d in receiver.deliveries():
            by.setdefault(d.payload["entity"]["consumer_id"], []).append(
                (d.event_type.rsplit(".", 1)[1], d.payload["event_id"])
            )
        return by if listed <= by.keys() else None

    by = wait_until(told, 20, "an event of each")
    wait_until(
        lambda: all(r["success"] for r in app.logs()) and len(app.logs()) == receiver.count(),
        20, "all deliveries",
    )
    by = told()
    ids = [name for events in by.values() for _, name in events]
    assert len(ids) == len(set(ids))
    for consumer, events in by.items():
        kinds = sorted(kind for kind, _ in events)
        # One that could not be confirmed is taken back, and says so.
        assert kinds == (["created"] if consumer in listed else ["created", "deleted"])
    print(f"{KILLS} kills, {len(listed)} connections, {len(ids)} events")


def test_connections_events_wait_while_no_router_is_there(stack, receiver):
    app = stack.app
    app.subscribe(receiver.url + "/vault", unified_api="vault")
    stack.kill("router")
    made = app.connect()
    act(app, made, "callable")
    stack.restart("api")
    assert receiver.count() == 0
    stack.start("router")
    assert sorted(types_of(receiver.wait_for(2))) == ["callable", "created"]
