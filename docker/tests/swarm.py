"""swarm.yaml on a swarm of one node: ready, found, scaled, rolled, nothing lost."""
import time

from engine import ALL, DOCKER, STAGES, docker, need, ready, say, settings, until
from outside import Client, Load
from stack import applications, settle, subscription

STACK = "sluice-test-swarm"
REPLICAS = {"ingest": 2, "router": 2, "deliverer": 3}
MORE = {"ingest": 3, "router": 3, "deliverer": 4}


def tasks(stage):
    return docker("ps", "-q", "--filter", f"label=com.docker.swarm.service.name={STACK}_{stage}").split()


def all_ready(counts):
    return all(
        len(there := tasks(stage)) == counts.get(stage, 1) and all(ready(c, stage) for c in there)
        for stage in ALL
    )


def scaled(counts):
    return docker("service", "scale", "-d", *(f"{STACK}_{s}={n}" for s, n in counts.items()))


def rolled():
    """Every task of every stage replaced by Swarm itself, the stages at the same time."""
    before = {stage: set(tasks(stage)) for stage in STAGES}
    begin = time.monotonic()
    for stage in STAGES:
        docker("service", "update", "-d", "--force", "--update-delay", "0s",
               "--update-monitor", "1s", f"{STACK}_{stage}")
    until("all replaced", lambda: all_ready(MORE) and not any(
        before[stage] & set(tasks(stage)) for stage in STAGES), 120, 0.5)
    return time.monotonic() - begin


def deploy(client):
    begin = time.monotonic()
    docker("stack", "deploy", "-c", DOCKER / "swarm.yaml", STACK)
    until("all ready", lambda: all_ready(REPLICAS), 90, 0.5)
    applications(client, tasks("api")[0])
    say(f"swarm: deployed, {sum(REPLICAS.values()) + 3} tasks ready after "
        f"{time.monotonic() - begin:.0f} s")


def under_load(client, receiver):
    load = Load(client, "s", 10**9, 200, 4)
    begin = time.monotonic()
    scaled(MORE)
    until("scaled up", lambda: all_ready(MORE), 60, 0.3)
    say(f"swarm: 2/2/3 scaled to 3/3/4 in {time.monotonic() - begin:.1f} s")
    took = rolled()
    need(not load.bad, f"publishers got {load.bad} while Swarm rolled")
    say(f"swarm: every task of all five stages replaced by `docker service update` in {took:.0f} s")
    scaled(REPLICAS)
    until("scaled down", lambda: all_ready(REPLICAS), 90, 0.3)
    load.stop()
    need(not load.bad, f"publishers got {load.bad}")
    say(f"swarm: scaled down again; {load.accepted} events, all 2xx, slowest {load.slowest:.1f} s")
    settle(receiver, load)


def swarm(client, receiver):
    if docker("info", "-f", "{{.Swarm.LocalNodeState}}") != "inactive":
        say("swarm NOT TRIED: this engine is in one already")
        return
    docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
    try:
        docker("node", "update", "--label-add", "sluice=store", docker("node", "ls", "-q"))
        with settings(SLUICE_PORT_TO=""):
            own = Client(client.ports[0])
            own.trust()
            deploy(own)
            subscription(own, receiver)
            under_load(own, receiver)
        docker("stack", "rm", STACK)
        until("removed", lambda: not docker("ps", "-aq", "--filter", f"name={STACK}"), 90, 0.5)
        say("swarm: removed")
    finally:
        docker("swarm", "leave", "--force", check=False)
