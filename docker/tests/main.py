#!/usr/bin/python3
"""What docker/test does with the images. Standard library only. Each step says
what it saw; the first that fails ends it, after the logs were shown.
"""
import contextlib
import json
import os
import socket
import subprocess
import sys

from cost import cost
from disks import disks
from engine import DOCKER, NETWORK, WORK, compose, docker, logs, run, say
from gateway import gateway
from outside import Client, Receiver
from roll import roll
from swarm import swarm
from tour import tour
import stack

PROJECT = "sluice-test"


def free_ports(count):
    """So many in a row, for the range that compose takes."""
    for port in range(20000, 30000, count):
        with contextlib.ExitStack() as held:
            try:
                for n in range(count):
                    one = held.enter_context(socket.socket())
                    one.bind(("127.0.0.1", port + n))
            except OSError:
                continue
            return port
    raise AssertionError("no free ports")


def environment():
    """The network that is outside, which the host is in, and the gateways' ports."""
    docker("network", "create", NETWORK)
    network = json.loads(docker("network", "inspect", NETWORK))[0]["IPAM"]["Config"][0]
    override = WORK / "override.yaml"
    override.write_text(
        "version: '3.8'\nnetworks:\n  outside:\n    external: true\n    name: " + NETWORK + "\n"
    )
    port = free_ports(2)
    os.environ.update(
        COMPOSE_PROJECT_NAME=PROJECT,
        COMPOSE_FILE=f"{DOCKER / 'compose.yaml'}:{override}",
        SLUICE_VERSION="test", SLUICE_SECRETS=str(WORK / "secrets"), SLUICE_BIND="127.0.0.1",
        SLUICE_PORT=str(port), SLUICE_PORT_TO=f"-{port + 1}", SLUICE_ALLOW_NET=network["Subnet"],
        SLUICE_RETRY_SCHEDULE="1s,1s,2s,2s,5s,5s,5s,5s",
    )
    host = network.get("Gateway") or network["Subnet"].rsplit(".", 1)[0] + ".1"
    return (port, port + 1), host


def ours(*more):
    return docker("ps", "-aq", "--filter", f"name={PROJECT}", *more, check=False).split()


def clean():
    for name in ours():
        docker("rm", "-f", "-v", name, check=False)
    # Not ours to remove, when we are not root.
    docker("run", "--rm", "--user", "0", "--network", "none", "-v", f"{WORK}:/scratch",
           "sluice/tools:test", "bash", "-c", "rm -rf /scratch/*", check=False)
    for kind in ("volume", "network"):
        for one in docker(kind, "ls", "-q", "--filter", f"name={PROJECT}", check=False).split():
            docker(kind, "rm", one, check=False)


def one_stack(client, receiver):
    stack.bring_up(client)
    stack.subscription(client, receiver)
    stack.hardened()
    strangers = stack.curve()
    gateway(client)
    stack.refused_logger()
    stack.curve_held(*strangers)
    cost(client, receiver)
    stack.chaos(client, receiver)
    orphans = stack.adopted(client)
    roll(client, receiver)
    stack.settle(receiver, orphans)
    stack.backup(client, receiver)
    compose("down", "-v", "-t", "10")


PARTS = {"tour": tour, "stack": one_stack, "disks": disks, "swarm": swarm}


def main():
    clean()
    ports, host = environment()
    receiver = None
    try:
        stack.images()
        run(DOCKER / "make-secrets")
        receiver = Receiver(host)
        for name in sys.argv[1:] or PARTS:
            PARTS[name](Client(*ports), receiver)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        for one in ours():
            print(f"-- {docker('inspect', '-f', '{{.Name}}', one)}", *logs(one).splitlines()[-25:], sep="\n  ")
        say(f"FAILED: {error}")
        return 1
    finally:
        if receiver:
            receiver.stop()
        if not os.environ.get("SLUICE_TEST_KEEP"):
            clean()
    say("containers: all held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
