"""The world outside the stack: clients and a subscriber."""
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

from engine import WORK, need, until

APPS = 12  # one application's events go to one router at a time
THREADS = 6


class Client:
    """Calls through the gateways, of the first application if not said."""

    def __init__(self, *ports):
        self.ports = ports
        self.apps = ["demo"] + [f"app-{n}" for n in range(1, APPS)]
        self.keys = {}
        self.tls = ssl.create_default_context()

    def trust(self):
        certificate = pathlib.Path(os.environ["SLUICE_SECRETS"], "gateway", "tls.crt")
        self.tls.load_verify_locations(cadata=certificate.read_text(encoding="ascii"))

    def connect(self, first=0):
        """As a load balancer does: to the next gateway when one does not take it."""
        for n in range(len(self.ports)):
            port = self.ports[(first + n) % len(self.ports)]
            connection = http.client.HTTPSConnection(
                "localhost", port, timeout=40, context=self.tls
            )
            try:
                connection.connect()
                return connection
            except OSError as failed:
                error = failed
        raise error

    def raw(self):
        """A TLS connection for what http.client does not say."""
        return self.tls.wrap_socket(
            socket.create_connection(("127.0.0.1", self.ports[0]), timeout=40),
            server_hostname="localhost",
        )

    def headers(self, app):
        return {
            "Authorization": f"Bearer {self.keys[app]}",
            "x-apideck-app-id": app,
            "Content-Type": "application/json",
        }

    def call(self, method, path, body=None, connection=None, app="demo", headers=None):
        own = connection or self.connect()
        text = None if body is None else json.dumps(body)
        own.request(method, path, text, {**self.headers(app), **(headers or {})})
        answer = own.getresponse()
        data = answer.read()
        if connection is None:
            own.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data


class Load:
    """Publishers that ask again until they got a 200; each event has an entity
    of its own. `bad` counts every answer that was none. With `keyed`, as who
    wants to be safe publishes, a call that met the end of a kept connection is
    made again at once, which `stale` counts."""

    def __init__(self, client, prefix, count, rate, threads=THREADS, keyed=False, pad=0):
        self.client, self.prefix, self.count = client, prefix, count
        self.keyed, self.pad = keyed, "p" * pad
        self.accepted, self.bad, self.slowest, self.stale = 0, {}, 0, 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.next = 0
        self.gap = threads / rate
        self.threads = [
            threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(threads)
        ]
        for thread in self.threads:
            thread.start()

    def take(self):
        with self.lock:
            if self.stopped.is_set() or self.next == self.count:
                return None
            self.next += 1
            return self.next

    def work(self, first):
        connection = None
        due = time.monotonic()
        while (number := self.take()) is not None:
            while True:
                status, connection = self.publish(connection, first, number)
                with self.lock:
                    if status == 200:
                        self.accepted += 1
                        break
                    if status == "stale":
                        self.stale += 1
                        continue
                    self.bad[status] = self.bad.get(status, 0) + 1
                time.sleep(0.2)
            due = max(due + self.gap, time.monotonic() - 0.5)
            time.sleep(max(0, due - time.monotonic()))
        if connection:
            connection.close()

    def publish(self, connection, first, number):
        """The status, or what went wrong, and a connection for the next one."""
        body = {
            "event_type": "crm.lead.updated",
            "entity_id": f"{self.prefix}-{number}",
            "entity_type": "lead",
            "consumer_id": f"c-{number % 50}",
        }
        if self.pad:
            body["pad"] = self.pad
        headers = {"Idempotency-Key": body["entity_id"]} if self.keyed else {}
        app = self.client.apps[number % len(self.client.apps)]
        kept = connection
        begin = time.monotonic()
        try:
            connection = connection or self.client.connect(first)
            status = self.client.call(
                "POST", "/webhook/events", body, connection, app, headers
            )[0]
        except (OSError, http.client.HTTPException) as error:
            if connection:
                connection.close()
            gone = isinstance(error, (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError))
            connection = None
            status = "stale" if kept and gone and self.keyed else type(error).__name__
        with self.lock:
            self.slowest = max(self.slowest, time.monotonic() - begin)
        return status, connection

    def entities(self):
        return {f"{self.prefix}-{n}" for n in range(1, self.next + 1)}

    def stop(self):
        self.stopped.set()
        self.join()

    def join(self):
        for thread in self.threads:
            thread.join(300)
            need(not thread.is_alive(), "a publisher hangs")


class Receiver:
    def __init__(self, host):
        self.record = WORK / "record"
        port = WORK / "port"
        self.process = subprocess.Popen(
            [os.environ["SLUICE_TEST_RECEIVER"], port, self.record, host]
        )
        until("receiver", lambda: port.exists() and port.read_text().strip(), 10)
        self.url = f"http://{host}:{port.read_text().strip()}/hooks"
        self.read = 0
        self.got = {}

    def update(self):
        with open(self.record, "rb") as f:
            f.seek(self.read)
            data = f.read()
        whole = data.rfind(b"\n") + 1
        self.read += whole
        for line in data[:whole].splitlines():
            if b'"entity_id":"' in line:
                entity = line.split(b'"entity_id":"', 1)[1].split(b'"', 1)[0].decode()
                self.got[entity] = self.got.get(entity, 0) + 1
        return self

    def missing(self, load):
        self.update()
        return load.entities() - self.got.keys()

    def duplicates(self, load):
        return sum(self.got[e] - 1 for e in load.entities() if e in self.got)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
