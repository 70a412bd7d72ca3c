"""Everything replaced while clients of ingest and api are served."""
import http.client
import os
import pathlib
import ssl
import threading
import time

from engine import DOCKER, STAGES, WORK, need, run, say, until
from outside import Load
from stack import STRANGER_S, as_root, settle, stays_out, stranger

SEEN_S = 1.5  # changed public keys are read within 1 s


class Asker:
    """A client of the api, with a new connection for each call."""

    def __init__(self, client):
        self.client, self.good, self.bad, self.slowest = client, 0, {}, 0
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        n = 0
        while not self.end.is_set():
            n += 1
            begin = time.monotonic()
            try:
                connection = self.client.connect(n)
                status = self.client.call("GET", "/webhook/webhooks", None, connection)[0]
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
            self.slowest = max(self.slowest, time.monotonic() - begin)
            if status == 200:
                self.good += 1
            else:
                self.bad[status] = self.bad.get(status, 0) + 1
            time.sleep(0.05)

    def stop(self):
        self.end.set()
        self.thread.join()


def rotate(stage):
    """A new key, told, taken at the replacement, the old one forgotten."""
    begin = time.monotonic()
    run(DOCKER / "make-secrets", "next", stage)
    time.sleep(SEEN_S)
    run(DOCKER / "make-secrets", "switch", stage)
    rolled = time.monotonic()
    run(DOCKER / "roll", stage)
    rolled = time.monotonic() - rolled
    run(DOCKER / "make-secrets", "settle", stage)
    return time.monotonic() - begin, rolled


def certificate(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


def new_certificate(client):
    """Another one, while nobody is cut."""
    before = [certificate(port) for port in client.ports]
    run(DOCKER / "make-secrets", "certificate")
    client.trust()
    run(DOCKER / "roll", "reload")
    wanted = pathlib.Path(os.environ["SLUICE_SECRETS"], "gateway", "tls.crt").read_text(
        encoding="ascii"
    )
    for port, old in zip(client.ports, before):
        until(f"port {port} shows the new one",
              lambda p=port, o=old: certificate(p) != o and certificate(p).strip() == wanted.strip(), 10)


def roll(client, receiver):
    load = Load(client, "r", 10**9, 100, 3, keyed=True)
    asker = Asker(client)
    secrets = os.environ["SLUICE_SECRETS"]
    as_root("cp -rp /router /scratch/old", f"{secrets}/router:/router:ro")

    def nobody_noticed(what):
        need(not load.bad, f"{what}: publishers got {load.bad}")
        need(not asker.bad, f"{what}: clients of the api got {asker.bad}")
        say(f"  {what}; nobody noticed, slowest so far {load.slowest:.1f} s to publish, "
            f"{asker.slowest:.1f} s to ask")

    for stage in STAGES:
        took, rolled = rotate(stage)
        nobody_noticed(f"{stage}: key rotated, each replaced ({rolled:.1f} of {took:.1f} s)")
        if stage == "router":  # the key that it had is nobody's now
            time.sleep(SEEN_S)
            left, since = stranger("old", WORK / "old"), time.monotonic()
    new_certificate(client)
    nobody_noticed(f"gateway: new certificate (kept connections ended: {load.stale})")
    begin = time.monotonic()
    run(DOCKER / "roll", "gateway")
    nobody_noticed(f"gateway: both replaced ({time.monotonic() - begin:.1f} s; kept connections "
                   f"ended: {load.stale})")
    time.sleep(max(0, since + STRANGER_S - time.monotonic()))
    stays_out(left)
    load.stop()
    asker.stop()
    nobody_noticed("the router's old key is let in nowhere")
    say(f"rolled all with a new key each: {load.accepted} events and {asker.good} calls of "
        "the api, all 2xx")
    settle(receiver, load)
    as_root("rm -rf /scratch/old")
