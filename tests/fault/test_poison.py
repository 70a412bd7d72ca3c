"""Messages that no process of ours would send: each is refused or recorded,
and everything else goes on."""
import os
import uuid

import msgpack

from harness.load import Load, Tally
from harness.wait import wait_until
from harness.wire import TYPES, Peer, pack

BODY = b'{"payload":{"entity_id":"wire-%d","execution_attempt":}}'


def event(n, **changes):
    """An EVENT as ingest would send it, with changes."""
    body = BODY % n
    custody = bytearray(uuid.uuid4().bytes)
    custody[6] = custody[6] & 0x0F | 0x70
    custody[12:] = bytes(4)
    fields = {
        "custody": bytes(custody),
        "app": 1,
        "event_type": "crm.lead.updated",
        "unified_api": "crm",
        "body": body,
        "hole": body.index(b":}}") + 1,
        **changes,
    }
    return pack("EVENT", **{k: v for k, v in fields.items() if v is not None})


def poison_events():
    head = msgpack.packb(TYPES["EVENT"])
    return [
        head + b"\xc1\xc1\xc1",
        head + msgpack.packb({20: b"x" * 16})[:-3],
        event(2, body=None),
        event(3, custody=b"abc"),
        event(4, event_type="x" * 1000),
        event(5, app="one"),
        event(6, hole=100000),
        b"\xff" * 40,
    ]


def pids(stack):
    return {name: p.pid for name, p in stack.processes.items() if p.popen}


def test_poison_events(make_stack, load_receiver):
    stack = make_stack()
    fake = Peer("ingest", bind=f"ipc://{stack.folder}/fake.sock")
    stack["router"].environment["SLUICE_INGEST_PEERS"] += (
        f",ipc://{stack.folder}/fake.sock"
    )
    stack.start()
    stack.app.subscribe(load_receiver.url + "/all")
    before = pids(stack)
    load = Load(stack.app, 100)
    tally = Tally(load_receiver)
    fake.wait_credit("WORK")

    bad = [fake.send(m) for m in poison_events()]
    good = fake.send(event(1))
    fake.wait_judged([*bad, good])
    assert good in fake.completed
    assert sorted(fake.refused) == bad, (fake.refused, fake.completed)
    assert all(fake.refused.values())
    wait_until(lambda: not tally.missing(["wire-1"]), 10, "the good one arrives")

    count = len(load.accepted)
    wait_until(lambda: len(load.accepted) > count + 50, what="load goes on")
    load.stop()
    wait_until(lambda: not tally.missing(load.accepted), 20, "load delivered")
    assert pids(stack) == before
    assert all(p.running for p in stack.processes.values())
    fake.close()


def test_ingest_keeps_what_was_refused(make_stack, load_receiver):
    """A router that refuses one event: ingest puts it aside, counts it, and
    does not send it again; the others are delivered by a real router."""
    stack = make_stack()
    names = [n for n in stack.processes if n != "router"]
    stack.start(*names, ready=False)
    stack["ingest"].wait_ready()
    stack["api"].wait_ready()
    fake = Peer(
        "router",
        connect=stack.link("ingest"),
        judge=lambda kind, m: "poison: by hand" if m["entity_id"] == "bad" else None,
        window=1,
    )
    answer = stack.app.publish(
        {"event_type": "crm.lead.created", "entity_id": "bad", "entity_type": "lead"}
    )
    assert answer.status_code == 200

    def quarantine():
        return [
            os.path.join(folder, f)
            for folder, _, files in os.walk(stack.data)
            if "quarantine" in folder
            for f in files
        ]

    wait_until(quarantine, 10, "a file in quarantine")
    assert [m["entity_id"] for k, m, _ in fake.got] == ["bad"]
    fake.close()

    stack.start("router")
    stack.app.subscribe(load_receiver.url + "/all")
    answer = stack.app.publish(
        {"event_type": "crm.lead.created", "entity_id": "good", "entity_type": "lead"}
    )
    assert answer.status_code == 200
    tally = Tally(load_receiver)
    wait_until(lambda: not tally.missing(["good"]), 10, "the next one arrives")
    assert "bad" not in tally.entities
    kept = b""
    for path in quarantine():
        with open(path, "rb") as f:
            kept += f.read()
    assert b'"bad"' in kept and b"poison: by hand" in kept


def test_poison_outcomes(stack, receiver):
    """Outcomes of nobody, of a lease long gone and of no sense."""
    app = stack.app
    app.subscribe(receiver.url + "/hook")
    app.publish(
        {"event_type": "crm.lead.created", "entity_id": "1", "entity_type": "lead"}
    )
    (first,) = receiver.wait_for(1)
    wait_until(lambda: app.logs()[0]["success"], what="delivered")
    before = pids(stack)

    fake = Peer("deliverer", connect=stack.link("logger"))
    assert fake.up.wait(10)
    fake.wait_credit("RESULT")
    delivery = uuid.UUID(first.key).bytes
    nobody = uuid.uuid4().bytes
    outcome = {"token": 1, "attempt": 1, "verdict": 2, "status": 503}
    sent = [
        fake.send(m)
        for m in (
            msgpack.packb(TYPES["OUTCOME"]) + b"\xc1",
            pack("OUTCOME", delivery=nobody, **outcome),
            pack("OUTCOME", delivery=b"short", **outcome),
            pack("OUTCOME", delivery=delivery, **{**outcome, "verdict": 9}),
            pack("OUTCOME", delivery=delivery, **{**outcome, "token": 1 << 62}),
            pack("OUTCOME", delivery=delivery, **{**outcome, "token": 999}),
            pack("RELEASE", leases=[{"delivery": nobody, "token": 7}]),
            pack("HELD", parts=1, leases=[{"delivery": delivery, "token": 7}]),
            pack("PROBED", query=12345, verdict=1, status=200),
        )
    ]
    fake.wait_judged(sent)
    # What cannot be read must be refused; what can is refused or recorded.
    assert {sent[0], sent[2]} <= set(fake.refused), fake.refused

    row = app.logs()[0]
    assert (row["success"], row["status_code"]) == (True, 200), row
    app.publish(
        {"event_type": "crm.lead.created", "entity_id": "2", "entity_type": "lead"}
    )
    got = receiver.wait_for(2)
    assert {d.payload["entity_id"] for d in got} == {"1", "2"}
    assert receiver.count() == 2
    assert pids(stack) == before
    assert all(p.running for p in stack.processes.values())
    fake.close()
