"""The SDKs that Apideck publishes, unchanged, against the five processes."""
import concurrent.futures
import datetime
import http.server
import threading
import time

import pytest
import requests

from harness.receiver import Receiver
from harness.stack import SANITIZED, Stack
from harness.wait import wait_until

from .sdk import NAMES, Driver, Refused, Sdk

MANY = 1003
STRANGE_ID = "no such ?&%#ü"


@pytest.fixture(scope="module")
def world():
    """One stack for all: each test makes the applications that it needs."""
    stack, receiver = Stack(apps=("acme", "other")), Receiver()
    try:
        yield stack.start(), receiver
        stack.stop()
        assert not stack.complaints()
    finally:
        print(stack.log_tails())
        stack.close()
        receiver.close()


@pytest.fixture(scope="module", params=NAMES)
def driver(request, world):
    one = Driver(request.param, world[0].api_url)
    yield one
    one.close()


@pytest.fixture
def name(driver):
    return driver.name


@pytest.fixture
def connect(driver):
    """connect(app) or connect(app, key="wrong"): a client by that SDK."""
    return lambda app, key=None, app_id=None, url=None: Sdk(
        driver, key or app.key, app_id or app.id, url
    )


def body(url, **more):
    return {
        "description": "by an SDK",
        "unified_api": "crm",
        "status": "enabled",
        "delivery_url": url,
        "events": ["crm.contact.created", "vault.connection.created"],
        **more,
    }


def test_every_operation(world, connect, name):
    stack, receiver = world
    app = stack.make_app(f"life-{name}")
    sdk = connect(app)
    url = f"{receiver.url}/{name}"

    made = sdk.create(body=body(url))
    assert made["status_code"] == 201 and made["status"] == "Created"
    hook = made["data"]
    assert hook["delivery_url"] == url and hook["description"] == "by an SDK"
    assert hook["status"] == "enabled" and hook["disabled_reason"] == "none"
    assert hook["events"] == ["crm.contact.created", "vault.connection.created"]
    assert hook["execute_base_url"].startswith("http") and hook["id"]

    got = sdk.get(id=hook["id"])
    assert got["status_code"] == 200 and got["data"] == hook
    changed = sdk.update(
        id=hook["id"],
        body={"description": None, "status": "disabled", "events": ["*"]},
    )["data"]
    assert changed.get("description") is None and changed["status"] == "disabled"
    assert changed["events"] == ["*"] and changed["delivery_url"] == url
    assert changed["created_at"] == hook["created_at"]
    again = sdk.update(id=hook["id"], body={"status": "enabled"})["data"]
    assert again["status"] == "enabled" and again["events"] == ["*"]

    page = sdk.list()
    assert [h["id"] for h in page["data"]] == [hook["id"]]
    assert page["meta"]["items_on_page"] == 1
    assert page["meta"]["cursors"].get("next") is None

    gone = sdk.delete(id=hook["id"])
    assert gone["status_code"] == 200 and gone["data"]["id"] == hook["id"]
    assert gone["data"]["events"] == ["*"]
    with pytest.raises(Refused) as refused:
        sdk.get(id=hook["id"])
    assert refused.value.status == 404
    assert sdk.list()["data"] == []


def test_a_url_that_does_not_answer(world, connect, name):
    stack, _ = world
    sdk = connect(stack.make_app(f"dead-{name}"))
    hook = sdk.create(body=body("http://127.0.0.1:9/"))["data"]
    assert hook["status"] == "disabled"
    assert hook["disabled_reason"] == "delivery_url_validation_failed"


def test_paging(world, connect, name):
    """More than a thousand, each once, in order, whatever the size of a page."""
    stack, receiver = world
    app = next((a for a in stack.apps if a.id == "many"), None)
    if app is None:
        app = stack.make_app("many")
        stack.apps.append(app)

        def create(i):
            return app.call(
                "POST", "/webhook/webhooks",
                body(f"{receiver.url}/many", description=str(i)),
            ).json()["data"]["id"]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            app.made = set(pool.map(create, range(MANY)))
    sdk = connect(app)
    for limit in (200, 37) if not SANITIZED else (200,):
        ids = [h["id"] for h in sdk.every(limit=limit)["data"]]
        assert len(ids) == MANY and set(ids) == app.made
    first = sdk.list(limit=3)
    second = sdk.list(limit=3, cursor=first["meta"]["cursors"]["next"])
    assert [h["id"] for h in first["data"] + second["data"]] == ids[:6]
    assert len(sdk.list()["data"]) == 20


@pytest.fixture(scope="module")
def logged(world):
    """An application with deliveries of which each filter finds some."""
    stack, receiver = world
    app = stack.make_app("logged")
    receiver.answer("/bad", lambda d, n: 500)
    app.subscribe(f"{receiver.url}/good")
    app.subscribe(f"{receiver.url}/bad", ["crm.lead.created"])
    app.connect("hubspot", "c-1")
    published = []
    for i, (kind, consumer) in enumerate(
        (k, c) for k in ("contact", "lead", "company") for c in ("c-1", "c-2")
    ):
        answer = app.publish({
            "event_type": f"crm.{kind}.created",
            "entity_id": str(i),
            "entity_type": kind,
            "consumer_id": consumer,
            "service_id": "hubspot" if consumer == "c-1" else "pipedrive",
            **({"event_id": "order-17"} if kind == "lead" else {}),
        })
        assert answer.status_code == 200, answer.text
        published += answer.json()["data"]["event_ids"]

    def attempted():
        rows = app.logs()
        return len(rows) >= 9 and all(r["attempts"] for r in rows) and rows

    # Eight, and the connection's own event.
    rows = wait_until(attempted, 30, "9 deliveries, each tried")
    app.event_id = published[0]
    return app, rows


def since(rows, at):
    return sorted(r["timestamp"] for r in rows)[at]


FILTERS = {
    "service": (lambda a, r: {"id": "hubspot"}, lambda x, v: x["service"]["id"] == v["id"]),
    "consumer_id": (lambda a, r: "c-2", lambda x, v: x["consumer_id"] == v),
    "entity_type": (lambda a, r: "lead", lambda x, v: x["entity_type"] == v),
    "event_type": (lambda a, r: "crm.company.created", lambda x, v: x["event_type"] == v),
    "exclude_apis": (lambda a, r: "vault,proxy", lambda x, v: x["unified_api"] != "vault"
                     and not x["event_type"].startswith("vault.")),
    "start_date": (lambda a, r: since(r, 3), lambda x, v: x["timestamp"] >= v),
    "end_date": (lambda a, r: since(r, 3), lambda x, v: x["timestamp"] <= v),
    "success": (lambda a, r: False, lambda x, v: x["success"] is v),
    "status_code": (lambda a, r: 500, lambda x, v: x["status_code"] == v),
    "status_codes": (lambda a, r: [200, 404], lambda x, v: x["status_code"] in v),
    "execution_attempt": (lambda a, r: 1, lambda x, v: x["execution_attempt"] == v),
    "event_id": (lambda a, r: a.event_id, lambda x, v: x["id"][:27] == v[:27]),
    "event_id of its publisher": (
        lambda a, r: "order-17", lambda x, v: f'"event_id":"{v}"' in x["request_body"]
    ),
}


@pytest.mark.parametrize("key", FILTERS)
def test_every_filter(logged, connect, key):
    app, rows = logged
    value, matches = FILTERS[key]
    value = value(app, rows)
    expected = [r["id"] for r in rows if matches(r, value)]
    assert expected
    found = connect(app).logs(limit=200, filter={key.split(" ")[0]: value})
    assert [r["id"] for r in found["data"]] == expected


def test_filters_together(logged, connect):
    app, rows = logged
    found = connect(app).logs(
        limit=200,
        filter={"service": {"id": "hubspot"}, "entity_type": "lead", "success": False},
    )["data"]
    assert [r["id"] for r in found] == [
        r["id"] for r in rows
        if r["service"]["id"] == "hubspot" and r["entity_type"] == "lead"
        and not r["success"]
    ]
    assert len(found) == 1


def test_logs_as_they_are(logged, connect, name):
    app, rows = logged
    sdk = connect(app)
    told = sdk.every_log(limit=3)["data"]
    assert [r["id"] for r in told] == [r["id"] for r in rows]
    good = next(r for r in told if r["success"] and r["entity_type"] == "contact")
    assert good["http_method"] == "POST" and good["application_id"] == app.id
    assert good["service"]["name"] in ("HubSpot", "Pipedrive")
    assert '"event_type":"crm.contact.created"' in good["request_body"]
    assert good["attempts"][0]["status_code"] == 200
    bad = next(r for r in told if not r["success"])
    assert bad["status_code"] == 500 and bad["retry_scheduled"] is True
    at = datetime.datetime.fromisoformat(bad["timestamp"].replace("Z", "+00:00"))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - at).total_seconds()) < 600, name


CLASSES = {
    "unify": {
        400: "BadRequestResponse", 401: "UnauthorizedResponse",
        402: "PaymentRequiredResponse", 404: "NotFoundResponse",
        422: "UnprocessableResponse",
    },
    "python": {
        400: "BadRequestResponse", 401: "UnauthorizedResponse",
        402: "PaymentRequiredResponse", 404: "NotFoundResponse",
        422: "UnprocessableResponse",
    },
    "node": {},
}


def refused(name, call, status, type_name):
    """The class that this SDK has for it, filled in."""
    with pytest.raises(Refused) as e:
        call()
    error = e.value.error
    kind = CLASSES[name].get(status, "Response" if name == "node" else "APIError")
    assert (error["class"], error["status"]) == (kind, status), error
    if kind != "APIError":
        assert error["type_name"] == type_name, error
        assert error["ref"].startswith("https://developers.apideck.com/errors#"), error
        assert error["detail"] and error["message"], error
    return error


def test_every_error(world, connect, name):
    stack, receiver = world
    app, other = stack.apps[:2]
    sdk = connect(app)
    hook = other.subscribe(f"{receiver.url}/other")
    right = body(f"{receiver.url}/x")

    bad = {**right, "delivery_url": "ftp://x"}
    error = refused(name, lambda: sdk.create(body=bad), 400, "RequestValidationError")
    assert error["detail"]["invalid"][0]["delivery_url"]
    refused(name, lambda: sdk.list(cursor="bm9uZQ=="), 400, "InvalidCursorError")
    refused(name, lambda: sdk.list(limit=201), 400, "RequestValidationError")
    refused(
        name, lambda: sdk.logs(filter={"status_code": 42}), 400, "UnsupportedFiltersError"
    )
    unknown = connect(app, key="sk_live_unknown")
    refused(name, unknown.list, 401, "UnauthorizedError")
    wrong = connect(app, app_id=other.id)
    refused(name, wrong.list, 401, "UnauthorizedError")
    for call in (
        lambda: sdk.get(id=hook["id"]),
        lambda: sdk.update(id=hook["id"], body={"description": "mine"}),
        lambda: sdk.delete(id=hook["id"]),
        lambda: sdk.get(id=STRANGE_ID),
    ):
        error = refused(name, call, 404, "EntityNotFoundError")
        assert error["detail"]["not_found"]["entity"] == "webhook"
    assert other.call("GET", f"/webhook/webhooks/{hook['id']}").json()["data"] == hook
    huge = {**right, "description": "x" * 300_000}
    refused(name, lambda: sdk.create(body=huge), 413, "PayloadTooLargeError")


def test_the_quota_is_used_up(world, connect, name):
    """402 as each SDK has a class for it; what is no creation goes on."""
    stack, receiver = world
    app = stack.make_app(f"quota-{name}")
    sdk = connect(app)
    hook = sdk.create(body=body(f"{receiver.url}/quota"))["data"]
    app.limit(quota=1)
    wait_until(lambda: app.usage()["quota"] == 1, 10, "the quota")
    answer = app.publish(
        {"event_type": "crm.lead.created", "entity_id": "1", "entity_type": "lead"}
    )
    assert answer.status_code == 200, answer.text
    wait_until(lambda: app.usage()["limited"], 10, "the limit")
    for call in (
        lambda: sdk.create(body=body(f"{receiver.url}/more")),
        lambda: sdk.update(id=hook["id"], body={"status": "enabled"}),
    ):
        error = refused(name, call, 402, "RequestLimitError")
        assert error["detail"] == "You have reached your limit of 1"
    shown = sdk.get(id=hook["id"])["data"]
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "usage_limit")
    app.limit(quota=0)
    wait_until(lambda: app.usage()["quota"] is None, 10, "the end of the quota")
    shown = sdk.update(id=hook["id"], body={"status": "enabled"})["data"]
    assert (shown["status"], shown["disabled_reason"]) == ("enabled", "none")


def test_too_many_requests(world, connect, name):
    """429 with Retry-After reaches the caller."""
    stack, _ = world
    app = stack.make_app(f"rate-{name}")
    sdk = connect(app)
    app.limit(rate=1)

    def refusal():
        try:
            sdk.list()
        except Refused as e:
            return e
        return None

    def again():
        raise wait_until(refusal, 30, "a refusal")

    error = refused(name, again, 429, "ConnectorRateLimitError")
    assert int(error["retry_after"]) >= 1
    time.sleep(int(error["retry_after"]))
    assert sdk.list()["data"] == []


class Keys(http.server.BaseHTTPRequestHandler):
    """Webhooks are keys: what leads an SDK to the api's routes of these."""

    protocol_version = "HTTP/1.1"

    def do_DELETE(self):
        answer = requests.delete(
            self.server.api + self.path.replace("/webhooks/", "/keys/"),
            headers={k: self.headers[k] for k in ("authorization", "x-apideck-app-id")},
            timeout=30,
        )
        self.send_response(answer.status_code)
        for name in ("Content-Type", "Content-Length", "Request-Id"):
            self.send_header(name, answer.headers[name])
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *args):
        pass


@pytest.fixture
def keys(world):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        server.api = world[0].api_url
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_wrong_state(world, connect, name, keys):
    """422, which no operation of the SDKs meets by itself."""
    app = world[0].app
    (key,) = app.call("GET", "/webhook/keys").json()["data"]
    sdk = connect(app, url=keys)
    refused(name, lambda: sdk.delete(id=key["id"]), 422, "InvalidStateError")


def test_an_enum_that_nobody_knows(world, connect, name):
    """The SDKs that look before they ask say so themselves; else the api does."""
    stack, receiver = world
    sdk = connect(stack.app)
    with pytest.raises(Refused) as e:
        sdk.create(body=body(f"{receiver.url}/x", unified_api="nothing"))
    assert name == "python" or e.value.status == 400


def test_no_store(world, connect, name):
    """Nothing is created while the change would not be in force."""
    stack, receiver = world
    app = stack.make_app(f"alone-{name}")
    sdk = connect(app)
    stack["logger"].signal(15)
    stack["logger"].wait_end()
    try:
        with pytest.raises(Refused) as e:
            sdk.create(body=body(f"{receiver.url}/y"))
        assert e.value.status == 503
        assert sdk.list()["data"] == []
    finally:
        stack.start("logger")
    wait_until(
        lambda: stack["api"].metric("sluice_api_sessions") >= 3, 20, "sessions"
    )
