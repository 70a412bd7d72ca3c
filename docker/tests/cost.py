"""What an event costs each stage, and how much memory each has, as /proc says."""
import os
import pathlib

from engine import ALL, containers, docker, need, say
from outside import Load
from stack import settle

COUNT = 4000
RATE = 400
TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


def processes(container):
    """The host's ids of the first one and its children (nginx has workers)."""
    first = int(docker("inspect", "-f", "{{.State.Pid}}", container))
    children = pathlib.Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii")
    return [first, *map(int, children.split())]


def used_us(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def peak_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0


def cost(client, receiver):
    pids = {stage: [processes(c) for c in containers(stage)] for stage in ALL}
    every = {stage: [p for one in there for p in one] for stage, there in pids.items()}
    before = {stage: sum(map(used_us, there)) for stage, there in every.items()}
    load = Load(client, "cost", COUNT, RATE)
    load.join()
    settle(receiver, load)
    need(not load.bad, f"publishers got {load.bad}")
    total = 0
    for stage, there in pids.items():
        each = (sum(map(used_us, every[stage])) - before[stage]) / COUNT
        memory = max(sum(map(peak_mib, one)) for one in there)
        total += each
        say(f"  {stage}: {each:.0f} us of processor an event, {memory:.0f} MiB at most in one of {len(there)}")
    say(f"cost: {total:.0f} us an event in all, at {RATE} a second, a connection kept by each publisher")
