"""One stack, scaled 2/2/3 behind two gateways, while its parts come and go."""
import json
import os
import pathlib
import time

from engine import (ALL, DOCKER, NETWORK, SCALE, STAGES, WORK, all_ready, compose, containers,
                    docker, logs, metrics, need, project, ready, run, say, until, up)
from outside import Load

EVENTS = int(os.environ.get("SLUICE_TEST_EVENTS", "20000"))
RATE = 350
IMAGE_MAX_MIB = 40
FOUND_S = 10
STRANGER_S = 7


def images():
    base = int(docker("image", "inspect", "-f", "{{.Size}}", "debian:bookworm-slim"))
    say(f"base image {base / 2**20:.0f} MiB; each adds, in MiB:")
    for stage in ALL:
        size = int(docker("image", "inspect", "-f", "{{.Size}}", f"sluice/{stage}:test"))
        more = (size - base) / 2**20
        say(f"  {stage} {more:.1f}")
        need(more < IMAGE_MAX_MIB, f"the image of {stage} adds {more:.1f} MiB")


def applications(client, api):
    """Made in this container; the last line says the key."""
    for app in client.apps:
        client.keys[app] = docker(
            "exec", api, "sluice-api", "app", "create", "--id", app
        ).splitlines()[-1]


def bring_up(client):
    client.trust()
    begin = time.monotonic()
    up()
    until("the api is ready", lambda: all_ready(("api",)), 60, 0.5)
    applications(client, containers("api")[0])
    until("all ready", all_ready, 60, 0.5)
    say(f"up, scaled 2/2/3, all ready after {time.monotonic() - begin:.0f} s")


def hardened():
    for stage in STAGES:
        one = json.loads(docker("inspect", containers(stage)[0]))[0]
        need(one["Config"]["User"] == "10001:10001", f"{stage} runs as {one['Config']['User']!r}")
        need(one["HostConfig"]["ReadonlyRootfs"], f"{stage} may write to its root")
        need(one["HostConfig"]["Memory"] > 0, f"{stage} may take all memory")
        need(one["HostConfig"]["NanoCpus"] > 0, f"{stage} may take all processors")
        files = [u for u in one["HostConfig"]["Ulimits"] if u["Name"] == "nofile"]
        need(files and files[0]["Hard"] == 16384, f"{stage} has {files}")
        need(one["HostConfig"]["CapDrop"] == ["ALL"], f"{stage} has capabilities")
        need(not one["HostConfig"]["PortBindings"], f"{stage} has published ports")
        networks = set(one["NetworkSettings"]["Networks"])
        wanted = {f"{project()}_inside"} | ({NETWORK} if stage == "deliverer" else set())
        need(networks == wanted, f"{stage} is in {networks}")
    for one in containers("gateway"):
        reuse = docker("exec", one, "cat", "/proc/sys/net/ipv4/tcp_tw_reuse")
        need(reuse == "1", f"the gateway's ports run short: tcp_tw_reuse {reuse}")
    until("healthy", lambda: all(
        docker("inspect", "-f", "{{.State.Health.Status}}", c) == "healthy"
        for s in ALL for c in containers(s)), 40, 0.5)
    say("every container healthy, as 10001, root read-only, no capabilities, no port")


def subscription(client, receiver):
    for app in client.apps:
        status, _, body = client.call("POST", "/webhook/webhooks", {
            "unified_api": "crm", "status": "enabled", "events": ["*"],
            "delivery_url": receiver.url}, app=app)
        need(status in (200, 201), f"subscription: {status} {body!r}")
        need(json.loads(body)["data"]["status"] == "enabled", body)


def refused_logger():
    """A second owner of a SQLite file."""
    for stage, volume in (("logger", "events"), ("api", "directory")):
        out = docker(
            "run", "--rm", "--network", f"{project()}_inside", "--read-only",
            "-v", f"{project()}_{volume}:/data",
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


def stranger(name, keys, stage="router"):
    """A router on the stack's own network with the keys that it was given."""
    words = ["run", "-d", "--name", f"{project()}-{name}", "--network", f"{project()}_inside",
             "--read-only", "--tmpfs", "/data:uid=10001,gid=10001,mode=0700"]
    if keys is not None:
        words += ["-v", f"{keys}:/run/secrets/keys:ro", "-e", "SLUICE_KEYS=/run/secrets/keys"]
    else:
        words += ["-e", "SLUICE_LINK_PLAIN=1"]
    words += ["-e", "SLUICE_API_PEERS=api:5554", "-e", "SLUICE_INGEST_PEERS=ingest:5555",
              "-e", "SLUICE_LOGGER_PEERS=logger:5557", f"sluice/{stage}:test"]
    return docker(*words)


def stays_out(container):
    """Nobody let it in; what it says about that."""
    try:
        name = container[:12]
        need(not ready(container, "router"), f"{name} became ready")
        need("link up" not in logs(container), logs(container))
        for other in ("api", "logger", "ingest"):
            for one in containers(other):
                need(f"link up peer={name}" not in logs(one), f"{other} let {name} in")
        return [line for line in logs(container).splitlines() if "refus" in line]
    finally:
        docker("rm", "-f", container)


def as_root(script, *mounts):
    """In a container that sees our folder as /scratch."""
    words = [w for mount in (f"{WORK}:/scratch", *mounts) for w in ("-v", mount)]
    docker("run", "--rm", "--user", "0", "--network", "none", *words,
           "sluice/tools:test", "bash", "-euc", script)


def curve():
    """Begins it: strangers knock while other things are tried."""
    secrets = pathlib.Path(os.environ["SLUICE_SECRETS"])
    own, other = WORK / "own", WORK / "other"
    # A key made by itself and everybody's public ones; a true key, of another stage.
    as_root("for f in own other; do mkdir -m 755 /scratch/$f; cp -p /router/{api,logger,ingest}.pub /scratch/$f; done; "
            "sluice-keys /scratch/own router; cp -p /deliverer/deliverer.key /scratch/other/router.key; "
            "chown 10001 /scratch/own/*",
            f"{secrets}/router:/router:ro", f"{secrets}/deliverer:/deliverer:ro")
    begun = time.monotonic()
    return begun, [stranger("plain", None), stranger("own", own), stranger("other", other)]


def curve_held(begun, strangers):
    time.sleep(max(0, begun + STRANGER_S - time.monotonic()))
    for one in strangers[:2]:
        need(metrics(one).get("sluice_link_ups_total", 0) == 0, "a link came up")
    said = [stays_out(one) for one in strangers]
    as_root("rm -rf /scratch/own /scratch/other")
    say(f"CURVE: no key, an unknown key, a deliverer's key: nothing let in {said[2][:1]}")


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
    docker("network", "disconnect", f"{project()}_inside", one)
    time.sleep(seconds)
    docker("network", "connect", "--alias", stage, f"{project()}_inside", one)
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


def adopted(client):
    """Events in the slot of an ingest that never comes back: they are on their way."""
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
    say(f"an ingest removed for good with {held:.0f} events in its slot")
    up()
    until("all ready", all_ready, 60, 0.5)
    return load


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


def backup(client, receiver):
    """A copy under load; then all is lost but the copy and the master key."""
    load = Load(client, "b", 10**9, 200, 3)
    until("load", lambda: load.accepted > 200, 20)
    run(DOCKER / "backup", WORK / "backup")
    load.stop()
    need(not load.bad, f"publishers got {load.bad} during the backup")
    settle(receiver, load)
    compose("down", "-v", "-t", "40")
    docker("volume", "create", f"{project()}_events")
    docker("volume", "create", f"{project()}_directory")
    run(DOCKER / "backup", "restore", WORK / "backup")
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
