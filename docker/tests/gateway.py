"""What a client meets at the gateway itself."""
import concurrent.futures
import json
import socket
import threading
import time

from engine import containers, docker, need, project, run, say

SLOW_S = 10  # nginx.conf: a head whole, and between two reads of a body
WAITS_S = 8  # for a stage that is away
DRIPPING = 300
GOOD_S = 1  # a good client's call beside them
FORGED = "203.0.113.66"


def answer(connection, request):
    """Status, headers and body of what was answered to these bytes."""
    with connection as s:
        s.sendall(request)
        data = b""
        while more := s.recv(65536):
            data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def is_error(what, got, status, type_name):
    need(got[0] == status, f"{what}: {got}")
    body = json.loads(got[2])
    need(body["status_code"] == status and body["type_name"] == type_name, f"{what}: {got}")
    need(got[1].get("content-type", "").startswith("application/json"), f"{what}: {got}")
    need(len(got[1].get("request-id", "")) >= 32, f"{what}: no Request-Id: {got}")


def errors(client):
    plain = socket.create_connection(("127.0.0.1", client.ports[0]), timeout=5)
    got = answer(plain, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    is_error("plain HTTP", got, 400, "RequestValidationError")
    need(b"HTTPS only" in got[2], got)
    got = answer(client.raw(), b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    is_error("no HTTP", got, 400, "RequestValidationError")
    head = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    got = answer(client.raw(), b"GET /" + b"u" * 9000 + head + b"\r\n")
    is_error("a long path", got, 414, "UriTooLongError")
    got = answer(client.raw(), b"GET /" + head + b"X: " + b"h" * 9000 + b"\r\n\r\n")
    is_error("a long header", got, 431, "HeadersTooLargeError")
    status, headers, body = client.call("POST", "/webhook/events", {"x": "y" * 1100000})
    is_error("a large body", (status, headers, body), 413, "PayloadTooLargeError")
    say("gateway: TLS only; its own 400, 413, 414, 431 are JSON with Request-Id")


def cut_after(client, request):
    """Seconds until the gateway ends a connection that goes quiet after these
    bytes; it answers nothing."""
    with client.raw() as s:
        s.sendall(request)
        s.settimeout(SLOW_S * 2)
        begin = time.monotonic()
        try:
            need(s.recv(4096) == b"", "a slow client got an answer")
        except ConnectionError:
            pass  # a reset does as well
        return time.monotonic() - begin


class Drip:
    """Clients that send a byte of a body now and then, for as long as it lasts."""

    def __init__(self, client, count):
        self.held = []
        for _ in range(count):
            s = client.raw()
            s.sendall(b"POST /webhook/events HTTP/1.1\r\nHost: localhost\r\n"
                      b"Content-Length: 100000\r\n\r\n{")
            self.held.append(s)

    def drop(self):
        for s in self.held:
            s.sendall(b" ")

    def close(self):
        for s in self.held:
            s.close()


def slow(client):
    took = {}

    def measure(name, request):
        took[name] = cut_after(client, request)

    start = b"POST /webhook/events HTTP/1.1\r\nHost: localhost\r\nContent-Le"
    threads = [
        threading.Thread(target=measure, args=("head", start)),
        threading.Thread(target=measure, args=("body", start + b"ngth: 100000\r\n\r\n{")),
    ]
    for thread in threads:
        thread.start()
    dripping = Drip(client, DRIPPING)
    slowest = 0
    while any(thread.is_alive() for thread in threads):
        dripping.drop()
        begin = time.monotonic()
        need(client.call("GET", "/webhook/webhooks")[0] == 200, "a good client was not served")
        slowest = max(slowest, time.monotonic() - begin)
        time.sleep(0.5)
    dripping.close()
    for name in ("head", "body"):
        need(name in took and SLOW_S - 2 < took[name] < SLOW_S + 5, f"slow {name}: {took}")
    need(slowest < GOOD_S, f"a good client waited {slowest:.1f} s")
    say(f"slow clients cut: head after {took['head']:.0f} s, body after {took['body']:.0f} s; beside "
        f"{DRIPPING} that drip a good one waited {slowest * 1000:.0f} ms at most")


def connection(client):
    """The path that HubSpot would call."""
    status, _, body = client.call("POST", "/webhook/connections", {
        "consumer_id": "demo-consumer", "unified_api": "crm", "service_id": "hubspot"})
    need(status in (200, 201), f"connection: {status} {body!r}")
    url = json.loads(body)["data"]["execute_url"]
    need(url.startswith(f"https://localhost:{client.ports[0]}/"), url)
    return url.split(str(client.ports[0]), 1)[1]


def address(client):
    """A stage sees the address that the gateway saw, whatever the client says.
    ?raw=true shows what the stage got."""
    path = connection(client)
    path += ("&" if "?" in path else "?") + "raw=true"
    body = json.dumps([{
        "eventId": 1, "portalId": 62515, "occurredAt": 1564113600000,
        "subscriptionType": "contact.creation", "objectId": 123}])
    request = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Forwarded-For: {FORGED}\r\nX-Real-IP: {FORGED}\r\nForwarded: for={FORGED}\r\n"
        f"X-Forwarded-Proto: gopher\r\n\r\n{body}")
    edge = f"{project()}_edge"
    by_port = docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", edge)
    seen = {by_port: answer(client.raw(), request.encode())[2].decode()}
    # A client with an address of its own.
    name = f"{project()}-client"
    docker("run", "-d", "--name", name, "--network", edge, "sluice/tools:test", "sleep", "60")
    own = docker("inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{edge}").IPAddress}}}}', name)
    seen[own] = run("docker", "exec", "-i", name, "timeout", "20", "openssl", "s_client", "-quiet",
                    "-connect", "gateway:8443", input=request)
    docker("rm", "-f", name)
    for who, got in seen.items():
        lower = got.lower()
        need(f'"x-forwarded-for":"{who}"' in lower.replace(" ", ""), f"{who}: {got}")
        need(f'"x-real-ip":"{who}"' in lower.replace(" ", ""), f"{who}: {got}")
        need(FORGED not in got and "gopher" not in got, f"forged: {got}")
    need(len(seen) == 2, seen)
    client.call("GET", "/webhook/webhooks", headers={
        "Authorization": "Bearer wrong", "X-Forwarded-For": FORGED})
    said = "".join(docker("logs", one) for one in containers("gateway"))
    need(f"{by_port} " in said and FORGED not in said, "the gateway's log does not say who")
    say(f"client address: {', '.join(seen)} reached the stage; a forged one reached nothing")


def nobody_there(client):
    stopped = containers("ingest")
    docker("stop", *stopped)
    begin = time.monotonic()
    got = client.call("POST", "/webhook/events", {"event_type": "crm.lead.updated"})
    took = time.monotonic() - begin
    docker("start", *stopped)
    is_error("no ingest", got, 503, "ServiceUnavailableError")
    need(got[1].get("retry-after"), f"no Retry-After: {got}")
    need(took >= WAITS_S, f"given up after {took:.1f} s")
    say(f"no ingest at all: kept for {took:.0f} s, then 503 with Retry-After and Request-Id")


def gateway(client):
    status, _, body = client.call("GET", "/webhook/webhooks")
    need(status == 200, f"the api behind the gateway: {status} {body!r}")
    errors(client)
    address(client)
    # Ten seconds each, and neither minds the other.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for done in [pool.submit(slow, client), pool.submit(nobody_there, client)]:
            done.result()
