"""Lines of the decisions on the API that no other test is named after. One stack
for all of them."""
import uuid

import pytest
import requests

from harness.receiver import Receiver
from harness.stack import Stack
from harness.wait import wait_until

EVENT = {"event_type": "crm.lead.created", "entity_id": "e-1", "entity_type": "lead"}
HUBSPOT = {"subscriptionType": "contact.creation", "objectId": 7}


@pytest.fixture(scope="module")
def stack():
    one = Stack(apps=("acme", "other"))
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


@pytest.fixture(scope="module")
def hook(stack, receiver):
    return stack.app.subscribe(receiver.url + "/hook")


def error(answer, status, type_name):
    body = answer.json()
    assert answer.status_code == body["status_code"] == status, answer.text
    assert body["type_name"] == type_name
    assert body["ref"].startswith("https://developers.apideck.com/errors#")
    assert answer.headers["content-type"] == "application/json"
    assert uuid.UUID(answer.headers["request-id"])


def test_bad_key_missing_app_id_and_app_id_of_another_key(stack, hook):
    path = f"{stack.api_url}/webhook/webhooks"
    key = {"Authorization": f"Bearer {stack.app.key}"}
    app = {"x-apideck-app-id": stack.app.id}
    error(requests.get(path, headers=app, timeout=9), 401, "UnauthorizedError")
    wrong = {**app, "Authorization": "Bearer sk_live_nobody"}
    error(requests.get(path, headers=wrong, timeout=9), 401, "UnauthorizedError")
    error(requests.get(path, headers=key, timeout=9), 400, "RequestHeadersValidationError")
    other = {**key, "x-apideck-app-id": "other"}
    error(requests.get(path, headers=other, timeout=9), 401, "UnauthorizedError")
    # Another application's object.
    one = f"/webhook/webhooks/{hook['id']}"
    for verb in ("", "/settings", "/secret"):
        error(stack.apps[1].call("GET", one + verb), 404, "EntityNotFoundError")
    for verb in ("/secret/rotate", "/test", "/replay"):
        error(stack.apps[1].call("POST", one + verb), 404, "EntityNotFoundError")


def test_consumer_and_service_headers_are_never_required_and_empty_is_absent(stack, hook):
    empty = {"x-apideck-consumer-id": "", "x-apideck-service-id": ""}
    assert stack.app.call("GET", "/webhook/webhooks", headers=empty).status_code == 200
    assert stack.app.publish(EVENT).status_code == 200


def test_request_id_is_header_and_body_and_finds_the_event(stack):
    answer = stack.app.publish(EVENT)
    body = answer.json()
    name = body["request_id"]
    assert name == answer.headers["Request-Id"] == body["data"]["request_id"]
    (event,) = body["data"]["event_ids"]

    def found():
        return stack.app.call(
            "GET", "/webhook/events", params={"request_id": name}
        ).json()["data"]

    assert wait_until(found, 10, "the event")[0]["id"] == event
    assert stack.app.call("GET", f"/webhook/events/{event}").json()["data"]["id"] == event


def test_method_override_on_get_and_post_and_unknown_is_400(stack, hook):
    path = f"/webhook/webhooks/{hook['id']}?_method="
    app = stack.app
    assert app.call("POST", path + "GET").json()["data"]["id"] == hook["id"]
    changed = app.call("POST", path + "PATCH", {"description": "by another name"})
    assert changed.json()["data"]["description"] == "by another name"
    error(app.call("GET", path + "BREW"), 400, "RequestValidationError")
    wrong = app.call("PUT", f"/webhook/webhooks/{hook['id']}", {})
    error(wrong, 405, "MethodNotAllowedError")
    assert set(wrong.headers["Allow"].split(", ")) == {"GET", "PATCH", "DELETE"}


def test_bare_id_on_execute_needs_bearer_and_app_id(stack, hook):
    path = f"{stack.ingest_url()}/webhook/webhooks/{hook['id']}/execute/hubspot"
    key = {"Authorization": f"Bearer {stack.app.key}"}
    app = {"x-apideck-app-id": stack.app.id}
    for headers in ({}, key, app):
        answer = requests.post(path, json=HUBSPOT, headers=headers, timeout=9)
        error(answer, 401, "UnauthorizedError")
    answer = requests.post(path, json=HUBSPOT, headers={**key, **app}, timeout=9)
    assert answer.status_code == 200, answer.text


def test_execute_bodies_scalar_is_400_and_empty_array_is_200(stack, hook):
    url = hook["execute_base_url"] + "/hubspot"
    for body in ([], [HUBSPOT], HUBSPOT):
        assert requests.post(url, json=body, timeout=9).status_code == 200
    for body in ("7", '"text"', "[7]", "null", "[null]"):
        answer = requests.post(url, data=body, timeout=9)
        error(answer, 400, "RequestValidationError")


def test_connector_unknown_or_of_another_api_is_404(stack, hook):
    for service in ("nobody", "shopify"):
        answer = requests.post(f"{hook['execute_base_url']}/{service}", json=HUBSPOT, timeout=9)
        error(answer, 404, "ConnectorNotFoundError")


def test_unresolved_l_id_is_404(stack, hook):
    url = hook["execute_base_url"].removesuffix("execute") + "x/hubspot?l_id=nobody"
    error(requests.post(url, json=HUBSPOT, timeout=9), 404, "ConnectionNotFoundError")


def test_token_of_a_deleted_webhook_is_404(stack, receiver):
    gone = stack.app.subscribe(receiver.url + "/gone")
    answer = stack.app.call("DELETE", f"/webhook/webhooks/{gone['id']}")
    assert answer.status_code == 200 and answer.json()["data"] == gone
    answer = requests.post(gone["execute_base_url"] + "/hubspot", json=HUBSPOT, timeout=9)
    error(answer, 404, "IntegrationNotFoundError")


def test_content_type_other_than_json_on_a_write_is_415(stack, hook):
    for path in ("/webhook/webhooks", "/webhook/connections"):
        answer = stack.app.session.post(
            stack.api_url + path, data="a=b", headers={"Content-Type": "text/plain"}, timeout=9
        )
        error(answer, 415, "UnsupportedMediaTypeError")


def test_unknown_route_is_404(stack):
    for url in (stack.api_url, stack.ingest_url()):
        error(requests.get(url + "/nowhere", timeout=9), 404, "EntityNotFoundError")


def test_events_may_be_empty_and_unknown_properties_are_400(stack, hook):
    path = f"/webhook/webhooks/{hook['id']}"
    error(stack.app.call("PATCH", path, {"rate": 5}), 400, "RequestValidationError")
    answer = stack.app.call("PATCH", path, {"events": []})
    assert answer.status_code == 200 and answer.json()["data"]["events"] == []
