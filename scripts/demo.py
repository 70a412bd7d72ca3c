#!/usr/bin/python3
"""What ./run shows: a receiver, and one HubSpot call on its way to it.

    demo.py free HOST:PORT               prints HOST:PORT, a free port for 0;
                                         status 1 and the reason when taken
    demo.py receiver PORT_FILE KEY_FILE [HOST]
                                         a subscriber that prints what it gets
    demo.py show RECEIVER_URL LOG ENV    makes connection and subscription,
                                         sends a call, waits for the delivery,
                                         writes ENV

Standard library only. Addresses and keys come from the environment.
"""
import hashlib
import hmac
import http.server
import json
import os
import random
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

CONSUMER = "demo-consumer"
DESCRIPTION = "the receiver of ./run"
RECEIVER_LOG_MAX = 8 * 1024 * 1024


def fail(text):
    print(f"demo: {text}", file=sys.stderr)
    sys.exit(1)


def split(address):
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65535:
        fail(f"{address!r} is not host:port")
    return host.strip("[]"), int(port)


def free(address):
    host, port = split(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((host, port))
            s.listen(1)
        except OSError as error:
            fail(f"{address}: {os.strerror(error.errno)}")
        print(f"{address.rpartition(':')[0]}:{s.getsockname()[1]}")


# ---- the subscriber


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    key = b""
    lock = threading.Lock()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        mine = hmac.new(self.key, body, hashlib.sha256).hexdigest()
        theirs = self.headers.get("x-apideck-signature") or ""
        same = hmac.compare_digest(mine, theirs)
        with self.lock:
            if sys.stdout.seekable() and sys.stdout.tell() > RECEIVER_LOG_MAX:
                sys.stdout.seek(0)
                sys.stdout.truncate()
            print(f"POST {self.path}")
            for name, value in self.headers.items():
                print(f"  {name}: {value}")
            print(f"  {body.decode(errors='replace')}")
            print(f"  signature: {'right' if same else 'WRONG, expected ' + mine}")
            print(flush=True)
        self.send_response(200 if same else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def receiver(port_file, key_file, host="127.0.0.1"):
    with open(key_file, encoding="ascii") as f:
        Receiver.key = f.read().strip().encode()
    server = http.server.ThreadingHTTPServer((host, 0), Receiver)
    server.daemon_threads = True
    with open(port_file + ".new", "w", encoding="ascii") as f:
        print(server.server_address[1], file=f)
    os.rename(port_file + ".new", port_file)
    server.serve_forever()


# ---- one call, seen through


def call(method, path, body=None):
    request = urllib.request.Request(
        os.environ["SLUICE_API_URL"] + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": "Bearer " + os.environ["SLUICE_API_KEY"],
            "x-apideck-app-id": os.environ["SLUICE_APP_ID"],
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        fail(f"{method} {path} answered {error.code}: {error.read().decode()}")
    except OSError as error:
        fail(f"{method} {path}: {error}")


def pages(path):
    cursor = ""
    while True:
        answer = call("GET", f"{path}?limit=200{cursor}")
        yield from answer["data"]
        following = ((answer.get("meta") or {}).get("cursors") or {}).get("next")
        if not following:
            return
        cursor = "&cursor=" + urllib.request.quote(following, safe="")


def connection():
    for one in pages("/webhook/connections"):
        if (one["service_id"], one["consumer_id"]) == ("hubspot", CONSUMER):
            return one
    return call(
        "POST",
        "/webhook/connections",
        {"consumer_id": CONSUMER, "unified_api": "crm", "service_id": "hubspot"},
    )["data"]


def subscription(url):
    wanted = {"delivery_url": url, "status": "enabled", "events": ["*"]}
    for one in pages("/webhook/webhooks"):
        if one.get("description") == DESCRIPTION:
            made = call("PATCH", f"/webhook/webhooks/{one['id']}", wanted)
            break
    else:
        made = call(
            "POST",
            "/webhook/webhooks",
            {**wanted, "unified_api": "crm", "description": DESCRIPTION},
        )
    if made["data"]["status"] != "enabled":
        fail(
            f"the subscription to {url} is disabled:"
            f" {made['data'].get('disabled_reason')}"
            " (SLUICE_ALLOW_NET must hold 127.0.0.0/8)"
        )
    return made["data"]


def hubspot(url):
    contact = random.randrange(10**9, 10**10)
    events = [
        {
            "eventId": random.randrange(1, 10**9),
            "subscriptionId": 12345,
            "portalId": 62515,
            "occurredAt": int(time.time() * 1000),
            "subscriptionType": "contact.creation",
            "attemptNumber": 0,
            "objectId": contact,
            "changeSource": "CRM",
            "changeFlag": "NEW",
            "appId": 54321,
        }
    ]
    request = urllib.request.Request(
        url,
        data=json.dumps(events).encode(),
        headers={"Content-Type": "application/json"},
    )
    print(f"HubSpot calls POST {url}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            print(f"  answer {answer.status}: {answer.read().decode().strip()}")
    except urllib.error.HTTPError as error:
        fail(f"{url} answered {error.code}: {error.read().decode()}")
    return str(contact)


def arrived(log, contact):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with open(log, encoding="utf-8") as f:
            for entry in f.read().split("\n\n"):
                if contact in entry and "signature:" in entry:
                    return entry
        time.sleep(0.05)
    fail("the delivery did not arrive within 30 s; see the logs")


def write_env(path, url):
    text = ""
    for name in ("API_URL", "INGEST_URL", "APP_ID", "API_KEY"):
        text += f"SLUICE_{name}={os.environ['SLUICE_' + name]}\n"
    text += f"SLUICE_CONNECTION_URL={url}\n"
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.rename(path + ".new", path)


def show(receiver_url, log, env):
    execute_url = connection()["execute_url"]
    subscription(receiver_url)
    entry = arrived(log, hubspot(execute_url))
    print("the subscriber got:")
    print("\n".join("  " + line for line in entry.strip().splitlines()))
    if "signature: right" not in entry:
        fail("the signature is wrong")
    write_env(env, execute_url)


def main():
    verbs = {"free": (free, (1,)), "receiver": (receiver, (2, 3)), "show": (show, (3,))}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        fail("usage: demo.py free|receiver|show ...")
    verb, counts = verbs[sys.argv[1]]
    if len(sys.argv) - 2 not in counts:
        fail(f"{sys.argv[1]} takes {' or '.join(map(str, counts))} arguments")
    verb(*sys.argv[2:])


if __name__ == "__main__":
    main()
