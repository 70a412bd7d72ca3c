"""Whatever is asked, the answer is in the OpenAPI document, and comes.

CHECK_PROPERTY_REQUESTS says how many requests; by default 20,000 of a build with
sanitizers, where a mistake shows, and 5,000 of another one.
"""
import collections
import http.client
import os
import time

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.openapi import Outside, document
from harness.stack import SANITIZED, rss_mib
from harness.wait import wait_until

from . import generate

REQUESTS = int(os.environ.get("CHECK_PROPERTY_REQUESTS") or (20000 if SANITIZED else 5000))
ENOUGH = 5000  # requests to reach every operation's success with
BATCH = 20
HANG_S = 20  # a URL that is validated may take 10
KEPT = 12  # of webhooks, of connections and of keys
# Operations on what only the application has that events come in for.
READS = ("eventLogsAll", "eventsFind", "eventsOne", "logsReplay")
FACE_B = "/api/v3/notification/webhooks"
HOOK = {"status": "enabled", "events": ["crm.lead.created"], "unified_api": "crm"}


class Client:
    """Sends what was generated, and looks at every answer."""

    def __init__(self, stack, receiver):
        self.stack, self.receiver = stack, receiver
        self.asked, self.other = stack.apps
        hook = self.other.subscribe(f"{receiver}/sink")
        connection = self.other.connect()
        answer = self.other.publish({"event_type": "crm.lead.created", "entity_id": "1",
                                     "entity_type": "lead"})
        self.event = answer.json()["data"]["event_ids"][0]
        self.log = wait_until(self.delivered, 20, "a delivery")
        self.tokens = [hook["execute_base_url"].split("/")[-2],
                       connection["execute_url"].split("/")[-2]]
        self.ids = collections.defaultdict(collections.deque)
        self.gone = {}
        self.connections = {}
        self.answers = collections.defaultdict(collections.Counter)
        self.slowest = 0.0

    def delivered(self):
        return next((r["id"] for r in self.other.logs() if r["success"]), None)

    def make(self, path):
        """One more, so that there is always one to be asked for."""
        if path.startswith(FACE_B):
            body = {"data": {"type": "notification/webhooks", "attributes": {
                "url": f"{self.receiver}/property", "events": ["crm.lead.created"]}}}
        elif path == "/webhook/webhooks":
            body = {**HOOK, "delivery_url": f"{self.receiver}/property"}
        elif path == "/webhook/connections":
            body = {"service_id": "hubspot", "unified_api": "crm",
                    "consumer_id": f"c-{sum(self.statuses.values())}"}
        else:
            body = None
        answer = self.asked.call("POST", path, body)
        assert answer.status_code == 201, (path, answer.text)
        return answer.json()["data"]["id"]

    @property
    def statuses(self):
        return sum(self.answers.values(), collections.Counter())

    def known(self, name, request):
        """An id that is there, or, seldom, was."""
        if name == "service_id":
            return "hubspot"
        if name == "token":
            right = 1 if "/w/" in request["path"] else 0
            return self.tokens[right if request["pick"] % 8 else 1 - right]
        if request["operation"] == "eventsOne":
            return self.event
        if request["operation"] == "logsReplay":
            return self.log
        path = FACE_B if request["path"].startswith(FACE_B) else request["path"].split("/{")[0]
        if path in self.gone and request["pick"] % 8 == 0:
            return self.gone[path]
        ids = self.ids[path]
        if not ids:
            ids.append(self.make(path))
        return ids[request["pick"] % len(ids)]

    def identity(self, request):
        """Events come in and are read as one application, all else is asked
        as another, so that no event meets the webhooks that are made here."""
        reads = request["operation"] in READS or request["served_by"] == "ingest"
        me, them = (self.other, self.asked) if reads else (self.asked, self.other)
        headers = {"Authorization": f"Bearer {me.key}", "x-apideck-app-id": me.id}
        fault = request["fault"]
        if fault == "no key":
            del headers["Authorization"]
        elif fault == "unknown key":
            headers["Authorization"] = "Bearer sk_live_nobody"
        elif fault == "no app":
            del headers["x-apideck-app-id"]
        elif fault == "other app":
            headers["x-apideck-app-id"] = them.id
        elif fault == "basic":
            headers["Authorization"] = "Basic eDp5"
        return headers

    def connection(self, where):
        if where not in self.connections:
            url = self.stack.ingest_url() if where == "ingest" else self.stack.api_url
            self.connections[where] = http.client.HTTPConnection(
                url.removeprefix("http://"), timeout=HANG_S
            )
        return self.connections[where]

    def exchange(self, where, method, target, headers, body):
        connection = self.connection(where)
        fresh = connection.sock is None
        try:
            connection.request(method, target, body=body or None, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # It may close an idle connection, or one whose request it refused.
            connection.close()
            if fresh:
                raise
            return self.exchange(where, method, target, headers, body)

    def send(self, request):
        target = generate.target(request, self.known)
        kind, body = request["body"]
        headers = {**self.identity(request), **request["headers"]}
        if kind is not None:
            headers["Content-Type"] = kind
        body = body.replace(b"{receiver}", self.receiver.encode())
        body = body.replace(b"{key}", self.asked.key.encode())
        where = request["served_by"]
        method = request["method"].upper()
        began = time.monotonic()
        try:
            status, told, answer = self.exchange(where, method, target, headers, body)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.answers[request["operation"]][status] += 1
            assert status < 500 or status == 503, (status, answer)
            value = document().check(method, target, status, told, answer)
        except (Outside, AssertionError, OSError, http.client.HTTPException) as e:
            raise AssertionError(
                f"{e!r}\n{where}: {method} {target}\n{headers}\n{body[:2000]!r}"
            ) from e
        if status == 201:
            self.keep(request["path"], value["data"]["id"])
        elif request["method"] == "delete" and status < 300:
            self.forget(target)

    def keep(self, path, made):
        ids = self.ids[path]
        ids.append(made)
        if len(ids) > KEPT:
            self.gone[path] = ids.popleft()
            self.asked.call("DELETE", f"{path}/{self.gone[path]}")

    def forget(self, target):
        path, _, name = target.partition("?")[0].rpartition("/")
        if name in self.ids[path]:
            self.ids[path].remove(name)
            self.gone[path] = name


@pytest.fixture
def client(make_stack, load_receiver):
    stack = make_stack(apps=("asked", "other")).start()
    return Client(stack, load_receiver.url)


def test_no_answer_outside_the_document(client):
    @settings(
        max_examples=max(1, REQUESTS // BATCH), deadline=None, database=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(generate.requests(), min_size=BATCH, max_size=BATCH))
    def ask(batch):
        for request in batch:
            client.send(request)

    ask()
    total = sum(client.statuses.values())
    for name, answers in sorted(client.answers.items()):
        print(f"{name:27}", *(f"{s}:{n}" for s, n in sorted(answers.items())))
    sizes = {n: round(rss_mib(client.stack[n].pid)) for n in ("api", "ingest", "logger")}
    print(f"\n{total} requests {dict(sorted(client.statuses.items()))}"
          f" slowest {client.slowest:.2f} s, MiB {sizes}")
    assert total >= REQUESTS * 0.9
    # Not one after the other refused for the same reason.
    for status in (200, 201, 400, 401, 404):
        assert client.statuses[status] > total / 1000, client.statuses
    assert client.statuses[503] <= total / 100, client.statuses
    if total >= ENOUGH * 0.9:
        assert not never(client.answers)


def never(answers):
    """Operations that were never answered as they are when all is well."""
    return {
        o["operationId"]: answers[o["operationId"]] for _, _, o in document().operations()
        if not any(int(s) < 300 and answers[o["operationId"]][int(s)] for s in o["responses"])
    }
