"""Request headers of a webhook's own: what the subscriber gets, and what nobody
else sees. Against the five processes."""
import glob

from harness.wait import wait_until

EVENT = {"event_type": "crm.lead.created", "entity_id": "e-1", "entity_type": "lead"}
CREDENTIAL = "Bearer top-secret-4711"
WRONG = [
    {"x-a": "1\r\nx-b: 2"},
    {"x-a": "1\nx-b: 2"},
    {"x-a": "1\r"},
    {"x-a": "caf\u00e9"},
    {"x-a": "\t1"},
    {"x-a": ""},
    {"x-a": 1},
    {"x-a\r\nx-b": "1"},
    {"x a": "1"},
    {"x-a:": "1"},
    {":path": "/else"},
    {"": "1"},
    {"x-a": "1", "X-A": "2"},
    {"x-a": "***"},
    {"x-a": "v" * 4096},
    {f"x-{i}": "1" for i in range(33)},
    *(
        {name: "1"}
        for name in (
            "Host",
            "Content-Length",
            "content-type",
            "Transfer-Encoding",
            "connection",
            "TE",
            "Upgrade",
            "expect",
            "User-Agent",
            "X-Apideck-Signature",
            "webhook-id",
            "proxy-authorization",
        )
    ),
]


def settings_of(app, hook, patch=None):
    path = f"/webhook/webhooks/{hook['id']}/settings"
    if patch is None:
        return app.call("GET", path).json()["data"]
    answer = app.call("PATCH", path, patch)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_own_headers_reach_the_subscriber_and_nobody_else(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook")
    assert settings_of(app, hook)["headers"] == {}
    own = {"Authorization": CREDENTIAL, "X-Tenant": "a b", "accept": "text/plain"}
    masked = dict.fromkeys(("authorization", "x-tenant", "accept"), "***")
    assert settings_of(app, hook, {"headers": own})["headers"] == masked
    assert settings_of(app, hook)["headers"] == masked
    app.publish(EVENT)
    (got,) = receiver.wait_for(1)
    assert {k: got.headers[k] for k in masked} == {
        k.lower(): v for k, v in own.items()
    }
    assert got.headers["content-type"] == "application/json"
    # A test, and the check of another URL.
    app.call("POST", f"/webhook/webhooks/{hook['id']}/test")
    assert receiver.wait_for(2)[1].headers["authorization"] == CREDENTIAL
    url = {"delivery_url": receiver.url + "/moved"}
    assert app.call("PATCH", f"/webhook/webhooks/{hook['id']}", url).status_code == 200
    assert "authorization" not in receiver.validations[0].headers
    assert receiver.validations[-1].headers["authorization"] == CREDENTIAL

    wait_until(lambda: all(r["success"] for r in app.logs()), 10, "the logs")
    answer = app.call("GET", "/webhook/logs", params={"raw": "true"})
    assert "4711" not in answer.text
    for log in answer.json()["_raw"]["logs"]:
        for attempt in log["attempts"]:
            headers = attempt["request"]["headers"]
            assert {**headers, **masked} == headers
            assert headers["webhook-id"] == log["id"]
    # Sealed at rest, and in no log.
    files = glob.glob(f"{stack.folder}/**", recursive=True)
    for name in ("directory.db", "events.db", "deliverer.log"):
        assert [f for f in files if f.endswith(name)], files
    for name in files:
        try:
            with open(name, "rb") as f:
                assert b"top-secret" not in f.read(), name
        except (IsADirectoryError, OSError):
            continue


def test_headers_are_patched_one_by_one_and_live_on(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook")
    other = app.subscribe(receiver.url + "/other")
    settings_of(app, hook, {"headers": {"x-a": "1", "x-b": "2"}})
    # What was shown may come back; null removes.
    shown = settings_of(app, hook)["headers"]
    after = settings_of(app, hook, {"headers": {**shown, "x-b": None, "X-C": "3"}})
    assert after["headers"] == {"x-a": "***", "x-c": "***"}
    settings_of(app, hook, {"rate": 1000})
    # Also when those that know them have started again.
    for name in ("logger", "api", "deliverer"):
        stack.restart(name)
    wait_until(lambda: app.publish(EVENT).status_code == 200, 20, "an event")
    (got,) = receiver.wait_for(1, "/hook")
    assert got.headers["x-a"] == "1" and got.headers["x-c"] == "3"
    assert "x-b" not in got.headers
    (plain,) = receiver.wait_for(1, "/other")
    assert "x-a" not in plain.headers and other
    assert settings_of(app, hook, {"headers": None})["headers"] == {}
    app.publish({**EVENT, "entity_id": "e-2"})
    got = receiver.wait_for(2, "/hook")[1]
    assert "x-a" not in got.headers and "x-c" not in got.headers


def test_what_injects_or_is_not_theirs_is_refused(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook")
    settings_of(app, hook, {"headers": {"x-kept": "1"}})
    path = f"/webhook/webhooks/{hook['id']}/settings"
    for headers in WRONG:
        answer = app.call("PATCH", path, {"headers": headers})
        assert answer.status_code == 400, headers
        assert answer.json()["type_name"] == "RequestValidationError"
    for headers in ("x-a: 1", ["x-a"], 7):
        assert app.call("PATCH", path, {"headers": headers}).status_code == 400
    assert settings_of(app, hook)["headers"] == {"x-kept": "***"}
    app.publish(EVENT)
    (got,) = receiver.wait_for(1)
    assert got.headers["x-kept"] == "1"
