"""An ingest with nobody around: its directory is a cache file made here, its
router a peer that speaks the link by hand."""
import hashlib
import hmac
import os
import shutil
import struct
import tempfile
import time

import msgpack
import requests

from harness import token
from harness.stack import Process, free_port
from harness.wait import wait_until
from harness.wire import KEYS, Peer

API_KEY = "sk_live_alone"
NUMBER = 1000
APP, KEY, SUBSCRIPTION, CONNECTION = 1, 2, 3, 4


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def entry(**fields):
    return msgpack.packb({KEYS[name][0]: value for name, value in fields.items()})


def cache(entries, number=NUMBER):
    """directory.cache as ingest itself writes it."""
    body = b"".join(entries)
    head = struct.pack("<8sQQII", b"SACCDIR2", number, len(entries), len(body), crc32c(body))
    return head + body


def connection(number, app=1, service="hubspot", api="crm", enabled=True, **more):
    return entry(kind=CONNECTION, number=NUMBER, app=app, id=f"con-{number}",
                 lookup=f"look-{number}", unified_api=api, service_id=service,
                 consumer_id=f"consumer-{number}", enabled=enabled, **more)


ENTRIES = [
    entry(kind=APP, number=NUMBER, app=1, id="alone", name="Alone"),
    entry(kind=APP, number=NUMBER, app=2, id="other", name="Other"),
    entry(kind=KEY, number=NUMBER, app=1, id="key-1",
          key_hash=hashlib.sha256(API_KEY.encode()).digest()),
    entry(kind=SUBSCRIPTION, number=NUMBER, app=1, id="sub-1", subscription=7,
          url="http://127.0.0.1:1/", events="*", enabled=True, unified_api="crm"),
    connection(1), connection(2, enabled=False),
    connection(3, service="shopify", api="ecommerce"),
    connection(4, service="generic", api=""), connection(5, app=2),
]


class Alone:
    """entries: of its directory, or what makes them of the master key."""

    def __init__(self, entries=ENTRIES, environment=None):
        self.data = tempfile.mkdtemp(prefix="sluice-alone-")
        os.makedirs(f"{self.data}/keys")
        os.makedirs(f"{self.data}/accept")
        self.master = os.urandom(32)
        with open(f"{self.data}/keys/master.key", "wb") as f:
            os.chmod(f.fileno(), 0o600)
            f.write(self.master)
        if callable(entries):
            entries = entries(self.master)
        if entries is not None:
            with open(f"{self.data}/accept/directory.cache", "wb") as f:
                f.write(cache(entries))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = Process("ingest", {
            "PATH": os.environ["PATH"],
            "SLUICE_DATA": self.data,
            "SLUICE_INGEST_HTTP": self.url[7:],
            "SLUICE_ACCEPT_LOG_ANY_FS": "1",
            **(environment or {}),
        }, f"{self.data}/log")
        self.session = requests.Session()
        self.routers = []

    def start(self, extra=None, ready=True):
        self.process.start(extra)
        if ready:
            self.process.wait_ready()
        else:
            wait_until(self._listens, 20, "ingest listens")
        return self

    def _listens(self):
        try:
            return requests.get(self.url, timeout=1).status_code == 404
        except requests.RequestException:
            return False

    def token(self, lookup=None, **claims):
        """Of a connection, or of the webhook."""
        values = {"k": "c", "l": lookup} if lookup else {"k": "i", "a": 1, "s": 7, "u": "crm"}
        key = hmac.new(self.master, b"sluice token v1", hashlib.sha256).digest()
        return token.mint(key, {**values, **claims})

    def post(self, path, body=None, **more):
        if isinstance(body, (bytes, str)):
            more["data"] = body
        elif body is not None:
            more["json"] = body
        return self.session.post(self.url + path, timeout=20, **more)

    def w(self, body=None, lookup="look-1", service="hubspot", query="", **more):
        return self.post(f"/webhook/w/{self.token(lookup)}/{service}{query}", body, **more)

    def events(self, body=None, **headers):
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        return self.post("/webhook/events", body, headers={
            "Authorization": f"Bearer {API_KEY}", "x-apideck-app-id": "alone", **names})

    def router(self, **more):
        more.setdefault("window", 100000)
        more.setdefault("instance", f"fake-router-{len(self.routers)}")
        one = Peer("router", connect=f"ipc://{self.data}/run/ingest.sock", **more)
        self.routers.append(one)
        assert one.up.wait(20)
        return one

    def accepted(self):
        return int(self.process.metric("sluice_accept_log_records_total"))

    def stop(self):
        for one in self.routers:
            one.close()
        self.routers = []
        if self.process.running:
            self.process.popen.terminate()
            assert self.process.wait_end() == 0

    def close(self):
        for one in self.routers:
            one.close()
        if self.process.running:
            self.process.popen.kill()
            self.process.popen.wait()
        shutil.rmtree(self.data, ignore_errors=True)


def wait_events(peer, count, timeout=20):
    wait_until(lambda: len(peer.got) >= count, timeout,
               lambda: f"{len(peer.got)} of {count} events")
    return [fields for kind, fields, _ in list(peer.got) if kind == "EVENT"]


def body_of(event, attempt=1):
    """The delivered body, and what it parses to."""
    import json

    text, hole = event["body"], event["hole"]
    whole = text[:hole] + str(attempt).encode() + text[hole:]
    return whole, json.loads(whole)["payload"]
