"""What goes beyond the published API: settings, secrets, test sends, keys,
limits. Against the five processes."""
import base64
import hashlib
import hmac
import subprocess

from harness.stack import BUILD
from harness.wait import wait_until

EVENT = {"event_type": "crm.lead.created", "entity_id": "e-1", "entity_type": "lead"}


def error(answer, status, type_name):
    body = answer.json()
    assert answer.status_code == body["status_code"] == status, answer.text
    assert body["type_name"] == type_name
    return body


def hex_of(secret, body):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def standard_of(secret, delivery):
    key = secret.encode()
    if secret.startswith("whsec_"):
        key = base64.b64decode(secret[6:])
    h = delivery.headers
    text = f"{h['webhook-id']}.{h['webhook-timestamp']}.".encode() + delivery.body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def run_api(stack, *arguments):
    return subprocess.run(
        [f"{BUILD}/bin/sluice-api", *arguments],
        env={**stack["api"].environment, "SLUICE_INSTANCE": "cli"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_decision_settings_lie_beside_the_published_object(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook")
    path = f"/webhook/webhooks/{hook['id']}/settings"
    default = {
        "schedule": None,
        "timeout_ms": None,
        "rate": None,
        "ordered": False,
        "scopes": {},
        "headers": {},
        "http2": False,
        "own_secret": False,
        "disabled_cause": None,
    }
    assert app.call("GET", path).json()["data"] == default
    wanted = {
        "schedule": "1s,2s",
        "timeout_ms": 500,
        "rate": 5,
        "ordered": True,
        "http2": True,
    }
    scopes = {"consumer_id": ["a", "b"]}
    answer = app.call("PATCH", path, {**wanted, "scopes": scopes})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == {**default, **wanted, "scopes": scopes}
    for wrong in (
        {"schedule": "soon"},
        {"timeout_ms": 1},
        {"timeout_ms": "1s"},
        {"rate": 0},
        {"ordered": "yes"},
        {"scopes": {"nothing": ["x"]}},
        {"http2": 2},
        {"own_secret": True},
    ):
        error(app.call("PATCH", path, wrong), 400, "RequestValidationError")
    # In force, and no part of the published object.
    app.publish({**EVENT, "consumer_id": "c", "entity_id": "no"})
    app.publish({**EVENT, "consumer_id": "b", "entity_id": "yes"})
    assert receiver.wait_for(1)[0].payload["entity_id"] == "yes"
    one = f"/webhook/webhooks/{hook['id']}"
    assert set(app.call("GET", one).json()["data"]) == set(hook)
    app.call("PATCH", one, {"description": "kept"})
    assert app.call("GET", path).json()["data"]["schedule"] == "1s,2s"
    answer = app.call("PATCH", path, dict.fromkeys([*wanted, "scopes"]))
    assert answer.json()["data"] == default
    error(app.call("GET", "/webhook/webhooks/none/settings"), 404, "EntityNotFoundError")


def test_decision_secret_rotates_and_standard_webhooks_key_is_decoded(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook")
    path = f"/webhook/webhooks/{hook['id']}/secret"
    assert app.call("GET", path).json()["data"] == {
        "secret": None,
        "previous_valid_until": None,
    }
    made = app.call("POST", path + "/rotate").json()["data"]
    assert made["secret"].startswith("whsec_") and made["previous_valid_until"]
    assert app.call("GET", path).json()["data"] == made
    app.publish(EVENT)
    (first,) = receiver.wait_for(1)
    assert first.signature == hex_of(made["secret"], first.body)
    assert first.headers["webhook-signature"].split(" ") == [
        standard_of(made["secret"], first),
        standard_of(app.key, first),
    ]
    again = app.call("POST", path + "/rotate", {"secret": "my own secret"})
    assert again.json()["data"]["secret"] == "my own secret"
    app.publish({**EVENT, "entity_id": "e-2"})
    second = receiver.wait_for(2)[1]
    assert second.signature == hex_of("my own secret", second.body)
    assert second.headers["webhook-signature"].split(" ") == [
        standard_of("my own secret", second),
        standard_of(made["secret"], second),
    ]
    # Without overlap the one before is nothing any more, at once.
    alone = app.call("POST", path + "/rotate", {"overlap_hours": 0}).json()["data"]
    assert alone["previous_valid_until"] is None
    app.publish({**EVENT, "entity_id": "e-3"})
    third = receiver.wait_for(3)[2]
    assert third.headers["webhook-signature"] == standard_of(alone["secret"], third)
    short = app.call("POST", path + "/rotate", {"secret": "short"}).json()["detail"]
    assert short == {"invalid": [{"secret": "must have at least 8 bytes"}]}
    for wrong in ({"secret": "short"}, {"overlap_hours": -1}, {"else": 1}):
        error(app.call("POST", path + "/rotate", wrong), 400, "RequestValidationError")


def test_a_dropped_secret_lets_the_applications_key_sign_again(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook")
    path = f"/webhook/webhooks/{hook['id']}"
    nothing = {"secret": None, "previous_valid_until": None}
    sent = []

    def deliver():
        sent.append(app.publish({**EVENT, "entity_id": f"e-{len(sent)}"}))
        return receiver.wait_for(len(sent))[-1]

    def drop(hours=None):
        params = {} if hours is None else {"overlap_hours": hours}
        return app.call("DELETE", path + "/secret", params=params)

    # Nothing to drop is no mistake.
    assert drop().json()["data"] == nothing
    mine = app.call("POST", path + "/secret/rotate").json()["data"]["secret"]
    dropped = drop()
    assert dropped.status_code == 200, dropped.text
    shown = dropped.json()["data"]
    assert shown["secret"] is None and shown["previous_valid_until"]
    assert app.call("GET", path + "/secret").json()["data"] == shown
    assert drop().json()["data"] == shown
    assert app.call("GET", path + "/settings").json()["data"]["own_secret"] is False
    got = deliver()
    assert got.signature == hex_of(app.key, got.body)
    assert got.headers["webhook-signature"].split(" ") == [
        standard_of(app.key, got),
        standard_of(mine, got),
    ]
    # The overlap can be ended, and need not be.
    assert drop(0).json()["data"] == nothing
    got = deliver()
    assert got.headers["webhook-signature"] == standard_of(app.key, got)
    app.call("POST", path + "/secret/rotate", {"secret": "my own secret"})
    assert drop(0).json()["data"] == nothing
    got = deliver()
    assert got.headers["webhook-signature"] == standard_of(app.key, got)
    # Moving the key moves it here, too.
    app.call("POST", path + "/secret/rotate")
    assert drop(1).json()["data"]["previous_valid_until"]
    made = app.call("POST", "/webhook/keys").json()["data"]
    assert app.call("POST", f"/webhook/keys/{made['id']}/sign").status_code == 200
    wait_until(
        lambda: app.call("GET", path + "/secret").json()["data"] == nothing, 10
    )
    got = deliver()
    assert got.signature == hex_of(made["key"], got.body)
    assert got.headers["webhook-signature"] == standard_of(made["key"], got)
    for hours in ("-1", "721", "x", ""):
        error(drop(hours), 400, "RequestValidationError")
    missing = app.call("DELETE", "/webhook/webhooks/none/secret")
    error(missing, 404, "EntityNotFoundError")


def test_decision_test_send_is_one_attempt_and_disables_nothing(stack, receiver):
    app = stack.app
    hook = app.subscribe(receiver.url + "/hook", events=["crm.lead.created"])
    other = app.subscribe(receiver.url + "/other")
    path = f"/webhook/webhooks/{hook['id']}/test"
    sent = app.call("POST", path).json()["data"]
    (got,) = receiver.wait_for(1, "/hook")
    assert got.event_type == "apideck.webhook.test" and got.key == sent["log_id"]
    assert got.payload["event_id"] == sent["event_id"]
    assert got.payload["execution_attempt"] == 1
    receiver.answer("/hook", lambda delivery, n: 410)
    answer = app.call("POST", path, {"event_type": "crm.contact.updated"})
    assert answer.status_code == 200
    got = receiver.wait_for(2, "/hook")[1]
    assert got.event_type == "crm.contact.updated"
    log = answer.json()["data"]["log_id"]

    def finished():
        row = next((r for r in app.logs() if r["id"] == log), None)
        return row if row and row["status_code"] else None

    row = wait_until(finished, 10, "the log")
    assert row["retry_scheduled"] is False and row["success"] is False
    shown = app.call("GET", f"/webhook/webhooks/{hook['id']}").json()["data"]
    assert shown["status"] == "enabled"
    assert receiver.count("/other") == 0 and other
    error(app.call("POST", path, {"event_type": "no.such"}), 400, "RequestValidationError")
    app.call("PATCH", f"/webhook/webhooks/{hook['id']}", {"status": "disabled"})
    # Also while it is disabled.
    assert app.call("POST", path).status_code == 200
    receiver.wait_for(3, "/hook")


def test_decision_keys_exactly_one_signs_moved_by_an_explicit_call(stack, receiver):
    app = stack.app
    app.subscribe(receiver.url + "/hook")
    (first,) = app.call("GET", "/webhook/keys").json()["data"]
    assert first["signing"] is True
    answer = app.call("POST", "/webhook/keys")
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    assert made["key"].startswith("sk_live_") and made["signing"] is False
    other = {"Authorization": f"Bearer {made['key']}"}
    assert app.call("GET", "/webhook/keys", headers=other).status_code == 200
    # It signs nothing by being there.
    app.publish(EVENT)
    (got,) = receiver.wait_for(1)
    assert got.signature == hex_of(app.key, got.body)
    moved = app.call("POST", f"/webhook/keys/{made['id']}/sign")
    assert moved.status_code == 200 and moved.json()["data"]["signing"] is True
    app.publish({**EVENT, "entity_id": "e-2"})
    got = receiver.wait_for(2)[1]
    assert got.signature == hex_of(made["key"], got.body)
    error(app.call("DELETE", f"/webhook/keys/{made['id']}"), 422, "InvalidStateError")
    error(app.call("DELETE", "/webhook/keys/none"), 404, "EntityNotFoundError")
    error(app.call("POST", "/webhook/keys/none/sign"), 404, "EntityNotFoundError")
    gone = app.call("DELETE", f"/webhook/keys/{first['id']}", headers=other)
    assert gone.status_code == 200 and gone.json()["data"]["id"] == first["id"]
    error(app.call("GET", "/webhook/keys"), 401, "UnauthorizedError")
    assert app.publish({**EVENT, "entity_id": "e-3"}).status_code == 401


def test_keys_limits_and_applications_by_command(stack, receiver):
    app = stack.app
    listed = run_api(stack, "key", "list", "--app", app.id)
    assert listed.returncode == 0, listed.stderr
    ((first, mark, _),) = [l.split("\t") for l in listed.stdout.splitlines()]
    assert mark == "signing"
    made = run_api(stack, "key", "create", "--app", app.id, "--key", "sk_test_12345678")
    assert made.returncode == 0 and made.stdout.split()[-1] == "sk_test_12345678"
    second = next(
        l.split("\t")[0]
        for l in run_api(stack, "key", "list", "--app", app.id).stdout.splitlines()
        if not l.startswith(first)
    )
    other = {"Authorization": "Bearer sk_test_12345678"}
    wait_until(
        lambda: app.call("GET", "/webhook/keys", headers=other).status_code == 200, 10
    )
    assert run_api(stack, "key", "remove", "--app", app.id, "--id", first).returncode == 1
    assert run_api(stack, "key", "sign", "--app", app.id, "--id", second).returncode == 0
    assert run_api(stack, "key", "remove", "--app", app.id, "--id", first).returncode == 0
    app.session.headers.update(other)
    assert run_api(stack, "app", "set", "--id", app.id, "--rate", "2").returncode == 0

    def limited():
        answers = [app.call("GET", "/webhook/keys") for _ in range(6)]
        return [a for a in answers if a.status_code == 429]

    answer = wait_until(limited, 10, "a 429")[0]
    error(answer, 429, "ConnectorRateLimitError")
    assert int(answer.headers["Retry-After"]) >= 1


def test_raw_of_logs_has_the_attempts_without_secrets(stack, receiver):
    app = stack.app
    app.subscribe(receiver.url + "/hook")
    app.publish(EVENT)
    (got,) = receiver.wait_for(1)
    wait_until(lambda: app.logs()[0]["success"], 10, "the log")
    body = app.call("GET", "/webhook/logs", params={"raw": "true"}).json()
    (log,) = body["_raw"]["logs"]
    assert log["id"] == got.key
    (attempt,) = log["attempts"]
    assert attempt["request"]["body"] == got.body.decode()
    assert attempt["request"]["headers"]["x-apideck-signature"] == "***"
    assert attempt["request"]["url"] == receiver.url + "/hook"
    assert attempt["response"]["status_code"] == 200
    assert "_raw" not in app.call("GET", "/webhook/logs").json()
