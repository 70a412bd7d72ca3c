"""Volumes that fill, and one that nobody mounts: small ext4 on loop devices."""
import contextlib
import json
import os

from engine import (ALL, WORK, all_ready, compose, containers, docker, logs, metrics, need,
                    project, ready, readyz, run, say, settings, until, up)
from outside import Client, Load
from stack import applications, settle, subscription

SIZES_MIB = {"accept": 80, "events": 400, "directory": 24}
ONE_EACH = {"ingest": 1, "router": 1, "deliverer": 1, "gateway": 1}
PAD = 40_000
FIRST = 200
LEFT = ("sluice_forward_queued", "sluice_forward_out", "sluice_accept_log_ahead_records")


@contextlib.contextmanager
def loop_devices():
    """A block device for each volume; the stages' user owns what is on it."""
    folder = WORK / "disks"
    folder.mkdir()
    devices = {}
    try:
        for name, size in SIZES_MIB.items():
            image = folder / name
            run("truncate", "-s", f"{size}M", image)
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "root_owner=10001:10001", image)
            devices[name] = run("losetup", "-f", "--show", image)
        yield devices
    finally:
        for device in devices.values():
            run("losetup", "-d", device, check=False)


def override(devices):
    path = WORK / "disks.yaml"
    path.write_text(json.dumps({"version": "3.8", "volumes": {
        name: {"driver": "local", "driver_opts": {"type": "ext4", "device": device}}
        for name, device in devices.items()}}))
    return path


def in_volume(name, script):
    docker("run", "--rm", "--user", "0", "--network", "none", "-v", f"{project()}_{name}:/volume",
           "sluice/tools:test", "bash", "-euc", script)


def fill(name):
    in_volume(name, "head -c 2G /dev/zero >/volume/filler 2>/dev/null || true; "
              "[ $(df --output=avail /volume | tail -n 1) -lt 8 ]")


def make_room(name):
    in_volume(name, "rm /volume/filler")


def metric(stage, name):
    return metrics(containers(stage)[0])[name]


def events_full(client, receiver):
    """The logger's: nothing is lost, and publishers notice only much later."""
    before = Load(client, "before", FIRST, 100, 4)
    before.join()
    settle(receiver, before)
    fill("events")
    load = Load(client, "full", 10**9, 200, 4, pad=PAD)
    took = until("the logger says so", lambda: readyz(containers("logger")[0])[0] == 503, 60)
    said = readyz(containers("logger")[0])[1]
    need(metric("logger", "sluice_logger_store_stuck") == 1, "the logger's metric")
    need(not load.bad, f"publishers got {load.bad} while ingest had room")
    status, _, body = client.call("GET", "/webhook/logs?limit=5")
    need(status == 200 and len(json.loads(body)["data"]) == 5, f"queries: {status} {body!r}")
    lines = [l for l in logs(containers("logger")[0]).splitlines() if "full" in l]
    need(lines, "the logger's log does not say it")
    say(f"events full: the logger says {said!r} after {took:.1f} s, and {lines[0].split(' ', 1)[1]!r}; "
        f"queries answered, {load.accepted} events accepted")
    accept_full(client, load)
    make_room("events")
    took = until("the logger goes on", lambda: readyz(containers("logger")[0])[0] == 200, 30)
    accepted = load.accepted
    again = until("publishers get 200 again", lambda: load.accepted > accepted + 50, 60)
    load.stop()
    need(set(load.bad) <= {503}, f"publishers got {load.bad}")
    say(f"room made: the logger goes on after {took:.1f} s, publishers {again:.1f} s later")
    settle(receiver, load)


def accept_full(client, load):
    until("publishers get 503", lambda: load.bad.get(503), 120)
    status, headers, body = client.call("POST", "/webhook/events", {
        "event_type": "crm.lead.updated", "entity_id": "x", "entity_type": "lead"})
    need(status == 503 and headers.get("retry-after"), f"{status} {headers} {body!r}")
    need(metric("ingest", "sluice_accept_log_full") == 1, "ingest's metric")
    code, said = readyz(containers("ingest")[0])
    need(code == 503, "ingest says it is ready")
    need(client.call("GET", "/webhook/webhooks")[0] == 200, "the api")
    say(f"accept log at its cap: 503, Retry-After {headers['retry-after']}, ingest says {said!r}; "
        f"{load.accepted} events are in it")


def accept_disk_full(client, receiver):
    """Something else fills the disk before the cap is reached."""
    fill("accept")
    load = Load(client, "disk", 10**9, 200, 4, pad=PAD)
    until("publishers get 503", lambda: load.bad.get(503), 90)
    said = readyz(containers("ingest")[0])
    need(said[0] == 503, said)
    make_room("accept")
    accepted = load.accepted
    took = until("publishers get 200 again", lambda: load.accepted > accepted + 50, 30)
    load.stop()
    need(set(load.bad) <= {503}, f"publishers got {load.bad}")
    say(f"accept volume filled by others: 503, {said[1]!r}; {took:.1f} s after there is room: 200")
    settle(receiver, load)


def directory_full(client):
    fill("directory")
    codes = []
    for n in range(200):
        status, headers, body = client.call("POST", "/webhook/webhooks", {
            "unified_api": "crm", "status": "disabled", "events": ["*"],
            "description": "d" * 200, "delivery_url": f"https://example.com/{n}/" + "p" * 900})
        codes.append(status)
        if status >= 500:
            break
    need(codes[-1] == 503 and headers.get("retry-after"), f"{status} {headers} {body!r}")
    need(client.call("GET", "/webhook/webhooks?limit=1")[0] == 200, "reads")
    load = Load(client, "dir", 50, 100, 2)
    load.join()
    need(not load.bad, f"publishers got {load.bad}")
    make_room("directory")
    status, _, body = client.call("POST", "/webhook/webhooks", {
        "unified_api": "crm", "status": "disabled", "events": ["*"],
        "delivery_url": "https://example.com/after"})
    need(status in (200, 201), f"after there is room: {status} {body!r}")
    say(f"directory full: write {len(codes)} answered 503, reads and publishers 200; "
        "writes go on once there is room")


def lone_ingest(volume):
    """As docs/operations.md has it: one more, on a volume of its own."""
    name = f"{project()}-lone"
    compose("run", "-d", "--use-aliases", "--name", name, "-v", f"{volume}:/data", "ingest")
    until("it is ready", lambda: ready(name, "ingest"), 30)
    return name


def segments(volume):
    return docker("run", "--rm", "--user", "0", "--network", "none", "-v", f"{volume}:/volume",
                  "sluice/tools:test", "find", "/volume/accept", "-name", "*.seg").split()


def left_behind(client, receiver):
    """The events of an ingest that is gone, on a volume that nobody mounts."""
    volume = f"{project()}_lone"
    docker("volume", "create", volume)
    name = lone_ingest(volume)
    logger = containers("logger")[0]
    docker("stop", logger)
    load = Load(client, "lone", 200, 200, 4)
    load.join()
    docker("rm", "-f", name)
    docker("start", logger)
    others = metric("ingest", "sluice_accept_log_records_total")
    need(segments(volume), "nothing was left behind")
    # What the other one took is delivered meanwhile.
    until("the rest is delivered", lambda: metric("ingest", "sluice_accept_log_completed_total")
          == metric("ingest", "sluice_accept_log_records_total") > 0, 60)
    left = len(receiver.missing(load))
    need(left > 0, f"all were delivered ({others} by the other one)")
    name = lone_ingest(volume)
    until("nothing is left in it", lambda: sum(
        metrics(name)[m] for m in LEFT) == 0 and not receiver.missing(load), 60)
    docker("stop", "-t", "40", name)
    docker("rm", name)
    need(not segments(volume), f"left: {segments(volume)}")
    docker("volume", "rm", volume)
    say(f"a volume that nobody mounts: {left} events waited in it, came when an ingest had it again; "
        "then it was empty")
    settle(receiver, load)


def disks(client, receiver):
    if os.geteuid() != 0:
        say("full disks NOT TRIED: only root can make small ones")
        return
    with loop_devices() as devices, settings(
            COMPOSE_PROJECT_NAME=f"{project()}-disks", SLUICE_PORT_TO="",
            COMPOSE_FILE=f"{os.environ['COMPOSE_FILE']}:{override(devices)}"):
        own = Client(client.ports[0])
        own.apps = ["demo"]
        own.trust()
        up(**ONE_EACH)
        until("the api is ready", lambda: all_ready(("api",), ONE_EACH), 60, 0.5)
        applications(own, containers("api")[0])
        until("all ready", lambda: all_ready(ALL, ONE_EACH), 60, 0.5)
        subscription(own, receiver)
        events_full(own, receiver)
        accept_disk_full(own, receiver)
        directory_full(own)
        left_behind(own, receiver)
        compose("down", "-v", "-t", "10")
