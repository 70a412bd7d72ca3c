#!/usr/bin/python3
"""What docker/test does with the images: one stack, one step after the other.

Standard library only. Each step says what it saw; the first that fails ends
it, after the logs of the stack were shown.
"""
import contextlib
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import http.client
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
WORK = pathlib.Path(os.environ["SLUICE_TEST_WORK"])
PROJECT = "sluice-test"
NETWORK = "sluice-test-outside"
SCALE = {"ingest": 2, "router": 2, "deliverer": 3}
STAGES = ("api", "logger", "router", "deliverer", "ingest")
EVENTS = int(os.environ.get("SLUICE_TEST_EVENTS", "20000"))
RATE = 350
THREADS = 6
IMAGE_MAX_MIB = 40
FOUND_S = 10
APPS = 12  # one application's events go to one router at a time

started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)


def need(true, text):
    if not true:
        raise AssertionError(text)


def run(*words, check=True, env=None, **more):
    done = subprocess.run(
        [str(w) for w in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        **more,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: {done.stdout.strip()}")
    return done.stdout.strip()


def docker(*words, **more):
    return run("docker", *words, **more)


def compose_command():
    new = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    )
    return ["docker", "compose"] if new.returncode == 0 else ["docker-compose"]


def compose(*words, **more):
    return run(*compose_command(), *words, **more)


def until(what, true, seconds=60, gap=0.1):
    """Waits for a condition; says how long it took."""
    begin = time.monotonic()
    while True:
        answer = true()
        if answer:
            return time.monotonic() - begin
        need(time.monotonic() - begin < seconds, f"not within {seconds} s: {what}")
        time.sleep(gap)


def containers(stage):
    # Not `compose ps`: its start-up is half a second of Python.
    return docker(
        "ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}",
        "--filter", f"label=com.docker.compose.service={stage}",
    ).split()


def ready(container, stage):
    if stage == "gateway":
        words = ("bash", "/etc/sluice-gateway/healthcheck")
    else:
        words = (f"/usr/bin/sluice-{stage}", "--readycheck")
    done = subprocess.run(
        ["docker", "exec", container, *words], capture_output=True, check=False
    )
    return done.returncode == 0


def all_ready(stages=STAGES + ("gateway",), counts=None):
    for stage in stages:
        wanted = (counts or SCALE).get(stage, 1)
        there = containers(stage)
        if len(there) != wanted or not all(ready(c, stage) for c in there):
            return False
    return True


def up(**scale):
    words = []
    for stage, count in {**SCALE, **scale}.items():
        words += ["--scale", f"{stage}={count}"]
    compose("up", "-d", "--no-build", "--no-recreate", *words)


def address(container, network=f"{PROJECT}_inside"):
    return docker(
        "inspect", "-f",
        f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', container,
    )


def metrics(container):
    url = f"http://{address(container)}:9100/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if line and not line.startswith("#")
    }


def logs(container):
    return docker("logs", container, check=False)


# ---- the outside: a client, a subscriber


class Client:
    """Calls through the gateway, of the first application if not said."""

    def __init__(self, port):
        self.port = port
        self.apps = ["demo"] + [f"app-{n}" for n in range(1, APPS)]
        self.keys = {}
        self.tls = None

    def trust(self):
        self.tls = ssl.create_default_context(cafile=WORK / "tls.crt")

    def connect(self):
        return http.client.HTTPSConnection(
            "localhost", self.port, timeout=40, context=self.tls
        )

    def headers(self, app):
        return {
            "Authorization": f"Bearer {self.keys[app]}",
            "x-apideck-app-id": app,
            "Content-Type": "application/json",
        }

    def call(self, method, path, body=None, connection=None, app="demo"):
        own = connection or self.connect()
        text = None if body is None else json.dumps(body)
        own.request(method, path, text, self.headers(app))
        answer = own.getresponse()
        data = answer.read()
        if connection is None:
            own.close()
        return answer.status, dict(answer.getheaders()), data


class Load:
    """Publishers that ask again until they got a 200; each event has an entity
    of its own. `bad` counts every answer that was none."""

    def __init__(self, client, prefix, count, rate, threads=THREADS):
        self.client, self.prefix, self.count = client, prefix, count
        self.accepted, self.bad, self.slowest = 0, {}, 0
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.next = 0
        self.gap = threads / rate
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def take(self):
        with self.lock:
            if self.stopped.is_set() or self.next == self.count:
                return None
            self.next += 1
            return self.next

    def work(self):
        connection = self.client.connect()
        due = time.monotonic()
        while (number := self.take()) is not None:
            while not self.publish(connection, number):
                time.sleep(0.2)
            due = max(due + self.gap, time.monotonic() - 0.5)
            time.sleep(max(0, due - time.monotonic()))
        connection.close()

    def publish(self, connection, number):
        body = {
            "event_type": "crm.lead.updated",
            "entity_id": f"{self.prefix}-{number}",
            "entity_type": "lead",
            "consumer_id": f"c-{number % 50}",
        }
        begin = time.monotonic()
        try:
            app = self.client.apps[number % APPS]
            status = self.client.call("POST", "/webhook/events", body, connection, app)[0]
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status = type(error).__name__
        with self.lock:
            self.slowest = max(self.slowest, time.monotonic() - begin)
            if status == 200:
                self.accepted += 1
                return True
            self.bad[status] = self.bad.get(status, 0) + 1
        return False

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


# ---- the steps


def images():
    base = int(docker("image", "inspect", "-f", "{{.Size}}", "debian:bookworm-slim"))
    say(f"base image {base / 2**20:.0f} MiB; each adds, in MiB:")
    for stage in STAGES + ("gateway",):
        size = int(docker("image", "inspect", "-f", "{{.Size}}", f"sluice/{stage}:test"))
        more = (size - base) / 2**20
        say(f"  {stage} {more:.1f}")
        need(more < IMAGE_MAX_MIB, f"the image of {stage} adds {more:.1f} MiB")


def bring_up(client):
    run(HERE / "make-secrets")
    (WORK / "tls.crt").write_bytes(pathlib.Path(os.environ["SLUICE_SECRETS"], "tls.crt").read_bytes())
    compose("config", "-q")
    begin = time.monotonic()
    up()
    # A logger without any directory is not ready, and says so.
    until("the api is ready", lambda: all_ready(("api",)), 60, 0.5)
    for app in client.apps:
        client.keys[app] = docker(
            "exec", containers("api")[0], "sluice-api", "app", "create", "--id", app
        ).splitlines()[-1]
    until("all ready", all_ready, 60, 0.5)
    client.trust()
    took = time.monotonic() - begin
    say(f"up, scaled 2/2/3, all ready after {took:.0f} s")


def hardened():
    for stage in STAGES:
        one = json.loads(docker("inspect", containers(stage)[0]))[0]
        need(one["Config"]["User"] == "10001:10001", f"{stage} runs as {one['Config']['User']!r}")
        need(one["HostConfig"]["ReadonlyRootfs"], f"{stage} may write to its root")
        need(one["HostConfig"]["CapDrop"] == ["ALL"], f"{stage} has capabilities")
        need(not one["HostConfig"]["PortBindings"], f"{stage} has published ports")
        networks = set(one["NetworkSettings"]["Networks"])
        wanted = {f"{PROJECT}_inside"} | ({NETWORK} if stage == "deliverer" else set())
        need(networks == wanted, f"{stage} is in {networks}")
    until("healthy", lambda: all(
        docker("inspect", "-f", "{{.State.Health.Status}}", c) == "healthy"
        for s in STAGES + ("gateway",) for c in containers(s)), 40, 0.5)
    say("every container healthy, as 10001, root read-only, no capabilities, no port")


def gateway(client):
    status, headers, body = client.call("GET", "/webhook/webhooks")
    need(status == 200, f"the api behind the gateway: {status} {body!r}")
    with socket.create_connection(("127.0.0.1", client.port), timeout=5) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = s.recv(4096)
    need(b" 400 " in answer and b"HTTPS only" in answer, f"plain HTTP got {answer!r}")
    status, headers, body = client.call("POST", "/webhook/events", {"x": "y" * 1100000})
    names = {name.lower() for name in headers}
    need(status == 413 and "request-id" in names, f"too large: {status} {headers}")
    need(json.loads(body)["type_name"] == "PayloadTooLargeError", body)
    # A client that never ends its header is cut.
    with client.tls.wrap_socket(
        socket.create_connection(("127.0.0.1", client.port)), server_hostname="localhost"
    ) as s:
        s.sendall(b"POST /webhook/events HTTP/1.1\r\nHost: localhost\r\nContent-Le")
        s.settimeout(20)
        begin = time.monotonic()
        while s.recv(4096):
            pass
        took = time.monotonic() - begin
    say(f"gateway: TLS only, JSON errors with Request-Id, slow client cut after {took:.0f} s")


def subscription(client, receiver):
    for app in client.apps:
        status, _, body = client.call("POST", "/webhook/webhooks", {
            "unified_api": "crm", "status": "enabled", "events": ["*"],
            "delivery_url": receiver.url}, app=app)
        need(status in (200, 201), f"subscription: {status} {body!r}")
        need(json.loads(body)["data"]["status"] == "enabled", body)


def tour(client):
    """The README's: be HubSpot, look at the log."""
    status, _, body = client.call("POST", "/webhook/connections", {
        "consumer_id": "demo-consumer", "unified_api": "crm", "service_id": "hubspot"})
    need(status in (200, 201), f"connection: {status} {body!r}")
    url = json.loads(body)["data"]["execute_url"]
    need(url.startswith(f"https://localhost:{client.port}/"), url)
    path = url.split(str(client.port), 1)[1]
    status, _, body = client.call("POST", path, [{
        "eventId": 1, "portalId": 62515, "occurredAt": 1564113600000,
        "subscriptionType": "contact.creation", "objectId": 123}])
    need(status == 200, f"HubSpot's call: {status} {body!r}")
    until("its delivery is in the log", lambda: b'"contact' in (
        log := client.call("GET", "/webhook/logs?limit=5")[2]) or b"crm.contact" in log, 15)
    say("the tour: a HubSpot call through the gateway is delivered and in the log")


def refused_logger():
    """A second owner of a SQLite file."""
    for stage, volume in (("logger", "events"), ("api", "directory")):
        out = docker(
            "run", "--rm", "--network", f"{PROJECT}_inside", "--read-only",
            "-v", f"{PROJECT}_{volume}:/data",
            "-v", f"{os.environ['SLUICE_SECRETS']}/{stage}:/run/secrets/keys:ro",
            "-v", f"{os.environ['SLUICE_SECRETS']}/master.key:/run/secrets/master.key:ro",
            "-e", "SLUICE_KEYS=/run/secrets/keys", "-e", "SLUICE_INSTANCE=second",
            "-e", "SLUICE_MASTER_KEY_FILE=/run/secrets/master.key",
            "-e", f"SLUICE_{stage.upper()}_LINK=tcp://*:{5557 if stage == 'logger' else 5554}",
            "-e", "SLUICE_API_PEERS=api:5554", "-e", "SLUICE_LOGGER_PEERS=logger:5557",
            f"sluice/{stage}:test", check=False, timeout=30)
        errors = [line for line in out.splitlines() if " error " in line]
        need(errors and "deliverer scale" in errors[0], f"a second {stage} started: {out}")
        say(f"a second {stage} refuses: {errors[0].split('error ', 1)[1]}")


def stranger(name, keys, stage="router", wait=7):
    """A router on the stack's own network with the keys that it was given."""
    words = ["run", "-d", "--name", f"{PROJECT}-{name}", "--network", f"{PROJECT}_inside",
             "--read-only", "--tmpfs", "/data:uid=10001,gid=10001,mode=0700"]
    if keys is not None:
        words += ["-v", f"{keys}:/run/secrets/keys:ro", "-e", "SLUICE_KEYS=/run/secrets/keys"]
    else:
        words += ["-e", "SLUICE_LINK_PLAIN=1"]
    words += ["-e", "SLUICE_API_PEERS=api:5554", "-e", "SLUICE_INGEST_PEERS=ingest:5555",
              "-e", "SLUICE_LOGGER_PEERS=logger:5557", f"sluice/{stage}:test"]
    container = docker(*words)
    time.sleep(wait)
    try:
        name = container[:12]
        need(not ready(container, stage), f"{name} became ready")
        need("link up" not in logs(container), logs(container))
        for other in ("api", "logger", "ingest"):
            for one in containers(other):
                need(f"link up peer={name}" not in logs(one), f"{other} let {name} in")
        if keys is not None:
            need(metrics(container).get("sluice_link_ups_total", 0) == 0, "a link came up")
        return [l for l in logs(container).splitlines() if "refus" in l]
    finally:
        docker("rm", "-f", container)


def curve():
    secrets = pathlib.Path(os.environ["SLUICE_SECRETS"])
    stranger("plain", None)
    # Its own key, made by itself; everybody's public ones.
    own = WORK / "stranger"
    docker("run", "--rm", "--user", "0", "--network", "none", "-v", f"{WORK}:/scratch",
           "-v", f"{secrets}/router:/from:ro", "sluice/tools:test", "bash", "-euc",
           "mkdir -m 755 /scratch/stranger; sluice-keys /scratch/stranger router; "
           "cp /from/api.pub /from/logger.pub /from/ingest.pub /scratch/stranger/; "
           "chown -R 10001:10001 /scratch/stranger")
    stranger("own", own)
    # A true key, of another stage.
    docker("run", "--rm", "--user", "0", "--network", "none", "-v", f"{WORK}:/scratch",
           "-v", f"{secrets}/deliverer:/from:ro", "sluice/tools:test", "bash", "-euc",
           "cp -p /from/deliverer.key /scratch/stranger/router.key")
    said = stranger("other", own)
    docker("run", "--rm", "--user", "0", "-v", f"{WORK}:/scratch", "sluice/tools:test",
           "rm", "-rf", "/scratch/stranger")
    say(f"CURVE: no key, an unknown key, a deliverer's key: nothing let in {said[:1]}")


def linked(container, stage):
    """Do all the peers that must know this container say so?"""
    peers = {"ingest": ("router",), "router": ("ingest", "logger", "api"),
             "deliverer": ("logger",), "logger": ("router", "deliverer", "api"),
             "api": ("logger", "ingest", "router")}[stage]
    text = f"link up peer={container[:12]}/"
    return all(text in logs(one) for peer in peers for one in containers(peer))


def replace(stage):
    """Kills the first container of a stage, removes it, makes a new one."""
    before = set(containers(stage))
    victim = sorted(before)[0]
    docker("kill", "-s", "KILL", victim)
    docker("rm", "-f", victim)
    return joined(stage, before)


def joined(stage, before, **scale):
    """Makes what is missing; seconds from then until all know the new one."""
    begin = time.monotonic()
    up(**scale)
    (new,) = set(containers(stage)) - before
    until(f"{stage} found", lambda: linked(new, stage), 30)
    return time.monotonic() - begin


def cut_off(stage, seconds):
    """Longer than silence takes to be noticed."""
    one = containers(stage)[0]
    docker("network", "disconnect", f"{PROJECT}_inside", one)
    time.sleep(seconds)
    docker("network", "connect", "--alias", stage, f"{PROJECT}_inside", one)
    return until(f"{stage} is back", lambda: ready(one, stage), 40)


def chaos(client, receiver):
    load = Load(client, "e", EVENTS, RATE)
    until("load", lambda: load.accepted > EVENTS // 50, 30)
    for stage in STAGES:
        took = replace(stage)
        say(f"{stage}: one killed and removed; a new one made and known to all in {took:.1f} s")
        need(took < FOUND_S, f"a new {stage} was found after {took:.1f} s")
    # Up and down again under load.
    took = joined("deliverer", set(containers("deliverer")), deliverer=4)
    say(f"deliverer 3 -> 4: made and known in {took:.1f} s")
    need(took < FOUND_S, "scale up")
    up(deliverer=3)
    took = cut_off("router", 12)
    say(f"router cut off for 12 s; ready {took:.1f} s after it was back")
    during = load.accepted
    load.join()
    say(f"{load.accepted} events accepted ({during} by then), other answers {load.bad}, "
        f"slowest {load.slowest:.1f} s")
    need(load.accepted == EVENTS, "not all accepted")
    settle(receiver, load)
    spread()


def adopted(client, receiver):
    """Events in the slot of an ingest that never comes back."""
    logger = containers("logger")[0]
    docker("stop", "-t", "40", logger)
    gone = containers("ingest")[0]
    before = metrics(gone)["sluice_accept_log_records_total"]
    load = Load(client, "o", 400, 400, 4)
    load.join()
    held = metrics(gone)["sluice_accept_log_records_total"] - before
    need(held > 0, "it holds nothing")
    docker("kill", "-s", "KILL", gone)
    docker("rm", "-f", gone)
    docker("start", logger)
    say(f"an ingest removed for good with {held:.0f} events in its slot:")
    settle(receiver, load)
    up()
    until("all ready", all_ready, 60, 0.5)


def settle(receiver, load):
    took = until("all delivered", lambda: not receiver.missing(load), 90, 0.3)
    say(f"{len(load.entities())} reconciled {took:.1f} s after the last: 0 lost, "
        f"{receiver.duplicates(load)} duplicates")


def spread():
    """Did all replicas work?"""
    names = {"ingest": "sluice_forward_completed_total", "router": "sluice_router_events_total",
             "deliverer": "sluice_deliverer_attempts_total"}
    for stage, name in names.items():
        counts = []
        for one in containers(stage):
            found = [v for k, v in metrics(one).items() if k.split("{", 1)[0] == name]
            counts.append(sum(found))
        say(f"  work of each {stage}: {[int(c) for c in counts]} ({name})")
        need(len(counts) == SCALE[stage] and min(counts) > 0, f"an idle {stage}")


def roll(client, receiver):
    """Every stage replaced, and nobody outside noticed."""
    load = Load(client, "r", 10**9, 100, 3)
    asks = {"good": 0}
    end = threading.Event()

    def ask():
        while not end.is_set():
            try:
                status = client.call("GET", "/webhook/webhooks")[0]
            except (OSError, http.client.HTTPException) as error:
                status = type(error).__name__
            key = "good" if status == 200 else status
            asks[key] = asks.get(key, 0) + 1
            time.sleep(0.05)

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    for stage in STAGES:
        begin = time.monotonic()
        run(HERE / "roll", stage)
        say(f"  {stage} rolled in {time.monotonic() - begin:.1f} s; other answers "
            f"{load.bad}, the api's {({k: v for k, v in asks.items() if k != 'good'})}")
    # Keys: told, switched, old one forgotten.
    for stage in ("ingest", "deliverer"):
        run(HERE / "make-secrets", "next", stage)
        time.sleep(1.5)
        run(HERE / "make-secrets", "switch", stage)
        run(HERE / "roll", stage)
        run(HERE / "make-secrets", "settle", stage)
        say(f"  key of {stage} rotated; other answers {load.bad}")
    end.set()
    asker.join()
    load.stop()
    need(not load.bad, f"publishers got {load.bad}")
    need(asks.keys() == {"good"}, f"clients of the api got {asks}")
    say(f"rolled all, rotated two keys: {load.accepted} events and {asks['good']} "
        f"calls of the api, all 2xx (slowest {load.slowest:.1f} s)")
    settle(receiver, load)


def backup(client, receiver):
    """A copy under load; then all is lost but the copy and the master key."""
    load = Load(client, "b", 10**9, 200, 3)
    until("load", lambda: load.accepted > 200, 20)
    run(HERE / "backup", WORK / "backup", env={"COMPOSE_PROJECT_NAME": PROJECT})
    load.stop()
    need(not load.bad, f"publishers got {load.bad} during the backup")
    settle(receiver, load)
    compose("down", "-v", "-t", "40")
    docker("volume", "create", f"{PROJECT}_events")
    docker("volume", "create", f"{PROJECT}_directory")
    run(HERE / "backup", "restore", WORK / "backup", env={"COMPOSE_PROJECT_NAME": PROJECT})
    up()
    until("all ready again", all_ready, 90, 0.5)
    status, _, body = client.call("GET", "/webhook/webhooks")
    need(status == 200 and len(json.loads(body)["data"]) == 1, f"{status} {body!r}")
    status, _, body = client.call("GET", "/webhook/logs?limit=20")
    need(status == 200 and len(json.loads(body)["data"]) == 20, f"{status} {body!r}")
    after = Load(client, "a", 200, 200, 2)
    after.join()
    settle(receiver, after)
    say("backup under load restored into new volumes: subscription, log and key are there")


def environment():
    docker("network", "create", NETWORK)
    network = json.loads(docker("network", "inspect", NETWORK))[0]["IPAM"]["Config"][0]
    override = WORK / "override.yaml"
    override.write_text(
        "version: '3.8'\nnetworks:\n  outside:\n    external: true\n    name: " + NETWORK + "\n"
    )
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    os.environ.update(
        COMPOSE_PROJECT_NAME=PROJECT,
        COMPOSE_FILE=f"{HERE / 'compose.yaml'}:{override}",
        SLUICE_VERSION="test", SLUICE_SECRETS=str(WORK / "secrets"), SLUICE_BIND="127.0.0.1",
        SLUICE_PORT=str(port), SLUICE_ALLOW_NET=network["Subnet"],
        SLUICE_RETRY_SCHEDULE="1s,1s,2s,2s,5s,5s,5s,5s",
    )
    gateway_address = network.get("Gateway") or network["Subnet"].rsplit(".", 1)[0] + ".1"
    return port, gateway_address


def clean():
    # Not ours to remove, when we are not root.
    docker("run", "--rm", "--user", "0", "--network", "none", "-v", f"{WORK}:/scratch",
           "sluice/tools:test", "rm", "-rf", "/scratch/secrets", "/scratch/backup", check=False)
    with contextlib.suppress(AssertionError):
        compose("down", "-v", "-t", "1", "--remove-orphans")
    for name in docker("ps", "-aq", "--filter", f"name={PROJECT}", check=False).split():
        docker("rm", "-f", name, check=False)
    for volume in ("accept", "events", "directory"):
        docker("volume", "rm", f"{PROJECT}_{volume}", check=False)
    docker("network", "rm", NETWORK, check=False)


def main():
    docker("network", "rm", NETWORK, check=False)
    port, host = environment()
    receiver = None
    try:
        images()
        receiver = Receiver(host)
        client = Client(port)
        bring_up(client)
        subscription(client, receiver)
        hardened()
        gateway(client)
        tour(client)
        refused_logger()
        curve()
        chaos(client, receiver)
        adopted(client, receiver)
        roll(client, receiver)
        backup(client, receiver)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        for stage in STAGES + ("gateway",):
            for one in docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}",
                              "--filter", f"label=com.docker.compose.service={stage}", check=False).split():
                print(f"-- {stage} {one}", *logs(one).splitlines()[-25:], sep="\n  ")
        say(f"FAILED: {error}")
        return 1
    finally:
        if receiver:
            receiver.stop()
        clean()
    say("containers: all held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
