"""The decisions on what Apideck's documents leave open: a test for each line of
them, named after it, against five processes that all of these share.

Lines with tests of their own elsewhere: the quota (quota), replays (replay),
settings, secrets and test sends (beyond), connections and their outbox
(connections), TLS (the gateway's tests in docker/), the second face (jsonapi).
"""
import collections
import datetime
import json
import socket
import subprocess
import time
import uuid

import pytest
import requests

from harness import openapi, signature
from harness.receiver import Receiver
from harness.stack import BUILD, Stack
from harness.wait import wait_until

LEAD = {"event_type": "crm.lead.created", "entity_id": "e-1", "entity_type": "lead"}
CONTACT = {"subscriptionType": "contact.creation", "objectId": 7}
FAILED = "delivery_url_validation_failed"
OBJECT = [
    "id", "description", "unified_api", "status", "disabled_reason", "delivery_url",
    "execute_base_url", "events", "updated_at", "created_at",
]
ANSWER = {"status_code", "status", "data", "request_id", "timestamp"}


@pytest.fixture(scope="module")
def stack():
    one = Stack(apps=("acme", "other", "slow"))
    run_api(one, "app", "set", "--id", "slow", "--rate", "1")
    try:
        yield one.start()
        one.stop()
        assert not one.complaints()
    finally:
        one.close()


@pytest.fixture(scope="module")
def receiver():
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def app(stack):
    """An application of this test's own."""
    return stack.make_app(f"app-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def url(receiver, app):
    return f"{receiver.url}/{app.id}"


@pytest.fixture
def hook(app, url):
    return app.subscribe(url)


def run_api(stack, *arguments):
    environment = {**stack["api"].environment, "SLUICE_INSTANCE": "cli"}
    done = subprocess.run(
        [f"{BUILD}/bin/sluice-api", *arguments], env=environment, capture_output=True,
        text=True, timeout=30, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def error(answer, status, type_name):
    openapi.check(answer)
    body = answer.json()
    assert answer.status_code == body["status_code"] == status, answer.text
    assert body["type_name"] == type_name, body
    assert body["ref"].startswith("https://developers.apideck.com/errors#")
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["request-id"])
    return body


def post(target, body=None, **more):
    answer = requests.post(target, json=body, timeout=20, **more)
    openapi.check(answer)
    return answer


def accepted(answer):
    """As execute, x and w say that all is well."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) - {"_raw"} == ANSWER
    assert body["data"]["request_id"] == body["request_id"] == answer.headers["request-id"]
    return body


def events_of(app, answer):
    """The events that a call made; once they are planned, so is what is asked."""
    request = accepted(answer)["request_id"]
    barrier = accepted(app.publish(LEAD))["data"]["event_ids"][0]
    wait_until(
        lambda: app.call("GET", f"/webhook/events/{barrier}").status_code == 200, 10,
        "the event behind it",
    )
    found = app.call("GET", "/webhook/events", params={"request_id": request})
    return found.json()["data"]


def settled(app, count=1):
    """The application's logs, once as many are there and each was tried."""

    def look():
        rows = app.logs()
        return rows if len(rows) >= count and all(r["attempts"] for r in rows) else None

    return wait_until(look, 20, lambda: f"{count} rows: {app.logs()}")


# ---- both faces -----------------------------------------------------------


def test_decision_keys_prefixes_are_only_prefixes(stack, app, hook, receiver, url):
    """Live and test are applications of their own; several keys, one signs."""
    run_api(stack, "key", "create", "--app", app.id, "--key", "sk_test_of_" + app.id)
    other = {"Authorization": f"Bearer sk_test_of_{app.id}"}
    wait_until(
        lambda: app.call("GET", "/webhook/webhooks", headers=other).status_code == 200, 10
    )
    assert app.call("GET", "/webhook/webhooks", headers=other).json()["data"] == [hook]
    keys = app.call("GET", "/webhook/keys").json()["data"]
    assert [k["signing"] for k in keys] == [True, False]


def test_decision_keys_bad_key_401_no_app_id_400_other_app_401_other_object_404(stack, app, hook):
    path = f"{stack.api_url}/webhook/webhooks"
    key, own = {"Authorization": f"Bearer {app.key}"}, {"x-apideck-app-id": app.id}
    for headers in (
        own, {**own, "Authorization": "Bearer sk_live_nobody"}, {**own, "Authorization": app.key},
        {**key, "x-apideck-app-id": "other"},
    ):
        error(requests.get(path, headers=headers, timeout=9), 401, "UnauthorizedError")
    body = error(requests.get(path, headers=key, timeout=9), 400, "RequestHeadersValidationError")
    assert body["detail"] == "Missing Header: x-apideck-app-id"
    publish = f"{stack.ingest_url()}/webhook/events"
    error(post(publish, LEAD, headers=key), 400, "RequestHeadersValidationError")
    error(post(publish, LEAD, headers=own), 401, "UnauthorizedError")
    one = f"/webhook/webhooks/{hook['id']}"
    for verb in ("", "/settings", "/secret"):
        error(stack.app.call("GET", one + verb), 404, "EntityNotFoundError")
    for verb in ("/secret/rotate", "/test", "/replay"):
        error(stack.app.call("POST", one + verb), 404, "EntityNotFoundError")


def test_decision_consumer_and_service_headers_are_never_required_empty_is_absent(app, hook):
    empty = {"x-apideck-consumer-id": "", "x-apideck-service-id": ""}
    assert app.call("GET", "/webhook/webhooks", headers=empty).status_code == 200
    app.session.headers.update(empty)
    (event,) = events_of(app, app.publish(LEAD))
    payload = json.loads(event["request_body"])["payload"]
    assert "consumer_id" not in payload and "service_id" not in payload


def test_decision_consumer_and_service_headers_are_defaults_of_events_only(app, hook):
    # Elsewhere they are without effect.
    said = {"x-apideck-consumer-id": "c-9", "x-apideck-service-id": "pipedrive"}
    (listed,) = app.call("GET", "/webhook/webhooks", headers=said).json()["data"]
    assert listed == hook
    answer = post(f"{hook['execute_base_url']}/hubspot", CONTACT, headers=said)
    (event,) = events_of(app, answer)
    assert event["consumer_id"] is None and event["service"]["id"] == "hubspot"
    app.session.headers.update(said)
    own, bare = events_of(
        app, app.publish([LEAD, {**LEAD, "consumer_id": "c-1", "service_id": "hubspot"}])
    )
    assert (bare["consumer_id"], bare["service"]["id"]) == ("c-9", "pipedrive")
    assert (own["consumer_id"], own["service"]["id"]) == ("c-1", "hubspot")
    app.session.headers["x-apideck-service-id"] = "s" * 65
    error(app.publish(LEAD), 400, "RequestValidationError")


def test_decision_request_ids_are_on_every_answer_and_find_the_events(stack, app, hook):
    answer = app.publish([LEAD, LEAD])
    body = accepted(answer)
    assert len(body["data"]["event_ids"]) == 2
    found = events_of(app, answer)
    assert [e["id"] for e in found] == body["data"]["event_ids"][::-1]
    assert {e["request_id"] for e in found} == {body["request_id"]}
    seen = set()
    for base in (stack.api_url, stack.ingest_url()):
        for method, path in (
            ("GET", "/openapi.json"), ("GET", "/nowhere"), ("POST", "/openapi.json"),
            ("GET", "/webhook/webhooks"), ("POST", "/webhook/events"), ("BREW", "/"),
        ):
            answer = requests.request(method, base + path, timeout=9)
            seen.add(str(uuid.UUID(answer.headers["request-id"])))
    assert len(seen) == 12


def test_decision_errors_are_json_with_a_type_whoever_makes_them(stack):
    """Those of libmicrohttpd, too; the gateway's are tried with the gateway."""
    for base in (stack.api_url, stack.ingest_url()):
        host, port = base.removeprefix("http://").split(":")
        for text in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
            b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        ):
            with socket.create_connection((host, int(port)), 10) as s:
                s.sendall(text)
                s.settimeout(10)
                got = b""
                while b"ref" not in got and (part := s.recv(65536)):
                    got += part
            head, _, body = got.partition(b"\r\n\r\n")
            assert b"Content-Type: application/json" in head, (text[:60], got[:300])
            assert b"Request-Id: " in head
            assert json.loads(body)["status_code"] == int(head.split()[1])


@pytest.mark.parametrize("count", [100, 130, 300, 1500])
def test_decision_errors_are_json_however_many_parameters_a_query_has(stack, app, count):
    """A list still reads the last of them; who has no key is told so."""
    wrong = "a=1&" * count + "limit=0"
    body = error(app.call("GET", f"/webhook/webhooks?{wrong}"), 400, "RequestValidationError")
    assert list(body["detail"]["invalid"][0]) == ["limit"]
    for base in (stack.api_url, stack.ingest_url()):
        path = "/webhook/webhooks" if base == stack.api_url else "/webhook/events"
        method = "GET" if base == stack.api_url else "POST"
        answer = requests.request(method, f"{base}{path}?{wrong}", timeout=9)
        error(answer, 401, "UnauthorizedError")


def test_decision_errors_are_json_however_full_the_memory_for_a_head_is(stack):
    seen = set()
    for base in (stack.api_url, stack.ingest_url()):
        for size in range(7000, 8600, 40):
            answer = requests.post(
                f"{base}/webhook/events", headers={"X": "x" * size}, timeout=9, data=b"{}"
            )
            seen.add((answer.status_code, answer.json()["status_code"]))
            assert uuid.UUID(answer.headers["request-id"])
            assert answer.headers["content-type"] == "application/json"
    assert seen == {(401, 401), (405, 405), (431, 431)}


def test_decision_errors_cursor_filter_sort_are_400(app, hook):
    get = lambda query: app.call("GET", f"/webhook/{query}")  # noqa: E731
    for path in ("webhooks", "logs", "connections"):
        error(get(f"{path}?cursor=MQ%3D%3D"), 400, "InvalidCursorError")
        body = error(get(f"{path}?sort[by]=created_at"), 400, "UnsupportedSortFieldError")
        assert list(body["detail"]["invalid"][0]) == ["sort[by]"]
        error(get(f"{path}?filter[colour]=red"), 400, "UnsupportedFiltersError")
        assert get(f"{path}?sort[by]=&filter[consumer_id]=").status_code == 200
    for path in (f"events?request_id={uuid.uuid4()}&", f"events/{uuid.uuid4()}?"):
        error(get(path + "filter[colour]=red"), 400, "UnsupportedFiltersError")
        error(get(path + "sort=colour"), 400, "UnsupportedSortFieldError")
    for wrong in (
        "[start_date]=yesterday", "[success]=1", "[status_code]=42", "[status_codes]=600",
        "[execution_attempt]=x", "[start_date]=2024-01-02&filter[end_date]=2024-01-01", "=x",
        "[service]=hubspot", "&filter[status_codes]=200".join([""] * 52),
    ):
        error(get(f"logs?filter{wrong}"), 400, "UnsupportedFiltersError")


def test_decision_errors_wrong_vendor_signature_401_nothing_stored(stack, app, hook, receiver):
    """On w, x and execute, whichever way the connection is named."""
    connection = app.connect(secret="client secret")
    token = connection["execute_url"].split("/")[-2]
    base = hook["execute_base_url"].removesuffix("execute")
    targets = [connection["execute_url"]] + [
        f"{base}{route}/hubspot?l_id={token}" for route in ("x", "execute")
    ]
    body = json.dumps([{**CONTACT, "portalId": 1, "subscriptionId": 2, "eventId": 3}])
    accepted_before = stack["ingest"].metric("sluice_accept_log_records_total")
    stale = (time.time() - 301) * 1000
    for target in targets:
        wrong = signature.hubspot("other secret", target, body)
        for headers in (
            {}, wrong, signature.hubspot("client secret", target, body + " "),
            signature.hubspot("client secret", target, body, stale),
        ):
            answer = requests.post(target, body, headers=headers, timeout=20)
            refused = error(answer, 401, "ConnectorCredentialsError")
            assert refused["error"] == "Unauthorized"
            assert refused["message"] == "Connector Not Authorized"
            found = app.call("GET", "/webhook/events", params={
                "request_id": answer.headers["request-id"]})
            assert found.json()["data"] == []
    assert stack["ingest"].metric("sluice_accept_log_records_total") == accepted_before
    # Not even its dedupe key was used up.
    headers = signature.hubspot("client secret", targets[0], body)
    (made,) = events_of(app, requests.post(targets[0], body, headers=headers, timeout=20))
    assert made["event_type"] == "crm.contact.created"


def test_decision_errors_disabled_connector_403(app):
    made = app.connect()
    assert app.call("POST", f"/webhook/connections/{made['id']}/disable").status_code == 200
    error(post(made["execute_url"], CONTACT), 403, "ConnectorDisabledError")


def test_decision_errors_connector_unknown_or_of_another_api_404(app, hook):
    for service in ("nobody", "shopify", "s" * 300):
        answer = post(f"{hook['execute_base_url']}/{service}", CONTACT)
        error(answer, 404, "ConnectorNotFoundError")


def test_decision_errors_unresolved_l_id_404(app, hook):
    base = hook["execute_base_url"].removesuffix("execute")
    error(post(base + "x/hubspot?l_id=nobody", CONTACT), 404, "ConnectionNotFoundError")


def test_decision_errors_token_of_a_deleted_webhook_404(app, hook):
    answer = app.call("DELETE", f"/webhook/webhooks/{hook['id']}")
    assert answer.status_code == 200 and answer.json()["data"] == hook
    gone = post(f"{hook['execute_base_url']}/hubspot", CONTACT)
    error(gone, 404, "IntegrationNotFoundError")


def test_decision_errors_unknown_route_404(stack):
    for base in (stack.api_url, stack.ingest_url()):
        for path in ("/", "/nowhere", "/webhook", "/webhook/webhooks/", "/webhook//webhooks"):
            error(requests.get(base + path, timeout=9), 404, "EntityNotFoundError")


def test_decision_errors_405_has_allow(stack, app, hook):
    one = f"/webhook/webhooks/{hook['id']}"
    for path, allowed in (
        (one, {"GET", "PATCH", "DELETE"}), ("/webhook/logs", {"GET"}),
        (one + "/settings", {"GET", "PATCH"}), ("/webhook/connections", {"GET", "POST"}),
    ):
        answer = app.call("PUT", path, {})
        error(answer, 405, "MethodNotAllowedError")
        assert set(answer.headers["Allow"].split(", ")) == allowed
    answer = requests.get(f"{hook['execute_base_url']}/hubspot", timeout=9)
    error(answer, 405, "MethodNotAllowedError")
    assert answer.headers["Allow"] == "POST"


def test_decision_errors_conflict_409(app):
    app.connect()
    again = {"consumer_id": "c-1", "unified_api": "crm", "service_id": "hubspot"}
    error(app.call("POST", "/webhook/connections", again), 409, "ConflictError")


def test_decision_errors_body_too_large_413(app, hook):
    huge = "x" * (1 << 20)
    error(app.call("POST", "/webhook/webhooks", {"a": huge}), 413, "PayloadTooLargeError")
    answer = post(f"{hook['execute_base_url']}/hubspot", [{"a": huge}])
    error(answer, 413, "PayloadTooLargeError")


def test_decision_errors_content_type_other_than_json_on_a_write_415(stack, app, hook):
    for method, path in (
        ("POST", "/webhook/webhooks"), ("PATCH", f"/webhook/webhooks/{hook['id']}"),
        ("POST", "/webhook/connections"),
    ):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "json"):
            answer = app.session.request(
                method, stack.api_url + path, data="a=b", headers={"Content-Type": kind}, timeout=9
            )
            error(answer, 415, "UnsupportedMediaTypeError")
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx"):
        answer = post(
            f"{stack.ingest_url()}/webhook/events", LEAD,
            headers={**app.session.headers, "Content-Type": kind},
        )
        error(answer, 415, "UnsupportedMediaTypeError")
    for kind in ("application/json; charset=utf-8", "application/cloudevents+json", "", None):
        app.session.headers["Content-Type"] = kind
        accepted(app.publish(LEAD))


def test_decision_errors_wrong_state_422(app):
    (key,) = app.call("GET", "/webhook/keys").json()["data"]
    # The one that signs stays.
    error(app.call("DELETE", f"/webhook/keys/{key['id']}"), 422, "InvalidStateError")


def test_decision_errors_too_many_requests_429_with_retry_after(stack):
    slow = stack.apps[2]
    for ask in (lambda: slow.call("GET", "/webhook/webhooks"), lambda: slow.publish(LEAD)):
        answers = [ask() for _ in range(6)]
        refused = [a for a in answers if a.status_code == 429]
        assert refused and answers[0].status_code == 200
        error(refused[0], 429, "ConnectorRateLimitError")
        assert int(refused[0].headers["Retry-After"]) >= 1


# ---- the first face: subscriptions ----------------------------------------


def test_decision_tokens_execute_and_x_take_the_token_a_bare_id_needs_bearer_and_app(
    stack, app, hook
):
    key, own = {"Authorization": f"Bearer {app.key}"}, {"x-apideck-app-id": app.id}
    for route in ("execute", "x"):
        token = hook["execute_base_url"].removesuffix("execute") + route
        accepted(post(token + "/hubspot", CONTACT))
        bare = f"{stack.ingest_url()}/webhook/webhooks/{hook['id']}/{route}/hubspot"
        for headers in ({}, key, own):
            answer = post(bare, CONTACT, headers=headers)
            if headers is key:
                error(answer, answer.status_code, answer.json()["type_name"])
            assert answer.status_code == 401, answer.text
        accepted(post(bare, CONTACT, headers={**key, **own}))
    # It is no id of a webhook.
    text = hook["execute_base_url"].split("/")[-2]
    error(app.call("GET", f"/webhook/webhooks/{text}"), 404, "EntityNotFoundError")


def test_decision_execute_reaches_all_matching_subscriptions_of_the_application(
    stack, app, hook, url
):
    named = app.subscribe(url + "/2", events=["crm.contact.created"], unified_api="hris")
    app.subscribe(url + "/3", events=["crm.lead.created"])
    stack.app.subscribe(url + "/4")
    (event,) = events_of(app, post(f"{hook['execute_base_url']}/hubspot", CONTACT))
    reached = {d["webhook_id"] for d in event["deliveries"]}
    assert reached == {hook["id"], named["id"]}


def test_decision_object_is_exactly_the_published_one_unknown_properties_400(app, hook):
    path = f"/webhook/webhooks/{hook['id']}"
    assert list(hook) == OBJECT
    assert list(app.call("GET", path).json()["data"]) == OBJECT
    for name in ("rate", "headers", "schedule", "secret", "id", "unified_api", "created_at"):
        body = error(app.call("PATCH", path, {name: "x"}), 400, "RequestValidationError")
        assert list(body["detail"]["invalid"][0]) == [name]
    assert app.call("GET", path).json()["data"] == hook


def test_decision_events_may_be_empty(app, hook):
    answer = app.call("PATCH", f"/webhook/webhooks/{hook['id']}", {"events": []})
    assert answer.status_code == 200 and answer.json()["data"]["events"] == []
    (event,) = events_of(app, app.publish(LEAD))
    assert event["deliveries"] == []


def test_decision_wildcards_are_expanded_and_other_spellings_normalised(app, url):
    hook = app.subscribe(url, events=["crm.contact.*", "pos.modifier_group.updated"])
    more = app.subscribe(url, events=["crm.*", "crm.notes.created"])
    verbs = ("created", "updated", "deleted")
    assert hook["events"] == [f"crm.contact.{v}" for v in verbs] + ["pos.modifier-group.updated"]
    assert len(more["events"]) == 18 and all(e.startswith("crm.") for e in more["events"])
    for kind, count in (("pos.modifier_group.updated", 1), ("crm.notes.deleted", 1)):
        (event,) = events_of(app, app.publish({**LEAD, "event_type": kind}))
        assert event["event_type"] == kind.replace("_", "-").replace("notes", "note")
        assert len(event["deliveries"]) == count
        # Who knows that spelling asks for it, too.
        assert len(app.logs(**{"filter[event_type]": kind})) == count
    body = {"delivery_url": url, "status": "enabled", "unified_api": "crm", "events": ["crm.no.*"]}
    error(app.call("POST", "/webhook/webhooks", body), 400, "RequestValidationError")


def test_decision_star_is_the_webhooks_own_api_and_its_vault_events(app, url):
    hooks = {api: app.subscribe(url + api, unified_api=api)["id"] for api in ("crm", "ats", "vault")}
    vault = {**LEAD, "event_type": "vault.connection.updated",
             "entity": {"unified_api": "ats", "consumer_id": "c"}}
    for event, reached in (
        (LEAD, {"crm"}), ({**LEAD, "event_type": "ats.job.created"}, {"ats"}),
        (vault, {"ats", "vault"}),
    ):
        (seen,) = events_of(app, app.publish(event))
        assert {d["webhook_id"] for d in seen["deliveries"]} == {hooks[a] for a in reached}


def test_decision_disabled_reason_none_when_a_person_did_it(app, hook):
    path = f"/webhook/webhooks/{hook['id']}"
    for status in ("disabled", "enabled"):
        data = app.call("PATCH", path, {"status": status}).json()["data"]
        assert (data["status"], data["disabled_reason"]) == (status, "none")


@pytest.mark.parametrize(
    "answer", [410, (400, b"Webhook-Delivery: Disable\r\n")], ids=["410", "header"]
)
def test_decision_disabled_reason_of_a_410_or_disable_header_is_retry_limit_true_cause_in_settings(
    app, hook, receiver, answer
):
    """And in the log."""
    path = f"/webhook/webhooks/{hook['id']}"
    receiver.answer(f"/{app.id}", lambda delivery, n: answer)
    app.publish(LEAD)

    def disabled():
        data = app.call("GET", path).json()["data"]
        return data if data["status"] == "disabled" else None

    data = wait_until(disabled, 20, "disabled")
    assert data["disabled_reason"] == "retry_limit"
    cause = app.call("GET", path + "/settings").json()["data"]["disabled_cause"]
    assert cause == "gone"
    (row,) = settled(app)
    status = answer if answer == 410 else answer[0]
    assert row["status_code"] == status and row["success"] is False
    assert row["retry_scheduled"] is False
    # Enabling clears both.
    data = app.call("PATCH", path, {"status": "enabled"}).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("enabled", "none")
    assert app.call("GET", path + "/settings").json()["data"]["disabled_cause"] is None


def test_decision_url_validation_on_create_and_when_the_url_changes(app, url, receiver):
    def calls():
        return [v for v in receiver.validations if v.path.startswith(f"/{app.id}")]

    hook = app.subscribe(url)
    path = f"/webhook/webhooks/{hook['id']}"
    (call,) = calls()
    assert call.body == b'{"message":"Validating delivery URL"}'
    assert call.event_type == "apideck.subscription.created" and call.key is None
    assert signature.raw_is_right(app.key, call.body, call.signature)
    app.subscribe(url, status="disabled")
    assert len(calls()) == 2  # always
    for change in ({"status": "disabled"}, {"status": "enabled"}, {"delivery_url": url},
                   {"events": ["*"], "description": "x"}):
        assert app.call("PATCH", path, change).status_code == 200
    assert len(calls()) == 2
    data = app.call("PATCH", path, {"delivery_url": "http://127.0.0.1:9/"}).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("disabled", FAILED)
    # Success lifts it.
    data = app.call("PATCH", path, {"delivery_url": url + "/2"}).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("enabled", "none")
    (call,) = calls()[2:]
    assert call.path == f"/{app.id}/2"
    # Signed as its deliveries are.
    secret = app.call("POST", path + "/secret/rotate").json()["data"]["secret"]
    assert app.call("PATCH", path, {"delivery_url": url + "/3"}).status_code == 200
    call = calls()[-1]
    assert call.path == f"/{app.id}/3"
    assert signature.raw_is_right(secret, call.body, call.signature)


def test_decision_url_validation_refused_by_ssrf_is_failed_bad_syntax_400(app):
    body = {"status": "enabled", "events": ["*"], "unified_api": "crm"}
    create = lambda url: app.call("POST", "/webhook/webhooks", {**body, "delivery_url": url})  # noqa: E731
    for url in ("http://10.0.0.1/", "http://169.254.169.254/latest", "https://[::1]/"):
        answer = create(url)
        assert answer.status_code == 201
        data = answer.json()["data"]
        assert (data["status"], data["disabled_reason"]) == ("disabled", FAILED), url
        path = f"/webhook/webhooks/{data['id']}/settings"
        cause = app.call("GET", path).json()["data"]["disabled_cause"]
        assert "may not be called" in cause
    for url in ("ftp://a.test/", "a.test", "http://", "http://a b/", "", "http://a.test:0/", 7):
        error(create(url), 400, "RequestValidationError")


def test_decision_post_is_201_created_and_delete_200_with_the_object(app, url):
    body = {"delivery_url": url, "status": "enabled", "events": ["*"], "unified_api": "crm"}
    made = app.call("POST", "/webhook/webhooks", body)
    assert (made.status_code, made.json()["status_code"], made.json()["status"]) == (
        201, 201, "Created"
    )
    hook = made.json()["data"]
    gone = app.call("DELETE", f"/webhook/webhooks/{hook['id']}")
    assert (gone.status_code, gone.json()["status"]) == (200, "OK")
    assert gone.json()["data"] == hook
    error(app.call("DELETE", f"/webhook/webhooks/{hook['id']}"), 404, "EntityNotFoundError")


def test_decision_method_override_on_get_and_post_unknown_value_400(app, hook):
    path = f"/webhook/webhooks/{hook['id']}"
    assert app.call("POST", path + "?_method=GET").json()["data"]["id"] == hook["id"]
    changed = app.call("POST", path + "?_method=PATCH", {"description": "d"})
    assert changed.json()["data"]["description"] == "d"
    for value in ("BREW", "patch", ""):
        answer = app.call("GET", f"{path}?_method={value}")
        body = error(answer, 400, "RequestValidationError")
        assert list(body["detail"]["invalid"][0]) == ["_method"]
    # Only on these two.
    changed = app.call("PATCH", path + "?_method=DELETE", {"description": None})
    assert changed.status_code == 200 and changed.json()["data"]["description"] is None
    assert app.call("GET", path + "?_method=DELETE").status_code == 200
    error(app.call("GET", path), 404, "EntityNotFoundError")


def test_published_names_28_apis_142_events_and_no_others(app, url):
    schemas = openapi.document().doc["components"]["schemas"]
    apis, types = schemas["UnifiedApi"]["enum"], schemas["EventType"]["enum"]
    assert len(set(apis)) == 28 and len(set(types)) == 142 and "*" in types
    count = collections.Counter(t.split(".")[0] for t in types)
    assert count == {
        "*": 1, "crm": 18, "lead": 3, "vault": 12, "ats": 9, "accounting": 45, "pos": 24,
        "hris": 10, "file-storage": 4, "issue-tracking": 3, "ecommerce": 13,
    }
    path = f"/webhook/webhooks/{app.subscribe(url)['id']}"
    data = app.call("PATCH", path, {"events": types}).json()["data"]
    assert data["events"] == types
    for api in apis:
        assert app.subscribe(url, events=[], unified_api=api)["unified_api"] == api
    body = {"delivery_url": url, "status": "enabled", "events": [], "unified_api": "proxy"}
    error(app.call("POST", "/webhook/webhooks", body), 400, "RequestValidationError")
    for wrong in ("hris.department.created", "crm", "crm.contact", "crm.contact.*.x", "**", ""):
        error(app.call("PATCH", path, {"events": [wrong]}), 400, "RequestValidationError")


# ---- cursors --------------------------------------------------------------


def cursors(app, path):
    return app.call("GET", path).json()["meta"]["cursors"]


@pytest.fixture
def rows(app, hook):
    accepted(app.publish([{**LEAD, "entity_id": str(i)} for i in range(5)]))
    return settled(app, 5)


def test_decision_cursors_are_opaque_and_sealed(app, rows):
    one, two = [cursors(app, "/webhook/logs?limit=2")["next"] for _ in range(2)]
    assert one != two  # nothing of the place shows
    for i in range(0, len(one), 7):
        bent = one[:i] + ("A" if one[i] != "A" else "B") + one[i + 1:]
        answer = app.call("GET", f"/webhook/logs?limit=2&cursor={bent}")
        error(answer, 400, "InvalidCursorError")
    for wrong in ("x", one[:-1], one + one, "A" * 5000, "\u2603"):
        error(app.call("GET", f"/webhook/logs?cursor={wrong}"), 400, "InvalidCursorError")


def test_decision_cursors_are_bound_to_route_application_and_filter(stack, app, rows):
    plain = cursors(app, "/webhook/logs?limit=2")["next"]
    said = cursors(app, "/webhook/logs?limit=2&filter[entity_type]=lead")["next"]
    hooks = cursors(app, "/webhook/webhooks")["current"]
    ok = "/webhook/logs?filter[entity_type]=lead&cursor=" + said
    assert app.call("GET", ok).status_code == 200
    for path, cursor in (
        ("/webhook/logs?filter[entity_type]=lead&", plain), ("/webhook/logs?", said),
        ("/webhook/logs?filter[entity_type]=deal&", said), ("/webhook/logs?", hooks),
        ("/webhook/webhooks?", plain), ("/webhook/connections?", hooks),
    ):
        answer = app.call("GET", f"{path}cursor={cursor}")
        error(answer, 400, "InvalidCursorError")
    answer = stack.app.call("GET", f"/webhook/logs?cursor={plain}")
    error(answer, 400, "InvalidCursorError")


def test_decision_cursors_padding_is_optional(app, rows):
    for path in ("/webhook/logs", "/webhook/webhooks", "/webhook/logs?limit=2"):
        for name in ("current", "next"):
            cursor = cursors(app, path)[name]
            if cursor is None:
                continue
            padded = cursor + "=" * (-len(cursor) % 4)
            a, b = [
                app.call("GET", path, params={"cursor": c}).json()["data"]
                for c in (cursor, padded)
            ]
            assert a == b


def test_decision_cursors_current_is_always_a_cursor_and_links_keep_limit_and_filter(app, rows):
    query = {"limit": 2, "filter[event_type]": LEAD["event_type"], "filter[service][id]": ""}
    page = app.call("GET", "/webhook/logs", params=query).json()
    seen, pages = [], [page]
    while page["links"]["next"]:
        assert "limit=2" in page["links"]["next"]
        assert "filter%5Bevent_type%5D=crm.lead.created" in page["links"]["next"]
        page = app.session.get(page["links"]["next"], timeout=9).json()
        pages.append(page)
    assert [r["id"] for p in pages for r in p["data"]] == [r["id"] for r in rows]
    assert [p["meta"]["items_on_page"] for p in pages] == [2, 2, 1]
    for i, page in enumerate(pages):
        assert page["meta"]["cursors"]["current"]
        again = app.session.get(page["links"]["current"], timeout=9).json()
        assert again["data"] == page["data"]
        assert (page["links"]["previous"] is None) == (i == 0)
        if i:
            before = app.session.get(page["links"]["previous"], timeout=9).json()
            assert before["data"] == pages[i - 1]["data"]
        seen.append(page["links"]["current"])
    empty = app.call("GET", "/webhook/connections").json()
    assert empty["data"] == [] and empty["meta"]["cursors"]["current"]
    assert isinstance(empty["links"]["current"], str)


def test_decision_cursors_of_logs_stay_right_while_new_logs_arrive(app, rows):
    page = app.call("GET", "/webhook/logs?limit=2").json()
    seen = [r["id"] for r in page["data"]]
    while page["links"]["next"]:
        accepted(app.publish([LEAD, LEAD]))
        settled(app, len(rows) + len(seen))
        page = app.session.get(page["links"]["next"], timeout=9).json()
        seen += [r["id"] for r in page["data"]]
    assert seen == [r["id"] for r in rows]
    newest = app.call("GET", "/webhook/logs?limit=200").json()["data"]
    assert [r["id"] for r in newest][-5:] == seen and len(newest) == 9


def test_decision_cursors_total_count_on_webhooks_only(app, hook, rows):
    app.subscribe(hook["delivery_url"])
    page = app.call("GET", "/webhook/webhooks?limit=1").json()
    assert page["meta"]["total_count"] == 2 and page["meta"]["items_on_page"] == 1
    for path in ("/webhook/logs", "/webhook/connections"):
        assert "total_count" not in app.call("GET", path).json()["meta"]


# ---- logs -----------------------------------------------------------------


def test_decision_logs_are_one_row_per_delivery_listed_from_planning_on(app, hook, url):
    # To the disabled one nothing is sent.
    held = app.subscribe(url + "/held", status="disabled")
    (event,) = events_of(app, app.publish({**LEAD, "entity_id": "planned"}))
    ids = {d["id"]: d["webhook_id"] for d in event["deliveries"]}
    assert set(ids.values()) == {hook["id"], held["id"]}
    rows = {r["id"]: r for r in app.logs() if r["id"] in ids}
    assert rows.keys() == ids.keys()  # its id is the delivery's
    waiting = rows[next(i for i, h in ids.items() if h == held["id"])]
    assert waiting["attempts"] == [] and waiting["execution_attempt"] == 0
    assert waiting["success"] is False and waiting["retry_scheduled"] is False
    assert waiting["http_method"] == "POST" and waiting["endpoint"] == url + "/held"


def test_decision_logs_retries_change_the_row_but_neither_timestamp_nor_place(
    app, hook, url, receiver
):
    """request_body: exact bytes of the last attempt; response_body: its excerpt."""
    path = f"/webhook/webhooks/{hook['id']}/settings"
    assert app.call("PATCH", path, {"schedule": "1s,1h,1h"}).status_code == 200
    receiver.answer(f"/{app.id}", lambda delivery, n: 500)
    accepted(app.publish(LEAD))
    (first,) = settled(app)
    assert first["retry_scheduled"] is True and first["status_code"] == 500
    app.subscribe(url + "/later")
    accepted(app.publish(LEAD))

    def again():
        row = app.logs()[-1]
        return row if len(row["attempts"]) == 2 else None

    row = wait_until(again, 20, "a second attempt")
    sent = next(d for d in receiver.deliveries(f"/{app.id}")
                if d.key == row["id"] and d.payload["execution_attempt"] == 2)
    assert row["id"] == first["id"] and row["timestamp"] == first["timestamp"]
    assert row["execution_attempt"] == 2 and row["retry_scheduled"] is True
    assert row["request_body"].encode() == sent.body
    assert row["response_body"] == "ok"
    # The date filters go by it, both ends included.
    for name, other in (("start_date", "end_date"), ("end_date", "start_date")):
        found = app.logs(**{f"filter[{name}]": row["timestamp"],
                            f"filter[{other}]": row["timestamp"]})
        assert row["id"] in [r["id"] for r in found]
        assert {r["timestamp"] for r in found} == {row["timestamp"]}


def test_decision_logs_status_code_0_for_no_answer_is_filterable(app, url, hook):
    dead = app.subscribe("http://127.0.0.1:9/", status="disabled")
    app.call("PATCH", f"/webhook/webhooks/{dead['id']}", {"status": "enabled"})
    accepted(app.publish(LEAD))
    rows = settled(app, 2)
    (none,) = app.logs(**{"filter[status_code]": 0})
    assert none["endpoint"] == "http://127.0.0.1:9/" and none["status_code"] == 0
    assert none["attempts"][0]["status_code"] == 0 and len(rows) == 2
    assert none["response_body"] == ""


def test_decision_logs_service_is_id_and_name_of_the_connection(app, hook):
    made = app.connect()
    path = f"/webhook/connections/{made['id']}"
    app.call("PATCH", path, {"name": "The sales team's HubSpot"})
    accepted(post(made["execute_url"], CONTACT))
    wait_until(lambda: app.logs(**{"filter[service][id]": "hubspot"}), 10, "the row")
    (row,) = app.logs(**{"filter[service][id]": "hubspot"})
    assert row["service"] == {"id": "hubspot", "name": "The sales team's HubSpot"}
    assert row["consumer_id"] == "c-1"


def test_decision_logs_exclude_apis_tests_api_and_type_prefix_and_accepts_proxy(app, url):
    for api in ("crm", "ats", "vault"):
        app.subscribe(url, unified_api=api)
    app.publish([
        LEAD, {**LEAD, "event_type": "ats.job.created"},
        {**LEAD, "event_type": "vault.connection.updated", "entity": {"unified_api": "ats"}},
    ])
    settled(app, 4)

    def left(excluded):
        rows = app.logs(**{"filter[exclude_apis]": excluded})
        return sorted({r["event_type"] for r in rows})

    assert left("vault,proxy") == ["ats.job.created", "crm.lead.created"]
    # By the event's API, and by its type's prefix.
    assert left("ats") == ["crm.lead.created"]
    assert left("proxy") == ["ats.job.created", "crm.lead.created", "vault.connection.updated"]
    assert left("vault, crm") == ["ats.job.created"]


def test_decision_logs_event_id_finds_by_the_id_in_the_payload(app, hook):
    mine, none = app.publish([{**LEAD, "event_id": "order-17"}, LEAD]).json()["data"]["event_ids"]
    accepted(app.publish({**LEAD, "event_id": "order-17"}))
    rows = settled(app, 3)
    body = lambda row: json.loads(row["request_body"])["payload"]["event_id"]  # noqa: E731
    found = app.logs(**{"filter[event_id]": "order-17"})
    assert [r["id"] for r in found] == [r["id"] for r in rows if body(r) == "order-17"]
    assert len(found) == 2
    for given in (mine, none):  # and by the one that publishing answered
        (row,) = app.logs(**{"filter[event_id]": given})
        assert row["id"][:27] == given[:27]
    assert body(row) == none
    for nobody in ("order-1", str(uuid.uuid4()), "x" * 256):
        assert app.logs(**{"filter[event_id]": nobody}) == []
    both = {"filter[event_id]": "order-17", "filter[success]": "false"}
    assert app.logs(**both) == []
    page = app.call("GET", "/webhook/logs?filter[event_id]=order-17&limit=1").json()
    rest = app.session.get(page["links"]["next"], timeout=9).json()
    assert [r["id"] for r in page["data"] + rest["data"]] == [r["id"] for r in found]


# ---- raw ------------------------------------------------------------------


def test_decision_raw_shows_attempts_on_logs_requests_on_w_and_nothing_on_execute(app, hook):
    made = app.connect()
    accepted(app.publish(LEAD))
    settled(app, 2)
    for ask in ({"params": {"raw": "true"}}, {"headers": {"x-apideck-raw": "true"}}):
        path = f"/webhook/logs?filter[event_type]={LEAD['event_type']}"
        body = app.call("GET", path, **ask).json()
        assert len(body["data"]) == 1
        for row, raw in zip(body["data"], body["_raw"]["logs"]):
            assert raw["id"] == row["id"]
            (attempt,) = raw["attempts"]
            assert attempt["request"]["body"] == row["request_body"]
            assert attempt["response"]["body"] == "ok"
            assert attempt["request"]["headers"]["x-apideck-signature"] == "***"
        for path in ("/webhook/webhooks", f"/webhook/webhooks/{hook['id']}"):
            assert app.call("GET", path, **ask).json()["_raw"] == {}
        raw = accepted(post(made["execute_url"], [CONTACT], **ask))["_raw"]
        assert json.loads(raw["body"]) == [CONTACT] and raw["method"] == "POST"
        for route in ("execute", "x"):
            target = hook["execute_base_url"].removesuffix("execute") + route + "/hubspot"
            assert "_raw" not in accepted(post(target, CONTACT, **ask))
    for path in ("/webhook/logs", f"/webhook/webhooks/{hook['id']}?raw=false"):
        assert "_raw" not in app.call("GET", path).json()


# ---- execute, x and w -----------------------------------------------------


def test_decision_calls_take_objects_and_arrays_scalars_400_empty_array_200(app, hook):
    connection = app.connect()
    target = f"{hook['execute_base_url']}/hubspot"
    for target in (target, target.replace("/execute/", "/x/"), connection["execute_url"]):
        for body, count in (([], 0), ([CONTACT, CONTACT], 2), (CONTACT, 1)):
            assert len(events_of(app, post(target, body))) == count
        for text in ("7", '"text"', "[7]", "null", "[null]", "[[]]", "true", '[{},"x"]'):
            answer = requests.post(target, data=text, timeout=9)
            error(answer, 400, "RequestValidationError")


def test_decision_calls_bodyless_post_w_is_an_event_only_if_e_maps_get_never(app, hook):
    url = app.connect()["execute_url"]
    assert events_of(app, post(url)) == []
    assert events_of(app, post(url + "?e=no.such")) == []
    (event,) = events_of(app, post(url + "?e=deal.creation"))
    assert event["event_type"] == "crm.opportunity.created"
    assert events_of(app, requests.get(url + "?e=deal.creation", timeout=9)) == []
    head = requests.head(url + "?e=deal.creation", timeout=9)
    assert events_of(app, requests.get(url, timeout=9)) == []
    assert head.status_code == 200 and head.content == b""
    asked = {"request_id": head.headers["request-id"]}
    assert app.call("GET", "/webhook/events", params=asked).json()["data"] == []
    # On execute and x the body is required.
    target = f"{hook['execute_base_url']}/hubspot?e=deal.creation"
    error(post(target), 400, "RequestValidationError")


def test_decision_calls_event_name_by_the_connectors_rule_then_e(app, hook):
    base = f"{hook['execute_base_url']}/hubspot?e=deal.creation"
    ruled, fallen = events_of(app, post(base, [{"objectId": 1}, CONTACT]))
    assert ruled["event_type"] == "crm.contact.created"
    assert fallen["event_type"] == "crm.opportunity.created"


def test_decision_calls_consumer_by_w_token_then_l_id_then_the_rule_else_none(app, hook):
    connection = app.connect("generic", "by-token")
    body = {"type": "crm.lead.created", "consumer_id": "by-rule", "id": "1"}
    token = connection["execute_url"].split("/")[-2]
    base = hook["execute_base_url"].removesuffix("execute")
    for target, event, consumer in (
        (connection["execute_url"], body, "by-token"),
        (f"{base}x/generic?l_id={token}", body, "by-token"),
        (f"{base}x/generic", body, "by-rule"), (f"{base}execute/generic", body, "by-rule"),
        (f"{base}execute/generic", {**body, "consumer_id": None}, None),
    ):
        (made,) = events_of(app, post(target, event))
        assert made["consumer_id"] == consumer, target


def test_decision_calls_content_types_form_cloudevents_else_tried_as_json(app, hook):
    target = f"{hook['execute_base_url']}/generic"
    cloud = '[{"specversion":"1.0","id":"1","type":"crm.lead.created"}]'
    for target in (target, target.replace("/execute/", "/x/")):
        for kind, body in (
            ("application/x-www-form-urlencoded", "type=crm.lead.created&data[id]=1"),
            ("application/cloudevents-batch+json", cloud), ("text/plain", cloud),
            ("application/octet-stream", cloud), ("text/xml", cloud), (None, cloud),
        ):
            headers = {"Content-Type": kind} if kind else {}
            (event,) = events_of(app, requests.post(target, data=body, headers=headers, timeout=9))
            assert (event["event_type"], event["entity_id"]) == ("crm.lead.created", "1"), kind
        for kind, body in (("text/xml", "<a/>"), ("application/x-www-form-urlencoded", "a=%zz")):
            answer = requests.post(target, data=body, headers={"Content-Type": kind}, timeout=9)
            error(answer, 400, "RequestValidationError")


# ---- beyond ---------------------------------------------------------------


def test_decision_events_object_or_array_bare_or_inside_payload(app, hook):
    for body, count in (
        (LEAD, 1), ([LEAD, LEAD], 2), ({"payload": LEAD}, 1), ({"payload": [LEAD, LEAD]}, 2),
        ([{"payload": LEAD}, LEAD], 2), ([], 0),
    ):
        answer = app.publish(body)
        assert len(accepted(answer)["data"]["event_ids"]) == count
    for wrong in (7, [7], {"payload": 7}, [LEAD, None], {}, "x"):
        error(app.publish(wrong), 400, "RequestValidationError")


def test_decision_events_required_fields_and_defaults(app, hook):
    for name in LEAD:
        body = {k: v for k, v in LEAD.items() if k != name}
        detail = error(app.publish(body), 400, "RequestValidationError")["detail"]
        assert detail == {"missing": [{name: "required"}]}
        error(app.publish({**LEAD, name: {}}), 400, "RequestValidationError")
    app.session.headers["x-apideck-service-id"] = "pipedrive"
    answer = app.publish(LEAD)
    (event,) = events_of(app, answer)
    payload = json.loads(event["request_body"])["payload"]
    assert payload == {
        **LEAD, "event_id": event["id"], "service_id": "pipedrive", "unified_api": "crm",
        "execution_attempt": 1, "occurred_at": accepted(answer)["timestamp"],
        "entity_url": "https://unify.apideck.com/crm/leads/e-1",
    }
    error(app.publish({**LEAD, "occurred_at": "yesterday"}), 400, "RequestValidationError")


def test_decision_events_are_sent_with_a_strict_time_and_the_url_that_was_said(app, hook):
    """Of what a publisher says, in the shape that subscribers' SDKs take."""
    url = {"entity_url": "https://acme.test/leads/\u00fc?\"x\""}
    strict = "2021-10-01T03:14:55.419Z"
    for said, time in (
        ({"occurred_at": strict}, strict),
        ({"occurred_at": "2021-10-01T05:14:55+02:00"}, "2021-10-01T05:14:55+02:00"),
        ({"occurred_at": "2021-10-01 05:14:55.419+0200"}, strict),
        ({"occurred_at": "2021-10-01T03:14Z"}, "2021-10-01T03:14:00.000Z"),
        ({"occurred_at": "2021-10-01"}, "2021-10-01T00:00:00.000Z"),
        (url, None),
    ):
        answer = app.publish({**LEAD, **said})
        (event,) = events_of(app, answer)
        payload = json.loads(event["request_body"])["payload"]
        assert payload["occurred_at"] == (time or accepted(answer)["timestamp"])
        assert payload["entity_url"] == said.get(
            "entity_url", "https://unify.apideck.com/crm/leads/e-1"
        )
    for none in (None, "", 7, {}):
        (event,) = events_of(app, app.publish({**LEAD, "entity_url": none}))
        payload = json.loads(event["request_body"])["payload"]
        assert payload["entity_url"] == "https://unify.apideck.com/crm/leads/e-1"


def test_decision_events_are_dated_by_their_acceptance(stack, app, hook):
    with stack.paused("router"):
        body = accepted(app.publish(LEAD))
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 1, 5, "a second later")
    (name,) = body["data"]["event_ids"]
    settled(app)
    event = app.call("GET", f"/webhook/events/{name}").json()["data"]
    at = [datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (
        body["timestamp"], event["accepted_at"], event["deliveries"][0]["timestamp"])]
    assert at[1] - at[0] < datetime.timedelta(seconds=0.5) < at[2] - at[1]


def test_decision_events_of_vault_carry_exactly_eight_fields(app, url):
    app.subscribe(url, unified_api="vault")
    (event,) = events_of(app, app.publish({
        **LEAD, "event_type": "vault.connection.updated", "entity": {"id": "x", "more": [1]},
        "consumer_id": "c", "unified_api": "crm", "anything": "else",
    }))
    assert set(json.loads(event["request_body"])["payload"]) == {
        "event_id", "event_type", "service_id", "entity_id", "entity_type", "entity",
        "execution_attempt", "occurred_at",
    }


def test_decision_events_by_id_and_by_request_id_with_deliveries_and_attempts(app, hook):
    answer = app.publish(LEAD)
    (name,) = accepted(answer)["data"]["event_ids"]
    settled(app)
    (found,) = events_of(app, answer)
    one = app.call("GET", f"/webhook/events/{name}").json()["data"]
    assert one == found and one["id"] == name
    (delivery,) = one["deliveries"]
    assert delivery["webhook_id"] == hook["id"] and delivery["state"] == "delivered"
    assert delivery["attempts"][0]["status_code"] == 200
    by_delivery = app.call("GET", f"/webhook/events/{delivery['id']}").json()["data"]
    assert by_delivery["id"] == name
    for nobody in (str(uuid.uuid4()), "x"):
        error(app.call("GET", f"/webhook/events/{nobody}"), 404, "EntityNotFoundError")
    for query in ("", "?request_id=", "?request_id=x"):
        error(app.call("GET", "/webhook/events" + query), 400, "RequestValidationError")
    none = app.call("GET", f"/webhook/events?request_id={uuid.uuid4()}").json()
    assert none["data"] == []


def test_decision_errors_unavailable_503_with_retry_after(stack, app, hook, url):
    """The last one: it stops the store, and starts it again."""
    stack["logger"].signal(15)
    stack["logger"].wait_end()
    try:
        body = {"delivery_url": url, "status": "enabled", "events": ["*"], "unified_api": "crm"}
        for answer in (
            app.call("POST", "/webhook/webhooks", body),
            app.call("DELETE", f"/webhook/webhooks/{hook['id']}"),
        ):
            error(answer, 503, "ServiceUnavailableError")
            assert int(answer.headers["Retry-After"]) >= 1
        assert app.call("GET", "/webhook/webhooks").json()["data"] == [hook]
        accepted(app.publish(LEAD))  # what comes in is kept
    finally:
        stack.start("logger")
    settled(app)
