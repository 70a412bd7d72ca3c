"""Subscribers: one in this process that a test can program, one in C for load."""
import http.server
import json
import os
import signal
import socketserver
import subprocess
import threading

from .wait import wait_until

VALIDATION_TYPE = "apideck.subscription.created"


class Delivery:
    """One POST as it came."""

    def __init__(self, path, headers, body):
        self.path = path
        self.headers = {k.lower(): v for k, v in headers.items()}
        self.body = body
        self.status = None

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def payload(self):
        return self.json["payload"]

    @property
    def key(self):
        return self.headers.get("x-apideck-idempotency-key")

    @property
    def signature(self):
        return self.headers.get("x-apideck-signature")

    @property
    def event_type(self):
        return self.headers.get("x-apideck-event-type")

    def __repr__(self):
        return f"<{self.path} {self.event_type} {self.key} -> {self.status}>"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        delivery = Delivery(self.path, self.headers, body)
        self.server.receiver.take(self, delivery)

    def log_message(self, *args):
        pass


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a killed deliverer resets its connections


class Receiver:
    """A subscriber whose answers a test decides.

    answer(path, function): function(delivery, n) gives the status of the n-th
    delivery (from 1) to that path, or (status, b"header lines"); everything
    else gets 200. hang(path): never
    answered until close(). Validation calls are answered 200 and kept apart.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._answers = {}
        self._hanging = set()
        self._released = threading.Event()
        self._deliveries = []
        self._counts = {}
        self.validations = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            daemon=True,
        )
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path, function):
        self._answers[path] = function

    def hang(self, path):
        self._hanging.add(path)

    def deliveries(self, path=None):
        with self._lock:
            return [d for d in self._deliveries if path in (None, d.path)]

    def count(self, path=None):
        with self._lock:
            if path is None:
                return len(self._deliveries)
            return self._counts.get(path, 0)

    def wait_for(self, count, path=None, timeout=20.0):
        """The first `count` deliveries, as soon as they are there."""
        wait_until(
            lambda: len(self.deliveries(path)) >= count,
            timeout,
            lambda: f"{count} deliveries at {path or 'any path'};"
            f" got {self.count(path)}",
        )
        return self.deliveries(path)[:count]

    def close(self):
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, handler, delivery):
        if delivery.event_type == VALIDATION_TYPE:
            with self._lock:
                self.validations.append(delivery)
            self._reply(handler, 200)
            return
        with self._lock:
            n = self._counts.get(delivery.path, 0) + 1
            self._counts[delivery.path] = n
        if delivery.path in self._hanging:
            self._add(delivery)
            self._released.wait()
            handler.close_connection = True
            return
        function = self._answers.get(delivery.path)
        said = 200 if function is None else function(delivery, n)
        delivery.status, headers = said if isinstance(said, tuple) else (said, b"")
        self._add(delivery)
        self._reply(handler, delivery.status, headers)

    def _add(self, delivery):
        with self._lock:
            self._deliveries.append(delivery)

    @staticmethod
    def _reply(handler, status, headers=b""):
        try:
            handler.wfile.write(
                b"HTTP/1.1 %d X\r\n%scontent-length: 2\r\n\r\nok" % (status, headers)
            )
            handler.wfile.flush()
        except OSError:
            handler.close_connection = True


class LoadReceiver:
    """sluice-test-receiver: fast, and everything it got is in a file.

    rows() are (microseconds, status, path, key, signature, body), without the
    validation calls; what was read once is kept.
    """

    def __init__(self, build, folder):
        record = os.path.join(folder, "received")
        port_file = os.path.join(folder, "receiver.port")
        self._process = subprocess.Popen(
            [os.path.join(build, "bin/sluice-test-receiver"), port_file, record]
        )
        wait_until(
            lambda: os.path.exists(port_file) and os.path.getsize(port_file) > 1,
            what="port of the receiver",
        )
        with open(port_file, encoding="ascii") as f:
            self.url = f"http://127.0.0.1:{int(f.read())}"
        self._file = open(record, "rb")
        self._rest = b""
        self._rows = []

    def rows(self):
        data = self._rest + self._file.read()
        lines = data.split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            us, status, path, key, signature, body = line.split(b" ", 5)
            if b'"payload"' in body:
                self._rows.append(
                    (
                        int(us),
                        int(status),
                        path.decode(),
                        key.decode(),
                        signature.decode(),
                        body,
                    )
                )
        return self._rows

    def close(self):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        self._file.close()
