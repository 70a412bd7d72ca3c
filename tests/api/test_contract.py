"""The api process alone, between a client and a logger that the test plays."""
import subprocess
import time
import uuid

import msgpack
import pytest
import requests

from harness import token
from harness.stack import BUILD, Stack
from harness.wait import wait_until
from harness.wire import Peer, pack

WINDOW = 64
SUBSCRIPTION, CONNECTION = 3, 4  # enum msg_entry_kind
DUE, DELIVERED, FAILED = 1, 3, 4  # enum msg_state
WEBHOOK_KEYS = [
    "id",
    "description",
    "unified_api",
    "status",
    "disabled_reason",
    "delivery_url",
    "execute_base_url",
    "events",
    "updated_at",
    "created_at",
]


class Logger:
    """Follows the directory, and answers questions with the pages given."""

    def __init__(self, stack, window=WINDOW):
        """window: of the directory; 0 grants nothing, so confirms nothing."""
        self.pages = []
        self.questions = []
        self.probes = []
        self.probed = {"verdict": 1, "status": 200}
        self.follower = Peer("logger", connect=stack.link("api"), window=window)
        self.asked = Peer(
            "logger", bind=stack.link("logger"), judge=self._judge, window=WINDOW
        )
        assert self.follower.up.wait(10)
        assert self.asked.up.wait(10)

    def _judge(self, kind, fields):
        if kind == "PROBE":
            self.probes.append(fields)
            if self.probed:
                self.asked.send(pack("PROBED", query=fields["query"], **self.probed))
            return
        assert kind in ("QUERY", "REPLAY")
        self.questions.append(fields)
        if self.pages:
            page = self.pages.pop(0)
            self.asked.send(pack("PAGE", query=fields["query"], **page))

    def whole(self):
        return any(m.get("phase") == 2 for _, m, _ in self.follower.got)

    def changes(self):
        return [m for _, m, _ in self.follower.got if not m.get("phase")]

    def close(self):
        self.follower.close()
        self.asked.close()


@pytest.fixture
def alone(make_stack):
    return make_stack().start("api")


@pytest.fixture
def logger(alone):
    one = Logger(alone)
    wait_until(one.whole, 10, "snapshot")
    yield one
    one.close()


def create(app, **more):
    body = {
        "delivery_url": "http://127.0.0.1:9/hook",
        "status": "enabled",
        "events": ["*"],
        "unified_api": "crm",
        **more,
    }
    return app.call("POST", "/webhook/webhooks", body)


def error(answer, status, type_name):
    body = answer.json()
    assert answer.status_code == body["status_code"] == status, answer.text
    assert body["type_name"] == type_name
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["request-id"])
    return body


def test_webhook_life(alone, logger):
    app = alone.app
    made = create(app, events=["crm.contact.*", "crm.notes.created"])
    assert made.status_code == 201
    assert [made.json()[k] for k in ("status_code", "status")] == [201, "Created"]
    hook = made.json()["data"]
    assert list(hook) == WEBHOOK_KEYS
    assert hook["status"] == "enabled" and hook["disabled_reason"] == "none"
    assert hook["description"] is None
    assert hook["events"] == [
        "crm.contact.created",
        "crm.contact.updated",
        "crm.contact.deleted",
        "crm.note.created",
    ]

    secret = token.key(alone)
    text = token.of_url(hook["execute_base_url"])
    claims = token.claims(text)
    assert text == token.mint(secret, claims)
    assert claims["k"] == "i" and claims["u"] == "crm" and claims["a"] == 1
    change = logger.changes()[-1]
    application, entry = change["entries"]
    assert claims["n"] == change["number"] == entry["number"]
    assert application["kind"] == 1 and application["number"] == change["number"]
    assert entry["kind"] == SUBSCRIPTION and entry["subscription"] == claims["s"]
    assert entry["events"] == "crm.contact.*,crm.note.created"
    assert entry["url"] == "http://127.0.0.1:9/hook" and entry["enabled"]

    path = f"/webhook/webhooks/{hook['id']}"
    assert app.call("GET", path).json()["data"] == hook
    changed = app.call(
        "PATCH", path, {"description": "mine", "status": "disabled", "events": []}
    )
    assert changed.status_code == 200 and changed.json()["status"] == "OK"
    data = changed.json()["data"]
    assert data["description"] == "mine" and data["events"] == []
    assert data["status"] == "disabled" and data["disabled_reason"] == "none"
    assert data["execute_base_url"] == hook["execute_base_url"]
    assert data["updated_at"] > hook["updated_at"] == hook["created_at"]
    assert "enabled" not in logger.changes()[-1]["entries"][1]
    cleared = app.call("PATCH", path, {"description": None}).json()["data"]
    assert cleared["description"] is None
    before = len(logger.changes())
    assert app.call("PATCH", path, {}).json()["data"] == cleared
    assert len(logger.changes()) == before

    gone = app.call("DELETE", path)
    assert gone.status_code == 200 and gone.json()["data"] == cleared
    assert logger.changes()[-1]["entries"][1]["deleted"]
    body = error(app.call("GET", path), 404, "EntityNotFoundError")
    assert body["detail"] == {"not_found": {"entity": "webhook", "id": hook["id"]}}


@pytest.mark.parametrize(
    "change, where",
    [
        ({"delivery_url": None}, "invalid"),
        ({"delivery_url": "ftp://a.test/"}, "invalid"),
        ({"delivery_url": "http://" + "a" * 3000}, "invalid"),
        ({"status": "on"}, "invalid"),
        ({"status": 1}, "invalid"),
        ({"unified_api": "proxy"}, "invalid"),
        ({"events": "*"}, "invalid"),
        ({"events": [1]}, "invalid"),
        ({"events": ["crm.contact.made"]}, "invalid"),
        ({"description": 5}, "invalid"),
        ({"secret": "x"}, "invalid"),
        ({"events": ...}, "missing"),
        ({"unified_api": ...}, "missing"),
    ],
)
def test_bad_body(alone, change, where):
    body = {
        "delivery_url": "http://127.0.0.1:9/hook",
        "status": "enabled",
        "events": ["*"],
        "unified_api": "crm",
        **change,
    }
    body = {k: v for k, v in body.items() if v is not ...}
    answer = alone.app.call("POST", "/webhook/webhooks", body)
    detail = error(answer, 400, "RequestValidationError")["detail"]
    assert [list(d) for d in detail[where]] == [list(change)]


def test_refusals(alone, logger):
    app, url = alone.app, alone.api_url + "/webhook/webhooks"
    headers = {"Authorization": f"Bearer {app.key}"}
    error(requests.get(url, timeout=10), 401, "UnauthorizedError")
    error(
        requests.get(url, headers={"Authorization": "Bearer no"}, timeout=10),
        401,
        "UnauthorizedError",
    )
    error(
        requests.get(url, headers=headers, timeout=10),
        400,
        "RequestHeadersValidationError",
    )
    error(
        requests.get(url, headers={**headers, "x-apideck-app-id": "b"}, timeout=10),
        401,
        "UnauthorizedError",
    )
    error(app.call("GET", "/webhook/nothing"), 404, "EntityNotFoundError")
    refused = app.call("DELETE", "/webhook/webhooks")
    error(refused, 405, "MethodNotAllowedError")
    assert refused.headers["allow"] == "GET, POST"
    answer = app.session.post(url, data="a=b", headers={"content-type": "text/plain"})
    error(answer, 415, "UnsupportedMediaTypeError")
    for text in ("", "{", "[]", '{"a":1,"a":2}', "[" * 3000):
        answer = app.session.post(
            url, data=text, headers={"content-type": "application/json"}
        )
        error(answer, 400, "RequestValidationError")
    answer = app.session.post(
        url, data="x" * (1 << 20), headers={"content-type": "application/json"}
    )
    error(answer, 413, "PayloadTooLargeError")
    for limit in ("0", "201", "x", "-1"):
        error(
            app.call("GET", f"/webhook/webhooks?limit={limit}"),
            400,
            "RequestValidationError",
        )
    error(
        app.call("POST", "/webhook/webhooks?_method=BREW"),
        400,
        "RequestValidationError",
    )


def test_method_in_the_query(alone, logger):
    app = alone.app
    path = f"/webhook/webhooks/{create(app).json()['data']['id']}"
    answer = app.call("POST", path + "?_method=PATCH", {"description": "d"})
    assert answer.json()["data"]["description"] == "d"
    assert app.call("GET", path + "?_method=DELETE").status_code == 200
    error(app.call("GET", path), 404, "EntityNotFoundError")


def test_pages_forth_and_back(alone, logger):
    app = alone.app
    ids = [create(app, description=str(n)).json()["data"]["id"] for n in range(5)]
    pages, cursor = [], ""
    while cursor is not None:
        answer = app.call("GET", f"/webhook/webhooks?limit=2&cursor={cursor}").json()
        pages.append(answer)
        cursor = answer["meta"]["cursors"]["next"]
    assert [d["id"] for p in pages for d in p["data"]] == ids
    assert [p["meta"]["items_on_page"] for p in pages] == [2, 2, 1]
    assert {p["meta"]["total_count"] for p in pages} == {5}
    assert pages[0]["meta"]["cursors"]["previous"] is None
    for name, page in (("previous", pages[1]), ("current", pages[2]), ("next", pages[0])):
        assert "limit=2" in page["links"][name]
        linked = app.session.get(page["links"][name]).json()["data"]
        want = {"previous": 0, "current": 2, "next": 1}[name]
        assert linked == pages[want]["data"]
    cursor = pages[0]["meta"]["cursors"]["next"]
    error(
        app.call("GET", f"/webhook/connections?cursor={cursor}"),
        400,
        "InvalidCursorError",
    )
    error(app.call("GET", "/webhook/webhooks?cursor=MQ%3D%3D"), 400, "InvalidCursorError")


def test_applications_see_their_own(make_stack):
    stack = make_stack(apps=("one", "two")).start("api")
    logger = Logger(stack)
    wait_until(logger.whole, 10, "snapshot")
    one, two = stack.apps
    hook = create(one).json()["data"]
    error(two.call("GET", f"/webhook/webhooks/{hook['id']}"), 404, "EntityNotFoundError")
    assert two.call("GET", "/webhook/webhooks").json()["data"] == []
    # Made beside the running process, it works at once.
    three = stack.make_app("three")
    assert three.call("GET", "/webhook/webhooks").status_code == 200
    wait_until(
        lambda: any(
            e["id"] == "three" for m in logger.changes() for e in m["entries"]
        ),
        10,
        "new application in the directory",
    )
    logger.close()


def test_no_logger_no_write(alone):
    answer = create(alone.app)
    error(answer, 503, "ServiceUnavailableError")
    assert answer.headers["retry-after"]
    assert alone.app.call("GET", "/webhook/webhooks").json()["data"] == []


def test_unconfirmed_creation_is_taken_back(alone):
    logger = Logger(alone, window=0)
    began = time.monotonic()
    error(create(alone.app), 503, "ServiceUnavailableError")
    assert 4 < time.monotonic() - began < 8
    assert alone.app.call("GET", "/webhook/webhooks").json()["data"] == []
    logger.close()


def test_delivery_url_is_validated(alone, logger):
    app = alone.app
    hook = create(app).json()["data"]
    (probe,) = logger.probes
    assert probe["url"] == "http://127.0.0.1:9/hook" and probe["app"] == 1
    assert probe["body"] == b'{"message":"Validating delivery URL"}'
    assert probe["event_type"] == "apideck.subscription.created"
    assert len(probe["secret"]) == len(app.key) + 29

    path = f"/webhook/webhooks/{hook['id']}"
    for change in ({"delivery_url": hook["delivery_url"]}, {"status": "enabled"}):
        assert app.call("PATCH", path, change).status_code == 200
    assert len(logger.probes) == 1
    logger.probed = {"verdict": 2, "status": 404}
    data = app.call("PATCH", path, {"delivery_url": "http://a.test/"}).json()["data"]
    failed = "delivery_url_validation_failed"
    assert data["delivery_url"] == "http://a.test/" and data["status"] == "disabled"
    assert data["disabled_reason"] == failed
    assert logger.changes()[-1]["entries"][1]["reason"] == failed
    # Enabling alone does not call it.
    data = app.call("PATCH", path, {"status": "enabled"}).json()["data"]
    assert data["status"] == "enabled" and data["disabled_reason"] == "none"
    assert len(logger.probes) == 2

    answer = create(app)
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["status"] == "disabled" and data["disabled_reason"] == failed
    logger.probed = {"verdict": 1, "status": 204}
    path = f"/webhook/webhooks/{data['id']}"
    data = app.call("PATCH", path, {"delivery_url": "http://b.test/"}).json()["data"]
    assert data["status"] == "enabled" and data["disabled_reason"] == "none"
    data = app.call(
        "PATCH", path, {"delivery_url": "http://c.test/", "status": "disabled"}
    ).json()["data"]
    assert data["status"] == "disabled" and data["disabled_reason"] == "none"
    data = create(app, status="disabled").json()["data"]
    assert data["status"] == "disabled" and data["disabled_reason"] == "none"


def test_nobody_to_validate(alone, logger):
    """The write is answered all the same, and says why nothing is sent."""
    app, failed = alone.app, "delivery_url_validation_failed"
    path = f"/webhook/webhooks/{create(app).json()['data']['id']}"
    logger.probed = {"verdict": 0, "error": "no deliverer is connected"}
    answer = create(app)
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("disabled", failed)
    settings = app.call("GET", f"/webhook/webhooks/{data['id']}/settings").json()["data"]
    assert settings["disabled_cause"] == "not called: no deliverer is connected"
    assert 'validation=failed cause="not called: no deliverer is connected"' in (
        alone["api"].log()
    )
    data = app.call("PATCH", path, {"delivery_url": "http://a.test/"}).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("disabled", failed)

    logger.probed = None  # not even an answer
    count = len(app.call("GET", "/webhook/webhooks").json()["data"])
    with pytest.raises(requests.Timeout):
        app.session.post(
            alone.api_url + "/webhook/webhooks",
            json={
                "delivery_url": "http://a.test/",
                "status": "enabled",
                "events": [],
                "unified_api": "crm",
            },
            timeout=0.5,
        )
    began = time.monotonic()
    answer = create(app)
    assert 11 < time.monotonic() - began < 15
    assert answer.json()["data"]["disabled_reason"] == failed
    # What was asked for is done, even if who asked went away meanwhile.
    assert len(app.call("GET", "/webhook/webhooks").json()["data"]) == count + 2


def test_restart_keeps_everything(alone):
    logger = Logger(alone)
    hook = create(alone.app).json()["data"]
    number = logger.changes()[-1]["number"]
    logger.close()
    alone.restart("api")
    assert alone.app.call("GET", f"/webhook/webhooks/{hook['id']}").json()["data"] == hook
    logger = Logger(alone)
    wait_until(logger.whole, 10, "snapshot")
    entries = [e for _, m, _ in logger.follower.got for e in m.get("entries", [])]
    assert [e["id"] for e in entries if e["kind"] == SUBSCRIPTION] == [hook["id"]]
    assert logger.follower.got[-1][1]["number"] >= number
    create(alone.app)
    assert logger.changes()[-1]["number"] > number
    logger.close()


def notice(logger, entry, number, reason="retry_limit", **more):
    seq = logger.follower.send(
        pack(
            "NOTICE",
            subscription=entry["subscription"],
            app=entry["app"],
            number=number,
            reason=reason,
            **more,
        )
    )
    logger.follower.wait_judged([seq])


def test_notice_disables(alone, logger):
    app = alone.app
    hook = create(app).json()["data"]
    path = f"/webhook/webhooks/{hook['id']}"
    entry = logger.changes()[-1]["entries"][1]
    notice(logger, entry, entry["number"], "retry_limit: 5 attempts failed")
    data = app.call("GET", path).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("disabled", "retry_limit")
    wait_until(
        lambda: logger.changes()[-1]["entries"][1].get("reason") == "retry_limit",
        10,
        "the change that answers",
    )
    stale = logger.changes()[-1]["number"]
    before = len(logger.changes())
    notice(logger, entry, entry["number"])  # said again: nothing more happens
    assert len(logger.changes()) == before

    data = app.call("PATCH", path, {"status": "enabled"}).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("enabled", "none")
    notice(logger, entry, stale)  # about the time before it was enabled
    assert app.call("GET", path).json()["data"]["status"] == "enabled"
    notice(logger, entry, logger.changes()[-1]["number"], "usage_limit")
    data = app.call("GET", path).json()["data"]
    assert data["disabled_reason"] == "usage_limit"
    # Held once more by what came back late: answered, nothing else changes.
    number = logger.changes()[-1]["number"]
    notice(logger, entry, number, "retry_limit")
    wait_until(lambda: logger.changes()[-1]["number"] > number, 10, "an answer")
    data = app.call("GET", path).json()["data"]
    assert data["disabled_reason"] == "usage_limit"
    notice(logger, {"subscription": 999, "app": 1}, stale)  # nobody's


def test_connection_life(alone, logger):
    app = alone.app
    body = {
        "consumer_id": "c-1",
        "service_id": "hubspot",
        "unified_api": "crm",
        "secret": "inbound",
        "website": "https://hubspot.com",
    }
    made = app.call("POST", "/webhook/connections", body)
    assert made.status_code == 201
    data = made.json()["data"]
    assert data["name"] == "HubSpot" and data["state"] == "added" and data["enabled"]
    assert "secret" not in data and "inbound" not in made.text
    claims = token.claims(token.of_url(data["execute_url"]))
    entry = logger.changes()[-1]["entries"][1]
    assert data["execute_url"].endswith("/hubspot")
    assert claims["k"] == "c" and claims["l"] == entry["lookup"]
    assert claims["n"] == entry["number"]
    assert entry["kind"] == CONNECTION and entry["consumer_id"] == "c-1"
    assert len(entry["secret"]) == len("inbound") + 29
    error(app.call("POST", "/webhook/connections", body), 409, "ConflictError")

    path = f"/webhook/connections/{data['id']}"
    changed = app.call("PATCH", path, {"enabled": False, "secret": None, "name": "H"})
    assert changed.json()["data"]["name"] == "H"
    entry = logger.changes()[-1]["entries"][1]
    assert "enabled" not in entry and "secret" not in entry
    error(
        app.call("PATCH", path, {"consumer_id": "c-2"}), 400, "RequestValidationError"
    )
    assert app.call("GET", "/webhook/connections").json()["meta"]["items_on_page"] == 1
    assert app.call("DELETE", path).status_code == 200
    assert logger.changes()[-1]["entries"][1]["deleted"]
    assert app.call("POST", "/webhook/connections", body).status_code == 201


def row(custody, subscription=1, **more):
    delivery = custody[:12] + subscription.to_bytes(4, "big")
    body = b'{"payload":{"event_type":"crm.contact.created","execution_attempt":}}'
    return {
        "delivery": delivery,
        "app": 1,
        "subscription": subscription,
        "event_type": "crm.contact.created",
        "unified_api": "crm",
        "service_id": "hubspot",
        "consumer_id": "c-1",
        "entity_type": "contact",
        "request_id": custody,
        "body": body,
        "hole": len(body) - 2,
        "url": "http://127.0.0.1:9/hook",
        "state": DELIVERED,
        "status": 200,
        "attempt": 2,
        "planned_ms": 1700000000123,
        "response": b"ok \xff",
        "attempts": [
            {"attempt": 1, "status": 0, "verdict": 2, "at_ms": 1700000001000},
            {"attempt": 2, "status": 200, "verdict": 1, "at_ms": 1700000002000},
        ],
        **more,
    }


def test_logs(alone, logger):
    app = alone.app
    custody = uuid.uuid4().bytes[:12] + bytes(4)
    logger.pages = [
        {"rows": [row(custody), row(custody, 2, state=DUE, status=500, attempt=1)],
         "cursor": b"twelve bytes"},
        {"rows": [row(custody, 3, state=FAILED, status=0)]},
        {"rows": [row(custody, 4, attempt=0, state=DUE, attempts=[])]},
    ]
    answer = app.call(
        "GET",
        "/webhook/logs?limit=2&filter%5Bservice%5D%5Bid%5D=hubspot"
        "&filter%5Bstatus_codes%5D=200&filter%5Bstatus_codes%5D=500"
        "&filter[success]=true&filter[start_date]=2023-01-01T00%3A00%3A00.000Z",
    ).json()
    asked = logger.questions[0]
    assert asked["limit"] == 2 and asked["app"] == 1 and asked["what"] == 1
    assert asked["service_id"] == "hubspot" and asked["statuses"] == "200,500"
    assert asked["success"] == 1 and asked["from_ms"] == 1672531200000
    log = answer["data"][0]
    assert log == {
        "id": str(uuid.UUID(bytes=custody[:12] + b"\0\0\0\1")),
        "status_code": 200,
        "success": True,
        "application_id": app.id,
        "consumer_id": "c-1",
        "unified_api": "crm",
        "service": {"id": "hubspot", "name": "HubSpot"},
        "endpoint": "http://127.0.0.1:9/hook",
        "event_type": "crm.contact.created",
        "execution_attempt": 2,
        "http_method": "POST",
        "timestamp": "2023-11-14T22:13:20.123Z",
        "entity_type": "contact",
        "request_body":
            '{"payload":{"event_type":"crm.contact.created","execution_attempt":2}}',
        "response_body": "ok \ufffd",
        "retry_scheduled": False,
        "attempts": [
            {
                "timestamp": "2023-11-14T22:13:21.000Z",
                "execution_attempt": 1,
                "status_code": 0,
                "success": False,
            },
            {
                "timestamp": "2023-11-14T22:13:22.000Z",
                "execution_attempt": 2,
                "status_code": 200,
                "success": True,
            },
        ],
    }
    retried = answer["data"][1]
    assert retried["retry_scheduled"] and not retried["success"]
    assert answer["meta"]["items_on_page"] == 2
    assert "total_count" not in answer["meta"]

    link = answer["links"]["next"]
    assert "filter%5Bservice%5D%5Bid%5D=hubspot" in link and "limit=2" in link
    second = app.session.get(link).json()
    assert logger.questions[1]["cursor"] == b"twelve bytes"
    assert second["meta"]["cursors"]["next"] is None
    assert not second["data"][0]["retry_scheduled"]
    first = app.session.get(second["links"]["previous"]).json()
    assert "cursor" not in logger.questions[2]
    waiting = first["data"][0]
    assert "request_body" not in waiting and waiting["attempts"] == []
    assert not waiting["retry_scheduled"]

    cursor = answer["meta"]["cursors"]["next"]
    error(app.call("GET", f"/webhook/logs?cursor={cursor}"), 400, "InvalidCursorError")
    error(
        app.call("GET", "/webhook/logs?filter[colour]=red"),
        400,
        "UnsupportedFiltersError",
    )


def test_raw_of_a_large_log_is_bounded(alone, logger):
    """A body of the largest size, and as many attempts as a row may have."""
    custody = uuid.uuid4().bytes[:12] + bytes(4)
    body = b'{"payload":{"a":"' + b'\\"' * (600 << 10) + b'","execution_attempt":}}'
    attempts = [
        {"attempt": i + 1, "status": 500, "verdict": 2, "at_ms": 1700000001000}
        for i in range(256)
    ]
    logger.pages = [{"rows": [row(custody, body=body, hole=len(body) - 2, attempts=attempts)]}]
    answer = alone.app.call("GET", "/webhook/logs?raw=true")
    assert answer.status_code == 200
    raw = answer.json()["_raw"]["logs"][0]["attempts"]
    shown = [a["request"]["body"] for a in raw]
    assert len(shown) == 256 and shown[-1] is None
    assert shown[0] == body[:-2].decode() + "1}}" and len(answer.content) < 64 << 20


def test_silent_logger(alone, logger):
    began = time.monotonic()
    answer = alone.app.call("GET", "/webhook/logs")
    error(answer, 503, "ServiceUnavailableError")
    assert 4 < time.monotonic() - began < 8
    # Nor does a client that goes away leave a question behind.
    with pytest.raises(requests.Timeout):
        alone.app.session.get(alone.api_url + "/webhook/logs", timeout=0.3)
    wait_until(
        lambda: alone["api"].metric("sluice_api_questions_open") == 0, 10, "no question"
    )


def test_events(alone, logger):
    app = alone.app
    hook = create(app).json()["data"]
    custody = uuid.uuid4().bytes[:12] + bytes(4)
    other = uuid.uuid4().bytes[:12] + bytes(4)
    logger.pages = [
        {"rows": [row(custody, 1), row(custody, 77)]},
        {"rows": []},
        {"rows": [row(custody, 1), row(other, 0, attempt=0, attempts=[], state=0)]},
    ]
    answer = app.call("GET", f"/webhook/events/{uuid.UUID(bytes=custody)}").json()
    event = answer["data"]
    assert logger.questions[0]["custody"] == custody
    assert event["id"] == str(uuid.UUID(bytes=custody))
    assert event["request_id"] == str(uuid.UUID(bytes=custody))
    assert [d["webhook_id"] for d in event["deliveries"]] == [hook["id"], None]
    assert event["deliveries"][0]["state"] == "delivered"
    error(
        app.call("GET", f"/webhook/events/{uuid.uuid4()}"), 404, "EntityNotFoundError"
    )
    request = uuid.uuid4()
    both = app.call("GET", f"/webhook/events?request_id={request}").json()["data"]
    assert logger.questions[2]["request_id"] == request.bytes
    assert [len(e["deliveries"]) for e in both] == [1, 0]
    error(app.call("GET", "/webhook/events"), 400, "RequestValidationError")


def test_garbage_on_the_link(alone, logger):
    bad = logger.follower.send(msgpack.packb(13))
    worse = logger.follower.send(pack("PAGE", query=1))
    logger.follower.wait_judged([bad, worse])
    assert bad in logger.follower.refused and worse in logger.follower.refused
    assert create(alone.app).status_code == 201
    assert isinstance(alone, Stack) and alone["api"].running


def test_quota_used_up_is_402_until_it_is_raised(alone, logger):
    app = alone.app
    hook = create(app).json()["data"]
    path = f"/webhook/webhooks/{hook['id']}"

    def set_quota(events):
        done = subprocess.run(
            [f"{BUILD}/bin/sluice-api", "app", "set", "--id", app.id, "--quota", events],
            env={**alone["api"].environment, "SLUICE_INSTANCE": "cli"},
            timeout=30,
            check=False,
        )
        assert done.returncode == 0

    def entry():
        return logger.changes()[-1]["entries"][0]

    set_quota("2000")
    wait_until(lambda: entry().get("quota") == 2000, 10, "the quota")
    number = logger.changes()[-1]["number"]
    whole = {"app": 1, "subscription": 0}
    # Of a month that is over: a clock behind ours, at the turn.
    before = len(logger.changes())
    notice(logger, whole, number, "usage_limit", at_ms=1700000000000)
    now_ms = int(time.time() * 1000)
    notice(logger, whole, number, "usage_limit", at_ms=now_ms)
    wait_until(lambda: entry().get("reason") == "usage_limit", 10, "the limit")
    assert len(logger.changes()) == before + 1
    logger.pages = [{"used": 2001}]
    used = app.call("GET", "/webhook/usage").json()["data"]
    assert (used["used"], used["quota"], used["limited"]) == (2001, 2000, True)
    assert used["month"] == time.strftime("%Y-%m", time.gmtime())
    assert now_ms - 60_000 < logger.questions[-1]["from_ms"] < now_ms + 60_000
    body = error(create(app), 402, "RequestLimitError")
    assert body["detail"] == "You have reached your limit of 2000"
    data = app.call("GET", path).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("disabled", "usage_limit")
    error(app.call("PATCH", path, {"status": "enabled"}), 402, "RequestLimitError")
    # Said again: nothing more happens. What is no enabling may be done.
    before = len(logger.changes())
    notice(logger, whole, number, "usage_limit")
    assert len(logger.changes()) == before
    assert app.call("PATCH", path, {"description": "x"}).status_code == 200

    set_quota("3000")
    wait_until(lambda: entry().get("quota") == 3000, 10, "the quota")
    assert "reason" not in entry()
    notice(logger, whole, number, "usage_limit")  # knew the quota before
    data = app.call("GET", path).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("enabled", "none")
    assert create(app).status_code == 201


def test_replays_are_asked_of_the_logger(alone, logger):
    app = alone.app
    hook = create(app).json()["data"]
    log = str(uuid.uuid4())
    path = f"/webhook/webhooks/{hook['id']}/replay"
    logger.pages = [{"count": 7}, {"count": 1}, {"error": "unknown"}, {"error": "live: due"}]
    body = {"start_date": "2024-01-01T00:00:00.000Z", "state": "held"}
    done = app.call("POST", path, body).json()["data"]
    assert done["count"] == 7
    asked = logger.questions[-1]
    assert str(uuid.UUID(bytes=asked["job"])) == done["id"]
    assert asked["from_ms"] == 1704067200000 and asked["state"] == 5
    one = f"/webhook/logs/{log}/replay"
    assert app.call("POST", one).json()["data"]["count"] == 1
    assert logger.questions[-1]["delivery"] == uuid.UUID(log).bytes
    error(app.call("POST", one), 404, "EntityNotFoundError")
    error(app.call("POST", one), 422, "InvalidStateError")
    for word, status, name in (
        ("held: no", 422, "InvalidStateError"),
        ("gone: no", 422, "InvalidStateError"),
        ("many: no", 429, "ConnectorRateLimitError"),
    ):
        logger.pages = [{"error": word}]
        error(app.call("POST", path), status, name)
    logger.pages = [{"error": "unknown"}, {"count": 0xFFFFFFFF}, {}]
    gone = app.call("POST", path)
    error(gone, 404, "EntityNotFoundError")
    assert gone.json()["message"] == "Unknown Webhook", gone.text
    assert app.call("POST", path).json()["data"]["count"] is None
    assert app.call("POST", path).json()["data"]["count"] == 0
    error(app.call("POST", path, {"state": "due"}), 400, "RequestValidationError")
    late = {"start_date": "2024-01-02T00:00:00Z", "end_date": "2024-01-01T00:00:00Z"}
    error(app.call("POST", path, late), 400, "RequestValidationError")
    error(app.call("POST", "/webhook/logs/no-id/replay"), 404, "EntityNotFoundError")


def test_raw_is_empty_on_subscriptions_and_only_when_asked_for(alone, logger):
    app = alone.app
    path = f"/webhook/webhooks/{create(app).json()['data']['id']}"
    assert "_raw" not in app.call("GET", path).json()
    assert app.call("GET", path, params={"raw": "true"}).json()["_raw"] == {}
    assert app.call("GET", path, headers={"x-apideck-raw": "true"}).json()["_raw"] == {}
    assert app.call("GET", "/webhook/webhooks?raw=true").json()["_raw"] == {}
