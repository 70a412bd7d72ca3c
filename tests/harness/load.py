"""Publishers that go on through outages and remember what was accepted."""
import http.client
import json
import threading
import time
from urllib.parse import urlsplit


class Load:
    """`threads` publishers, together about `rate` events a second, to the
    ingests in turn. accepted are the entity ids that got a 200, in order;
    refused counts other statuses, broken the calls without an answer."""

    def __init__(self, app, rate, threads=2, ingests=("ingest",), kind="crm.lead.updated"):
        self.accepted = []
        self.refused = {}
        self.broken = 0
        self._app = app
        self._kind = kind
        self._gap = threads / rate
        self._ingests = ingests
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, args=(i,), daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number):
        name = self._ingests[number % len(self._ingests)]
        address = urlsplit(self._app.stack.ingest_url(name)).netloc
        connection = http.client.HTTPConnection(address, timeout=15)
        headers = {
            "Authorization": f"Bearer {self._app.key}",
            "x-apideck-app-id": self._app.id,
            "Content-Type": "application/json",
        }
        due = time.monotonic()
        serial = 0
        while not self._stop.is_set():
            serial += 1
            entity = f"{number}-{serial}"
            body = json.dumps(
                {
                    "event_type": self._kind,
                    "entity_id": entity,
                    "entity_type": "lead",
                    "consumer_id": f"c-{serial % 50}",
                }
            )
            try:
                connection.request("POST", "/webhook/events", body, headers)
                answer = connection.getresponse()
                answer.read()
                self._note(entity, answer.status)
            except (OSError, http.client.HTTPException):
                connection.close()
                self._note(entity, None)
            due = max(due + self._gap, time.monotonic() - 0.5)
            self._stop.wait(max(0, due - time.monotonic()))

    def _note(self, entity, status):
        with self._lock:
            if status == 200:
                self.accepted.append(entity)
            elif status is None:
                self.broken += 1
            else:
                self.refused[status] = self.refused.get(status, 0) + 1


class Tally:
    """What the subscriber got, kept up while its record grows."""

    def __init__(self, receiver):
        self._receiver = receiver
        self._read = 0
        self.entities = {}
        self.keys = {}

    def update(self):
        rows = self._receiver.rows()
        for row in rows[self._read :]:
            entity = row[5].split(b'"entity_id":"', 1)[1].split(b'"', 1)[0].decode()
            self.entities[entity] = self.entities.get(entity, 0) + 1
            self.keys[row[3]] = self.keys.get(row[3], 0) + 1
        self._read = len(rows)
        return self

    def missing(self, wanted):
        self.update()
        return [e for e in wanted if e not in self.entities]

    @property
    def duplicates(self):
        return sum(n - 1 for n in self.entities.values())
