"""Nobody reaches what is another application's: every route of the document with
every wrong combination of key, application and id."""
import itertools
import json

import requests

from harness import openapi
from harness.wait import wait_until

DOCUMENT = openapi.document()
METHODS = {"get": "GET", "post": "POST", "patch": "PATCH", "delete": "DELETE"}
JSONAPI = "/api/v3/"
BODIES = {
    "webhooksAdd": {"delivery_url": "{url}", "status": "enabled", "events": ["*"],
                    "unified_api": "crm"},
    "webhooksUpdate": {"description": "taken"},
    "connectionsAdd": {"consumer_id": "mine", "unified_api": "crm", "service_id": "hubspot"},
    "connectionsUpdate": {"name": "taken"},
    "eventsPublish": {"event_type": "crm.lead.created", "entity_id": "1", "entity_type": "lead"},
}


class Owner:
    """An application with one of everything."""

    def __init__(self, app, url):
        self.app = app
        self.hook = app.subscribe(url)
        self.connection = app.connect()
        self.event = app.publish(BODIES["eventsPublish"]).json()
        self.face_b = app.call("GET", JSONAPI + "notification/webhooks").json()["data"][0]["id"]
        self.before = self.everything()

    def everything(self):
        """What a stranger must not change."""
        return [
            self.app.call("GET", f"/webhook/{what}").json()["data"]
            for what in ("webhooks", "connections")
        ]

    def delivered(self):
        return [r for r in self.app.logs() if r["success"]]

    def id_for(self, path):
        if path.startswith(JSONAPI):
            return self.face_b
        if "/connections/" in path:
            return self.connection["id"]
        if "/events/" in path:
            return self.event["data"]["event_ids"][0]
        if "/logs/" in path:
            return self.app.logs()[0]["id"]
        return self.hook["id"]

    def token_for(self, path):
        url = self.connection["execute_url"] if "/w/" in path else self.hook["execute_base_url"]
        return url.split("/")[-2]


def url_of(stack, operation):
    return stack.ingest_url() if operation["x-served-by"] == "ingest" else stack.api_url


def ask(stack, method, path, operation, key, app_id, owner, receiver):
    """One call, looked at; the body goes as that operation wants it."""
    target = path.replace("{id}", owner.id_for(path)).replace("{service_id}", "hubspot")
    target = target.replace("{token}", owner.token_for(path))
    if operation["operationId"] == "eventsFind":
        target += f"?request_id={owner.event['request_id']}"
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    if app_id is not None:
        headers["x-apideck-app-id"] = app_id
    body = BODIES.get(operation["operationId"], {}) if "requestBody" in operation else None
    data = None if body is None else json.dumps(body).replace("{url}", receiver)
    answer = requests.request(
        METHODS[method], url_of(stack, operation) + target, data=data, headers=headers, timeout=30
    )
    openapi.check(answer)
    return answer


def by_key():
    """Operations that are asked with a key."""
    return [
        (m, p, o) for m, p, o in DOCUMENT.operations()
        if any("token" not in s for s in o.get("security", []))
        and "{token}" not in p
    ]


def test_every_wrong_combination(stack, receiver):
    apps = [stack.app, stack.make_app("other")]
    owners = [Owner(a, f"{receiver.url}/{a.id}") for a in apps]
    wait_until(lambda: all(o.delivered() for o in owners), 20, "deliveries")
    for owner in owners:
        owner.before = owner.everything()
    mine, theirs = owners
    keys = [None, "", "sk_live_nobody", mine.app.key, theirs.app.key, mine.app.key + "x"]
    app_ids = [None, "", "nobody", mine.app.id, theirs.app.id]
    tried = 0
    for (method, path, operation), key, app_id, owner in itertools.product(
        by_key(), keys, app_ids, owners
    ):
        face_b = path.startswith(JSONAPI)
        whose = next((o for o in owners if o.app.key == key), None)
        # Face B knows no header: the key alone says whose call it is.
        right = whose is not None and (app_id == whose.app.id or face_b)
        if right and (whose is owner or "{id}" not in path):
            continue  # allowed
        answer = ask(stack, method, path, operation, key, app_id, owner, f"{receiver.url}/x")
        tried += 1
        what = (method, path, key, app_id, owner.app.id, answer.status_code, answer.text[:300])
        if right:
            assert answer.status_code == 404, what
        elif whose is not None and not app_id:
            assert answer.status_code == 400, what
        else:
            assert answer.status_code == 401, what
        for secret in (owner.app.key, owner.hook["execute_base_url"], f"/{owner.app.id}\""):
            assert secret not in answer.text, what
    print(f"\n{tried} wrong combinations")
    assert tried > 500
    for owner in owners:
        assert owner.everything() == owner.before, owner.app.id


def test_what_lists_show(stack, receiver):
    """Lists, searches and cursors of one application hold nothing of another's."""
    mine, theirs = [
        Owner(a, f"{receiver.url}/{a.id}") for a in (stack.app, stack.make_app("other"))
    ]
    wait_until(lambda: mine.delivered() and theirs.delivered(), 20, "deliveries")
    for owner, stranger in ((mine, theirs), (theirs, mine)):
        for path in ("/webhook/webhooks", "/webhook/connections", "/webhook/logs"):
            text = owner.app.call("GET", path).text
            assert stranger.app.id not in text and stranger.hook["id"] not in text, path
            assert stranger.connection["id"] not in text, path
        found = owner.app.call(
            "GET", f"/webhook/events?request_id={stranger.event['request_id']}"
        )
        assert found.json()["data"] == []
        path = "/webhook/logs?limit=1"
        cursor = owner.app.call("GET", path).json()["meta"]["cursors"]["current"]
        answer = stranger.app.call("GET", f"{path}&cursor={cursor}")
        assert answer.json()["type_name"] == "InvalidCursorError"


def test_tokens(stack, receiver):
    """A token works where it was made for, alone, and with its own application."""
    apps = [stack.app, stack.make_app("other")]
    mine, theirs = [Owner(a, f"{receiver.url}/{a.id}") for a in apps]
    token, lookup = mine.token_for("/execute"), mine.token_for("/w/")
    bad = [
        f"/webhook/w/{token}/hubspot",  # of the other kind
        f"/webhook/webhooks/{lookup}/execute/hubspot",
        f"/webhook/webhooks/{token[:-2]}/execute/hubspot",
        f"/webhook/webhooks/{mine.hook['id']}/execute/hubspot",  # a bare id, no key
        f"/webhook/webhooks/{mine.hook['id']}/x/hubspot",
        f"/webhook/w/{mine.connection['id']}/hubspot",
    ]
    for path in bad:
        answer = requests.post(stack.ingest_url() + path, json={}, timeout=10)
        openapi.check(answer)
        assert answer.status_code == 401, (path, answer.text)
    # A bare id with the key of another application.
    for app_id in (mine.app.id, theirs.app.id):
        answer = requests.post(
            f"{stack.ingest_url()}/webhook/webhooks/{mine.hook['id']}/execute/hubspot", json={},
            headers={"Authorization": f"Bearer {theirs.app.key}", "x-apideck-app-id": app_id},
            timeout=10,
        )
        openapi.check(answer)
        assert answer.status_code in (401, 404), answer.text
    # What another application's connection says through ours is nobody's.
    answer = requests.post(
        f"{stack.ingest_url()}/webhook/webhooks/{token}/x/hubspot?l_id={theirs.token_for('/w/')}",
        json={}, timeout=10,
    )
    openapi.check(answer)
    assert answer.status_code in (401, 404), answer.text
