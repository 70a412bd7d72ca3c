"""Bytes that no honest client sends, at both HTTP processes, with a good client
beside them: it is answered as ever, nothing crashes, nothing grows."""
import concurrent.futures
import http.client
import random
import resource
import socket
import threading
import time

import pytest

from harness.openapi import document
from harness.stack import SANITIZED, rss_mib
from harness.wait import wait_until

SEED = 20
MUTATED = 400
IDLE = 10_000
IDLE_ROOM = 500  # file descriptors that the test itself needs
KEPT_S = 0.2
UNANSWERED_S = 4
NOT_ANSWERED = b"kept"
THROWERS = 8
# Their records once used up libmicrohttpd's memory, which it did not survive.
PARAMETERS = (120, 130, 150, 300, 1000, 1500)
# Around what that memory holds: there must be an answer, whatever is left of it.
HEADS = range(7400, 8400, 50)
# What may not be let through, whatever else is.
SURELY = {
    "two lengths that differ": (400, "closed"),
    "length and chunks": (400, "closed"),
    "b'%00' escaped": (400,),
    "unknown coding": (400,),
    "a header too large": (431, "closed"),
    **{f"{n} parameters": (401, 404) for n in PARAMETERS},
    **{f"a head of {n} bytes": (401, 404, 431) for n in HEADS},
}
GROWTH_MIB = 256 if SANITIZED else 96
P99_MS = 2000  # what is printed is the figure; this only says "not stalled"
LENGTH = b"Content-Length: 2\r\n"


def head(method=b"POST", target=b"/webhook/events", extra=b"", version=b"HTTP/1.1"):
    return b"%s %s %s\r\nHost: x\r\n%s\r\n" % (method, target, version, extra)


def fixed():
    """(name, pieces): what is sent one after the other."""
    big = b"x" * 70_000
    yield "two lengths that differ", [head(extra=LENGTH + b"Content-Length: 9\r\n") + b"{}"]
    yield "two lengths alike", [head(extra=LENGTH * 2) + b"{}"]
    yield "a list of lengths", [head(extra=b"Content-Length: 2, 3\r\n") + b"{}"]
    for value in (b"-1", b"+2", b"0x2", b"2 2", b"", b"99999999999999999999", b"2\x00", b"\xb2"):
        yield f"length {value!r}", [head(extra=b"Content-Length: " + value + b"\r\n") + b"{}"]
    chunked = b"Transfer-Encoding: chunked\r\n"
    yield "length and chunks", [head(extra=LENGTH + chunked) + b"2\r\n{}\r\n0\r\n\r\n"]
    yield "two codings", [head(extra=chunked * 2) + b"0\r\n\r\n"]
    yield "unknown coding", [head(extra=b"Transfer-Encoding: gzip, x\r\n") + b"{}"]
    for size in (b"-1", b"fffffffffffffffff", b"zz", b"", b"2;" + b"x" * 9000, b"0x2", b" 2"):
        yield f"chunk size {size[:9]!r}", [head(extra=chunked) + size + b"\r\n{}\r\n0\r\n\r\n"]
    yield "chunk without end", [head(extra=chunked) + b"2\r\n{}xx0\r\n\r\n"]
    yield "trailers", [head(extra=chunked) + b"0\r\nA: " + big + b"\r\n\r\n"]
    yield "a header too large", [head(extra=b"X: " + big + b"\r\n")]
    yield "many headers", [head(extra=b"".join(b"X%d: y\r\n" % i for i in range(5000)))]
    yield "a name too long", [head(extra=big + b": y\r\n")]
    yield "a target too long", [head(target=b"/" + big)]
    yield "a method too long", [head(method=big)]
    yield "a query too long", [head(target=b"/webhook/logs?" + b"a=b&" * 20_000)]
    for n in PARAMETERS:
        query = b"?" + b"a=b&" * n
        yield f"{n} parameters", [head(b"GET", b"/webhook/logs" + query)]
        yield f"{n} parameters behind a NUL", [head(b"GET", b"/\0" + query) * 2]
    for n in range(7900, 8200, 8):
        yield f"parameters behind {n} bytes and a NUL", [
            head(b"GET", b"/" + b"y" * n + b"\0?" + b"a=b&" * 3)
        ]
    for n in HEADS:
        text = head(b"GET", b"/webhook/logs", b"X: %s\r\n")
        yield f"a head of {n} bytes", [text % (b"x" * (n - len(text) + 2))]
    for what in (b"\x00", b"\xff\xfe", b"\r", b"\x7f", b"\xc3\x28", b"\xed\xa0\x80"):
        yield f"{what!r} in the target", [head(target=b"/webhook/" + what)]
        yield f"{what!r} in a header", [head(extra=b"X: a" + what + b"b\r\n")]
        yield f"{what!r} in a name", [head(extra=b"X" + what + b": b\r\n")]
        yield f"{what!r} as a key", [head(extra=b"Authorization: Bearer " + what + b"\r\n")]
        yield f"{what!r} in the body", [head(extra=b"Content-Length: 9\r\n") + what.ljust(9)]
    for escape in (b"%00", b"%", b"%zz", b"%f", b"%ff%fe", b"%2e%2e%2f", b"%0d%0a"):
        yield f"{escape!r} escaped", [head(b"GET", b"/webhook/webhooks/" + escape + b"?a=" + escape)]
    yield "no version", [b"GET /\r\n\r\n"]
    for version in (b"HTTP/9.9", b"HTTP/1.", b"HTTP/0.9", b"http/1.1", b"HTTP/11.1", b"X"):
        yield f"version {version!r}", [head(version=version)]
    yield "no host", [b"GET / HTTP/1.1\r\n\r\n"]
    yield "two hosts", [head(b"GET", extra=b"Host: y\r\n")]
    yield "folded header", [head(extra=b"X: a\r\n b\r\n")]
    yield "space before colon", [head(extra=b"Content-Length : 2\r\n") + b"{}"]
    yield "bare line feeds", [b"GET / HTTP/1.1\nHost: x\n\n"]
    yield "line feeds before", [b"\r\n" * 2000 + head(b"GET")]
    yield "TLS", [bytes.fromhex("16030100c8010000c40303") + bytes(range(200))]
    yield "HTTP/2", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)]
    yield "an absolute target", [head(b"GET", b"http://elsewhere/webhook/webhooks")]
    yield "connect", [head(b"CONNECT", b"elsewhere:443")]
    yield "star", [head(b"OPTIONS", b"*")]
    yield "expects", [head(extra=b"Expect: 200-ok\r\n" + LENGTH) + b"{}"]
    yield "upgrades", [head(b"GET", extra=b"Connection: Upgrade\r\nUpgrade: websocket\r\n")]
    yield "a pipelined half", [head(b"GET", b"/openapi.json") + head(b"GET")[:20]]
    yield "a hundred pipelined", [head(b"GET", b"/openapi.json") * 100]
    yield "a body less than said", [head(extra=b"Content-Length: 100\r\n") + b"{}"]
    yield "a body more than said", [head(extra=LENGTH) + b"{}" * 5000]
    yield "nothing", [b""]
    yield "one byte", [b"G"]
    yield "a dripped head", [bytes([b]) for b in head(b"GET")]
    yield "a dripped body", [head(extra=b"Content-Length: 40\r\n")] + [b" "] * 40


def mutated(count):
    """Good requests with bytes changed, lost, doubled or cut."""
    dice = random.Random(SEED)
    good = [
        head(b"GET", b"/webhook/logs?filter%5Bsuccess%5D=true&limit=5"),
        head(extra=b"Content-Type: application/json\r\nContent-Length: 17\r\n") + b'{"event_type":12}',
        head(extra=b"Transfer-Encoding: chunked\r\n") + b"5\r\n{    \r\n1\r\n}\r\n0\r\n\r\n",
        head(b"PATCH", b"/webhook/webhooks/1", LENGTH) + b"{}",
    ]
    for i in range(count):
        text = bytearray(dice.choice(good))
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(text))
            how = dice.randrange(4)
            if how == 0:
                text[at] = dice.randrange(256)
            elif how == 1:
                del text[at:at + dice.randrange(1, 9)]
            elif how == 2:
                text[at:at] = text[at:at + dice.randrange(1, 40)]
            else:
                text[at:at] = bytes([dice.choice(b"\r\n\0 :;,%\xff")])
            if not text:
                text = bytearray(b" ")
        cut = dice.randrange(1, len(text) + 1)
        yield f"mutation {i}", [bytes(text[:cut]), bytes(text[cut:])]


INPUTS = list(fixed())
INPUTS += mutated(max(MUTATED, 500 - len(INPUTS)))


class Good:
    """A client that goes on asking both, and says how long it waited."""

    def __init__(self, stack):
        self.stack, self.times, self.wrong = stack, [], []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(30)
        self.times.sort()

    def _run(self):
        app = self.stack.app
        headers = {"Authorization": f"Bearer {app.key}", "x-apideck-app-id": app.id}
        event = b'{"event_type":"crm.lead.created","entity_id":"1","entity_type":"lead"}'
        urls = [self.stack.api_url, self.stack.ingest_url()]
        api, ingest = [http.client.HTTPConnection(u.removeprefix("http://"), timeout=20)
                       for u in urls]
        while not self._end.wait(0.005):
            for one, method, path, body in (
                (api, "GET", "/webhook/webhooks", None), (ingest, "POST", "/webhook/events", event)
            ):
                began = time.monotonic()
                try:
                    one.request(method, path, body=body, headers=headers)
                    answer = one.getresponse()
                    answer.read()
                    if answer.status != 200:
                        self.wrong.append(answer.status)
                except (OSError, http.client.HTTPException) as e:
                    self.wrong.append(repr(e))
                    one.close()
                self.times.append((time.monotonic() - began) * 1000)
        api.close()
        ingest.close()

    def report(self, what):
        p99 = self.times[int(len(self.times) * 0.99)]
        print(f"\n{what}: a good client beside them: {len(self.times)} requests,"
              f" p50 {self.times[len(self.times) // 2]:.1f} ms, p99 {p99:.1f} ms,"
              f" most {self.times[-1]:.0f} ms")
        assert not self.wrong and len(self.times) > 10, self.wrong[:5]
        assert p99 < P99_MS


def address(url):
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def throw(where, pieces):
    """Sends it, closes the sending side, and takes what comes. A connection may
    be kept while what is there could be the beginning of a request: that ends
    with the time that a request, or an idle connection, has. NOT_ANSWERED then."""
    answer = b""
    try:
        with socket.create_connection(where, timeout=15) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                s.sendall(piece)
            s.shutdown(socket.SHUT_WR)
            while len(answer) < 16 * 2**20:
                s.settimeout(KEPT_S if answer else UNANSWERED_S)
                got = s.recv(65536)
                if not got:
                    break
                answer += got
    except TimeoutError:
        return answer or NOT_ANSWERED
    except OSError:
        pass  # it may close without a word
    return answer


def look(name, answer):
    """Every answer is HTTP, of the right shape, and no 5xx."""
    top, _, body = answer.partition(b"\r\n\r\n")
    lines = top.split(b"\r\n")
    words = lines[0].split()
    assert words and words[0].startswith(b"HTTP/1."), (name, answer[:200])
    status = int(words[1])
    if status == 100:
        return look(name, body)
    assert status < 500, (name, answer[:300])
    headers = http.client.HTTPMessage()
    for line in lines[1:]:
        key, _, value = line.decode("latin-1").partition(":")
        headers[key] = value.strip()
    assert headers["Content-Type"], (name, answer[:300])
    if status >= 400:
        found = document().resolve(document().doc["x-any-request"].get(
            str(status), {"$ref": "#/components/responses/Unauthorized"}))
        length = int(headers["Content-Length"])
        if len(body) >= length > 0:
            document().check_body(found, headers, body[:length], name)
    return status


def sizes(stack):
    return {n: rss_mib(stack[n].pid) for n in ("api", "ingest")}


def well(stack, pids, before):
    for name, pid in pids.items():
        assert stack[name].running and stack[name].pid == pid, name
    after = sizes(stack)
    print({n: f"{before[n]:.0f} -> {after[n]:.0f} MiB" for n in before})
    for name, size in after.items():
        assert size < before[name] + GROWTH_MIB, name


def test_hostile_inputs(make_stack):
    assert len(INPUTS) >= 500
    stack = make_stack(settings={"SLUICE_REQUEST_TIMEOUT": "1s"}).start()
    pids, before = {n: stack[n].pid for n in stack.processes}, sizes(stack)
    seen = {}

    def one(where, name, pieces):
        answer = throw(address(where), pieces)
        if answer in (b"", NOT_ANSWERED):
            return name, answer.decode() or "closed"
        return name, look(name, answer)

    with Good(stack) as good, concurrent.futures.ThreadPoolExecutor(THROWERS) as pool:
        thrown = [
            pool.submit(one, where, name, pieces)
            for where in (stack.api_url, stack.ingest_url()) for name, pieces in INPUTS
        ]
        for name, status in (t.result() for t in thrown):
            seen[status] = seen.get(status, 0) + 1
            assert status in SURELY.get(name, (status,)), (name, status)
    print(f"\n{len(thrown)} inputs, answers {seen}")
    assert seen.get("kept", 0) <= len(thrown) / 20
    good.report("hostile inputs")
    well(stack, pids, before)


@pytest.fixture
def many_files():
    """Room for the sockets; how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(hard, 2 * IDLE + IDLE_ROOM)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield max(soft, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections(many_files, make_stack):
    """As many as the processes take, half a head on each, and a good client."""
    count = min(IDLE, many_files - IDLE_ROOM)
    stack = make_stack(settings={"SLUICE_HTTP_CONNECTIONS": str(IDLE + 100)}).start()
    pids, before = {n: stack[n].pid for n in stack.processes}, sizes(stack)
    sockets = []
    try:
        with Good(stack) as good:
            where = [address(stack.api_url), address(stack.ingest_url())]
            for i in range(count):
                one = socket.create_connection(where[i % 2], timeout=20)
                sockets.append(one)
                if i % 4 < 2:
                    one.sendall(head(b"GET")[: i % 30])
            asked = len(good.times)
            wait_until(lambda: len(good.times) > asked + 500, 60, "answers beside them")
        print(f"\n{len(sockets)} idle connections")
        good.report("idle connections")
        well(stack, pids, before)
    finally:
        for one in sockets:
            one.close()
