"""Peers that speak the link's frames by hand, to say what no process would.

Names and numbers are read from the tables of common/, so that they cannot
drift apart. A frame or message is its type followed by a map.
"""
import os
import re
import secrets
import threading
import time

import msgpack
import zmq

from .stack import ROOT
from .wait import wait_until

LANES = {"RESULT": 0, "WORK": 1, "CONTROL": 2}


def _read(name):
    with open(os.path.join(ROOT, "common", name), encoding="utf-8") as f:
        return f.read()


def _types():
    body = re.search(r"enum msg_type \{(.*?)\}", _read("msg.h"), re.S).group(1)
    names = re.findall(r"MSG_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
    return {name: number for number, name in enumerate(names)}


def _keys():
    rows = re.findall(r"\bF\(\s*(\d+), (\w+), (\w+)", _read("msg_fields.h"))
    return {name: (int(key), kind) for key, name, kind in rows}


TYPES = _types()
KEYS = _keys()
_NAMES = {number: name for name, number in TYPES.items()}
_FIELDS = {key: (name, kind) for name, (key, kind) in KEYS.items()}


def _map(fields):
    return {
        KEYS[name][0]: [_map(r) for r in value] if KEYS[name][1] == "LIST" else value
        for name, value in fields.items()
    }


def pack(kind, **fields):
    return msgpack.packb(TYPES[kind]) + msgpack.packb(_map(fields))


def _names(record):
    out = {}
    for key, value in record.items():
        name, kind = _FIELDS.get(key, (key, None))
        out[name] = [_names(r) for r in value] if kind == "LIST" else value
    return out


def unpack(data):
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(data)
    kind, record = unpacker.unpack(), unpacker.unpack()
    return _NAMES[kind], _names(record)


class Peer:
    """One end of a link. bind: waits at an address as `stage` and is found by
    a real process; connect: calls at one as `stage`.

    got holds the messages received (type, fields, seq); completed and refused
    tell what became of those sent, by the number send() returned. A message
    received is completed at once unless judge(type, fields) returns a reason
    to refuse it."""

    def __init__(self, stage, bind=None, connect=None, judge=None, window=0,
                 instance=None):
        self.stage = stage
        self.instance = instance or f"fake-{stage}"
        self.session = secrets.randbits(62) | 1
        self.got = []
        self.completed = set()
        self.refused = {}
        self.up = threading.Event()
        self.credit = {}
        self._judge = judge or (lambda kind, fields: None)
        self._window = window
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._theirs = 0
        self._route = []
        self._received = 0
        self._sent = 0
        self._refusals = []
        self._socket = zmq.Context.instance().socket(
            zmq.ROUTER if bind else zmq.DEALER
        )
        self._socket.linger = 0
        if bind:
            self._socket.bind(bind)
        else:
            self._socket.connect(connect)
            self._stamp = secrets.randbits(62)
            self._send(
                "HELLO",
                proto_min=1,
                proto_max=1,
                role=stage,
                instance=self.instance,
                session=self.session,
                stamp=self._stamp,
            )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, message):
        """One message, packed or not at all like one; its number."""
        with self._lock:
            self._sent += 1
            self._send(
                "DATA",
                session=self.session,
                seq=self._sent,
                count=1,
                batch=msgpack.packb(message, use_bin_type=True),
            )
            return self._sent

    def send_raw(self, frame):
        with self._lock:
            self._socket.send_multipart([*self._route, frame])

    def wait_credit(self, lane, timeout=20):
        wait_until(
            lambda: self.credit.get(LANES[lane], 0) > 0, timeout, f"credit for {lane}"
        )

    def wait_judged(self, numbers, timeout=20):
        wait_until(
            lambda: all(n in self.completed or n in self.refused for n in numbers),
            timeout,
            lambda: f"completed {self.completed}, refused {self.refused}",
        )

    def close(self):
        with self._lock:
            if self.up.is_set():
                self._send("BYE", session=self.session)
        time.sleep(0.05)  # linger 0 would drop the farewell
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _send(self, kind, **fields):
        self._socket.send_multipart([*self._route, pack(kind, **fields)])

    def _run(self):
        while not self._stop.is_set():
            with self._lock:
                while self._socket.poll(0):
                    parts = self._socket.recv_multipart()
                    self._frame(parts[:-1], *unpack(parts[-1]))
            self._stop.wait(0.003)  # sockets are not for two threads

    def _frame(self, route, kind, m):
        if kind in ("HELLO", "WELCOME"):
            self._meet(route, kind, m)
        elif kind == "PING":
            self._send("PONG", peer_session=self._theirs, stamp=m["stamp"])
        elif kind == "DATA":
            self._data(m)
        elif kind == "ACK":
            self._ack(m)
        elif kind == "CREDIT":
            for lane in m["credit"]:
                self.credit[lane.get("lane", 0)] = lane.get("max_messages", 0)

    def _meet(self, route, kind, m):
        self._theirs = m["session"]
        if kind == "HELLO":
            self._route = route
            self._send(
                "WELCOME",
                proto_max=1,
                role=self.stage,
                instance=self.instance,
                session=self.session,
                peer_session=self._theirs,
                seq=self._received,
                stamp=m["stamp"],
            )
        self._grant()
        self.up.set()

    def _grant(self):
        lanes = [
            {
                "lane": lane,
                "max_messages": self._received + self._window,
                "max_bytes": (1 << 40) if self._window else 0,
            }
            for lane in LANES.values()
        ]
        self._send("CREDIT", peer_session=self._theirs, credit=lanes)

    def _data(self, m):
        unpacker = msgpack.Unpacker(raw=True)
        unpacker.feed(m["batch"])
        for seq, message in enumerate(unpacker, m["seq"]):
            if seq != self._received + 1:
                continue
            self._received = seq
            kind, fields = unpack(message)
            self.got.append((kind, fields, seq))
            reason = self._judge(kind, fields)
            if reason:
                self._refusals.append({"seq": seq, "reason": reason})
        self._send(
            "ACK",
            peer_session=self._theirs,
            seq=self._received if not self._refusals else self._refusals[0]["seq"] - 1,
            ranges=self._done_above(),
            refused=self._refusals,
        )
        self._grant()

    def _done_above(self):
        """Completed numbers above the first that was refused."""
        if not self._refusals:
            return []
        refused = {r["seq"] for r in self._refusals}
        first = self._refusals[0]["seq"]
        return [
            {"seq": s, "count": 1}
            for s in range(first + 1, self._received + 1)
            if s not in refused
        ]

    def _ack(self, m):
        for one in m.get("refused", []):
            self.refused[one["seq"]] = one["reason"]
        numbers = set(range(1, m.get("seq", 0) + 1))
        for one in m.get("ranges", []):
            numbers |= set(range(one["seq"], one["seq"] + one["count"]))
        self.completed |= numbers - set(self.refused)
