"""HTTP/2 is for webhooks that ask for it, and for TLS. A real nginx before the
receiver says over which connection each request came."""
import threading

import pytest

from harness.tls import Authority, TlsFront
from harness.wait import wait_until

EVENT = {"event_type": "crm.lead.created", "entity_id": "e", "entity_type": "lead"}
TOGETHER = 8


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def make_front(tmp_path, authority, receiver):
    fronts = []

    def make(**more):
        folder = tmp_path / f"front{len(fronts)}"
        fronts.append(TlsFront(folder, authority, receiver.url, **more))
        return fronts[-1]

    yield make
    for front in fronts:
        front.close()


@pytest.fixture
def app(make_stack, authority):
    return make_stack(settings={"SLUICE_CA_FILE": authority.file}).start().app


def subscribe(app, url, **settings):
    hook = app.subscribe(url, events=["crm.lead.created"])
    path = f"/webhook/webhooks/{hook['id']}/settings"
    answer = app.call("PATCH", path, settings)
    assert answer.status_code == 200, answer.text
    return hook


def publish(app, count, **more):
    answer = app.publish([{**EVENT, **more} for _ in range(count)])
    assert answer.status_code == 200, answer.text


def meet(receiver, path, count):
    """None of them is answered before all are there."""
    barrier = threading.Barrier(count)

    def answer(delivery, n):
        barrier.wait(30)
        return 200

    receiver.answer(path, answer)


def answered(front, path, count):
    return wait_until(
        lambda: len(front.requests(path)) >= count and front.requests(path),
        30,
        lambda: f"{count} of {front.requests(path)}",
    )


def test_streams_at_once_share_one_connection(app, receiver, make_front):
    front = make_front()
    subscribe(app, front.url + "/two", http2=True, headers={"X-Tenant": "t 1"})
    meet(receiver, "/two", TOGETHER)
    publish(app, TOGETHER)
    rows = answered(front, "/two", TOGETHER + 1)
    # The URL was validated before the setting was there.
    assert rows[0].protocol == "HTTP/1.1"
    assert {r.protocol for r in rows[1:]} == {"HTTP/2.0"}
    assert len({r.connection for r in rows[1:]}) == 1
    assert rows[0].connection != rows[1].connection
    for delivery in receiver.deliveries("/two"):
        assert delivery.headers["x-tenant"] == "t 1"
        assert delivery.headers["content-type"] == "application/json"
        assert delivery.headers["user-agent"].startswith("Sluice/")
        assert delivery.headers["webhook-id"] == delivery.key
    wait_until(lambda: all(r["success"] for r in app.logs()), 10, "the logs")
    # Another burst, and another validation, use it again.
    receiver.answer("/two", lambda delivery, n: 200)
    publish(app, TOGETHER)
    rows = answered(front, "/two", 2 * TOGETHER + 1)
    assert len({r.connection for r in rows[1:]}) == 1


def test_the_default_is_http1_and_a_connection_each(app, receiver, make_front):
    front = make_front()
    subscribe(app, front.url + "/one")
    meet(receiver, "/one", TOGETHER)
    publish(app, TOGETHER)
    rows = answered(front, "/one", TOGETHER + 1)
    assert {r.protocol for r in rows} == {"HTTP/1.1"}
    assert len({r.connection for r in rows[1:]}) == TOGETHER


def test_who_does_not_speak_it_gets_http1(app, receiver, make_front):
    front = make_front(http2=False)
    hook = subscribe(app, front.url + "/old", http2=True)
    plain = subscribe(app, receiver.url + "/plain", http2=True)
    for path in ("/old", "/plain"):
        meet(receiver, path, TOGETHER)
    publish(app, TOGETHER)
    rows = answered(front, "/old", TOGETHER + 1)
    assert {r.protocol for r in rows} == {"HTTP/1.1"}
    for delivery in receiver.wait_for(TOGETHER, "/plain"):
        assert "upgrade" not in delivery.headers
    # And a validation of a webhook with the setting.
    for one in (hook, plain):
        url = {"delivery_url": one["delivery_url"] + "/moved"}
        answer = app.call("PATCH", f"/webhook/webhooks/{one['id']}", url)
        assert answer.json()["data"]["status"] == "enabled"


def test_large_bodies_and_connections_that_end(app, receiver, make_front):
    """Large ones go over HTTP/1.1, beside: the others lose nothing when a
    connection ends after some, or a server answers before it has read all."""
    front = make_front(requests_max=50)
    subscribe(app, front.url + "/two", http2=True)
    subscribe(app, front.url + "/early", http2=True)
    publish(app, 3, text="x" * 300_000)
    publish(app, 60)
    for path in ("/two", "/early"):
        rows = answered(front, path, 64)
        kinds = [r.protocol for r in rows]
        assert (kinds.count("HTTP/1.1"), kinds.count("HTTP/2.0")) == (4, 60)
    wait_until(lambda: all(r["success"] for r in app.logs()), 10, "the logs")
    assert {r["execution_attempt"] for r in app.logs()} == {1}


def test_an_authority_that_is_not_trusted_is_a_failure(make_stack, make_front):
    front = make_front()
    app = make_stack().start().app
    body = {
        "delivery_url": front.url + "/two",
        "status": "enabled",
        "events": ["*"],
        "unified_api": "crm",
    }
    data = app.call("POST", "/webhook/webhooks", body).json()["data"]
    assert data["disabled_reason"] == "delivery_url_validation_failed"
    path = f"/webhook/webhooks/{data['id']}/settings"
    assert app.call("GET", path).json()["data"]["disabled_cause"].startswith("tls")
