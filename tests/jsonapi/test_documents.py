"""Documents, errors and logins of the second face."""
import time

import pytest
import requests

from harness import openapi, token
from harness.wait import wait_until

from .client import LOGIN, MEDIA, PATH, TYPE, Client, document, errors

URL = "http://127.0.0.1:9/hook"
ATTRIBUTES = {
    "account_id",
    "name",
    "url",
    "secret",
    "events",
    "scopes",
    "created_at",
    "updated_at",
}


def test_life(client, world):
    scopes = {"consumer_id": ["a", "b"], "service_id": "hubspot"}
    made = client.post(
        name="first",
        url=URL,
        events=["crm.contact.created"],
        secret="s3cret-é",
        scopes=scopes,
    )
    assert made.status_code == 201
    row = made.json()["data"]
    assert list(made.json()) == ["data"] and set(row) == {"type", "id", "attributes"}
    assert row["type"] == TYPE and row["id"].isdigit()
    assert made.headers["location"] == f"{world[0].api_url}{PATH}/{row['id']}"
    has = row["attributes"]
    assert set(has) == ATTRIBUTES
    assert has["name"] == "first" and has["url"] == URL and has["secret"] == "s3cret-é"
    assert has["events"] == ["crm.contact.created"] and has["scopes"] == scopes
    assert has["created_at"] == has["updated_at"]
    assert isinstance(has["account_id"], int)

    number = row["id"]
    assert client.get(number).json()["data"] == row
    assert client.list()["data"] == [row]

    answer = client.patch(number, name=None, events=["*"], secret="other", scopes={})
    assert answer.status_code == 200
    now = answer.json()["data"]["attributes"]
    assert now["name"] is None and now["events"] == ["*"] and now["secret"] == "other"
    assert now["scopes"] == {} and now["url"] == URL
    assert now["updated_at"] > now["created_at"] == has["created_at"]
    assert client.get(number).json()["data"] == answer.json()["data"]

    gone = client.delete(number)
    assert gone.status_code == 204 and gone.content == b""
    assert client.list() == {"data": []}
    for again in (client.get(number), client.delete(number), client.test(number)):
        errors(again, 404)
    errors(client.patch(number, name="x"), 404)


def test_what_cannot_be_written_is_ignored(client):
    odd = {
        "id": 77,
        "account_id": 99,
        "created_at": "2001-01-01T00:00:00Z",
        "updated_at": "x",
        "nobody": "knows",
    }
    row = client.create(URL, ["*"], **odd)
    assert row["id"] != "77"
    assert row["attributes"]["account_id"] != 99
    assert row["attributes"]["created_at"] > "2020"
    assert "nobody" not in row["attributes"]
    del odd["id"]
    same = client.patch(row["id"], **odd)
    assert same.status_code == 200 and same.json()["data"] == row
    assert client.patch(row["id"], id=int(row["id"])).status_code == 200
    outer = document({"name": "n"}, id=row["id"])
    assert client.call("PATCH", f"{PATH}/{row['id']}", outer).status_code == 200


def test_generated_secrets_differ(client):
    secrets = {client.create(URL)["attributes"]["secret"] for _ in range(3)}
    secrets.add(client.create(URL, secret=None)["attributes"]["secret"])
    assert len(secrets) == 4
    assert all(s.startswith("whsec_") and len(s) > 40 for s in secrets)


WRONG = [
    ({}, ["/data"]),
    ({"data": []}, ["/data"]),
    ({"data": {}}, ["/data/type", "/data/attributes"]),
    ({"data": {"type": TYPE, "attributes": 1}}, ["/data/attributes"]),
    ({"data": {"type": "webhooks", "attributes": {}}}, None),
    (document({}), ["/data/attributes/url", "/data/attributes/events"]),
    (document({"url": "", "events": []}), ["/data/attributes/url"]),
    (document({"url": 7, "events": []}), ["/data/attributes/url"]),
    (document({"url": "ftp://x/", "events": []}), ["/data/attributes/url"]),
    (document({"url": "http://x/" + "y" * 3000, "events": []}), ["/data/attributes/url"]),
    (document({"url": URL, "events": "*"}), ["/data/attributes/events"]),
    (document({"url": URL, "events": [1]}), ["/data/attributes/events"]),
    (document({"url": URL, "events": ["no.such.event"]}), ["/data/attributes/events"]),
    (document({"url": URL, "events": [], "name": 1}), ["/data/attributes/name"]),
    (document({"url": URL, "events": [], "name": "n" * 2000}), ["/data/attributes/name"]),
    (document({"url": URL, "events": [], "secret": ""}), ["/data/attributes/secret"]),
    (document({"url": URL, "events": [], "secret": 5}), ["/data/attributes/secret"]),
    (document({"url": URL, "events": [], "scopes": []}), ["/data/attributes/scopes"]),
    (
        document({"url": URL, "events": [], "scopes": {"color": "red"}}),
        ["/data/attributes/scopes/color"],
    ),
    (
        document({"url": URL, "events": [], "scopes": {"consumer_id": [1]}}),
        ["/data/attributes/scopes/consumer_id"],
    ),
]


@pytest.mark.parametrize("body, pointers", WRONG)
def test_wrong_bodies(client, body, pointers):
    found = errors(client.call("POST", PATH, body), 422)
    if pointers is None:
        assert found[0][0] == "/data/type"
    else:
        assert [where for where, _ in found] == pointers
    assert client.list() == {"data": []}


def test_wrong_patches_change_nothing(client):
    row = client.create(URL, ["crm.*"], name="n")
    for attributes in (
        {"url": "gopher://x", "name": "changed"},
        {"events": ["nope"]},
        {"secret": None},
        {"scopes": {"x": "y"}},
        {"id": int(row["id"]) + 1, "name": "changed"},
    ):
        errors(client.patch(row["id"], **attributes), 422)
    alien = document({"name": "changed"}, id=str(int(row["id"]) + 1))
    found = errors(client.call("PATCH", f"{PATH}/{row['id']}", alien), 422)
    assert found[0][0] == "/data/id"
    assert client.get(row["id"]).json()["data"] == row


def test_errors_have_the_shape_of_the_original(client):
    number = client.get("x")
    assert number.json()["errors"][0] == {
        "status": 422,
        "title": "Verse::Error::ValidationFailed",
        "detail": "must be an integer",
        "source": {"parameter": "resource_id"},
    }
    missing = client.get(4000000000).json()["errors"][0]
    assert missing["status"] == "404"
    assert missing["title"] == "Verse::Error::RecordNotFound"
    for number in ("99999999999999999999", "4294967297", "0"):
        errors(client.get(number), 404)
    for number in ("-1", "1.5", "1x", "%F0%9F", "a" * 300):
        errors(client.get(number), 422)
    errors(client.delete("events"), 405)


def test_bodies_that_are_no_documents(client):
    for body, status in ((b"", 400), (b"{", 400), (b"[]", 400), (b'{"a":1,"a":2}', 400)):
        answer = client.session.post(
            client.url + PATH, data=body, headers={"Content-Type": MEDIA}, timeout=10
        )
        openapi.check(answer)
        errors(answer, status)
    answer = client.session.post(
        client.url + PATH, data=b"{}", headers={"Content-Type": "text/plain"}, timeout=10
    )
    openapi.check(answer)
    errors(answer, 415)


def test_plain_json_is_taken_too(world, app):
    plain = Client(world[0], app.key, media="application/json; charset=utf-8")
    row = plain.create(URL)
    assert plain.patch(row["id"], name="x").status_code == 200


def test_routes(client):
    errors(client.call("GET", "/api/v3/nowhere"), 404)
    errors(client.call("GET", PATH + "/1/2"), 404)
    for method, path, allowed in (
        ("PUT", PATH, "GET, POST"),
        ("DELETE", PATH, "GET, POST"),
        ("POST", PATH + "/1", "GET, PATCH, DELETE"),
        ("POST", PATH + "/events", "GET"),
        ("GET", PATH + "/test/1", "POST"),
        ("GET", LOGIN, "POST"),
    ):
        answer = client.call(method, path)
        errors(answer, 405)
        assert answer.headers["allow"] == allowed
    assert client.session.head(client.url + PATH, timeout=10).status_code == 200


def test_another_application_sees_nothing(client, other):
    row = client.create(URL)
    assert other.list() == {"data": []}
    errors(other.get(row["id"]), 404)
    errors(other.patch(row["id"], name="mine"), 404)
    errors(other.delete(row["id"]), 404)
    errors(other.test(row["id"]), 404)
    assert client.get(row["id"]).json()["data"] == row


# ---- logins


def log_in(world, body):
    return Client(world[0], None).call("POST", LOGIN, body)


def test_login(world, app, client):
    row = client.create(URL)
    answer = log_in(world, {"key": app.key})
    assert answer.status_code == 200
    meta = answer.json()["meta"]
    assert set(meta) == {"token", "expires_at"}
    claims = token.claims(meta["token"])
    assert claims["k"] == "s" and claims["a"] == row["attributes"]["account_id"]
    assert 0 < claims["e"] - time.time() <= 3600
    by_token = Client(world[0], meta["token"])
    assert by_token.list()["data"] == [row]
    assert by_token.create(URL)["attributes"]["account_id"] == claims["a"]
    # It is none of the first face's.
    refused = requests.get(
        f"{world[0].api_url}/webhook/webhooks",
        headers={"Authorization": f"Bearer {meta['token']}", "x-apideck-app-id": app.id},
        timeout=10,
    )
    assert refused.status_code == 401


def test_tokens_that_are_not_taken(world, app, client):
    good = log_in(world, {"key": app.key}).json()["meta"]["token"]
    claims = token.claims(good)
    secret = token.key(world[0])
    assert Client(world[0], token.mint(secret, claims)).list() == {"data": []}
    integration = {"k": "i", "a": claims["a"], "l": claims["l"]}
    for text in (
        token.mint(secret, {**claims, "e": int(time.time()) - 1}),
        token.mint(b"x" * 32, claims),
        token.mint(secret, claims, "none"),
        token.mint(secret, claims, "HS512"),
        token.mint(secret, integration),
        token.mint(secret, {**claims, "a": claims["a"] + 1}),
        token.mint(secret, {**claims, "l": "nobody"}),
        good[:-2],
        good + "x",
        app.key + "x",
        "x",
    ):
        answer = Client(world[0], text).call("GET", PATH)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert errors(answer, 401)
        assert answer.json()["errors"][0]["title"] == "Verse::Error::AuthenticationFailed"
    for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        answer = requests.get(client.url + PATH, headers=headers, timeout=10)
        openapi.check(answer)
        errors(answer, 401)


def test_a_token_ends_with_its_key(world, app):
    second = app.call("POST", "/webhook/keys").json()["data"]
    meta = log_in(world, {"key": second["key"]}).json()["meta"]
    for key in (meta["token"], second["key"]):
        assert Client(world[0], key).list() == {"data": []}
    assert app.call("DELETE", f"/webhook/keys/{second['id']}").status_code == 200
    for key in (meta["token"], second["key"]):
        errors(Client(world[0], key).call("GET", PATH), 401)
    errors(log_in(world, {"key": second["key"]}), 401)


def test_logins_that_fail(world):
    errors(log_in(world, {"key": "sk_live_no"}), 401)
    assert errors(log_in(world, {}), 422)[0][0] == "/key"
    assert errors(log_in(world, {"key": 1}), 422)[0][0] == "/key"


# ---- the catalogue


def test_events(client, world):
    answer = client.call("GET", PATH + "/events")
    assert answer.status_code == 200
    rows = answer.json()["data"]
    names = [row["id"] for row in rows]
    assert len(names) == len(set(names)) == 141
    for row in rows:
        payload = row["attributes"]["example"]["payload"]
        assert row["type"] == "notification/events"
        assert row["attributes"]["description"]
        assert payload["event_type"] == row["id"]
        if row["id"].startswith("vault."):
            assert len(payload) == 8 and payload["entity"]["unified_api"]
        else:
            assert payload["unified_api"] == row["id"].split(".")[0]
    # All of it may be subscribed to.
    row = client.create(URL, names)
    assert row["attributes"]["events"] == names


# ---- limits


def test_the_quota_is_used_up(app, client):
    """402 to what creates and what enables; all else goes on, a test too."""
    row = client.create(URL)
    dead = {
        "delivery_url": URL, "status": "enabled", "events": ["*"], "unified_api": "crm"
    }
    dead = app.call("POST", "/webhook/webhooks", dead).json()["data"]
    assert dead["disabled_reason"] == "delivery_url_validation_failed"
    (second,) = (n for n in client.ids() if str(n) != row["id"])
    app.limit(quota=1)
    wait_until(lambda: app.usage()["quota"] == 1, 10, "the quota")
    event = {"event_type": "crm.lead.created", "entity_id": "1", "entity_type": "lead"}
    assert app.publish(event).status_code == 200
    wait_until(lambda: app.usage()["limited"], 10, "the limit")
    assert app.publish(event).status_code == 402

    for answer in (client.post(url=URL, events=["*"]), client.patch(second, url=URL + "2")):
        ((_, detail),) = errors(answer, 402)
        assert detail == "You have reached your limit of 1"
    assert len(client.list()["data"]) == 2
    assert client.patch(second, name="renamed").status_code == 200
    assert client.test(row["id"]).json()["success"] is False  # nobody is there
    assert app.usage()["used"] == 1
    app.limit(quota=2)
    wait_until(lambda: app.usage()["quota"] == 2, 10, "another quota")
    client.create(URL)
    assert client.patch(second, url=URL + "2").status_code == 200


def test_too_many_requests(app, client):
    app.limit(rate=1)

    def refusals():
        return [a for a in (client.call("GET", PATH) for _ in range(3)) if not a.ok]

    found = wait_until(refusals, 30, "a refusal")[0]
    errors(found, 429)
    assert int(found.headers["Retry-After"]) >= 1
