"""The link alone: a million messages while everything around it breaks."""
import os
import random
import time

import pytest

from harness.stack import SANITIZED
from harness.wait import wait_until
from link.ends import End, Map, free_port, make_keys
from link.hosts import Hosts
from link.proxy import ResetProxy

MESSAGES = 125_000 if SANITIZED else 500_000  # in each direction
RATE = 16_000  # a second, in each direction
WINDOW_MESSAGES = 1000
WINDOW_BYTES = 4 * 1024 * 1024
LARGEST = 2 * 1024 * 1024
MEMORY_MAX = 64 * 1024 * 1024
STOP_S = 10
NAME = "logger.sluice.test"
FEW = 2000  # messages, where their number is no matter


class Campaign:
    def __init__(self, folder, seed):
        self.random = random.Random(seed)
        port = free_port()
        self.proxy = ResetProxy(port)
        env = {"LINK_KEYS": make_keys(folder)}
        self.logger = End("logger", f"tcp://127.0.0.1:{port}", folder,
                          MESSAGES, RATE, env)
        self.deliverer = End("deliverer", f"127.0.0.1:{self.proxy.port}",
                             folder, MESSAGES, RATE, env)
        self.ends = (self.logger, self.deliverer)
        self.maps = (Map(folder, "deliver"), Map(folder, "outcome"))
        self.kills = {end: 0 for end in self.ends}
        self.memory = 0

    def done(self):
        for end in self.ends:
            self.memory = max(self.memory, end.private_bytes())
        return all(m.done() >= MESSAGES for m in self.maps)

    def wait_for_progress(self):
        """Both directions moved, or all is done."""
        at = [m.done() for m in self.maps]
        wait_until(lambda: self.done() or all(
            m.done() > old or m.done() >= MESSAGES
            for m, old in zip(self.maps, at)), 30, "progress")

    def break_something(self):
        what = self.random.choice(("kill", "kill", "reset", "reset", "flap"))
        if what == "kill":
            end = self.random.choice(self.ends)
            end.kill()
            self.kills[end] += 1
            end.start()
        elif what == "reset":
            self.proxy.reset()
        else:  # again before the two have greeted each other
            for _ in range(5):
                self.proxy.reset()
                time.sleep(self.random.random() * 0.15)

    def stop_for_a_while(self, end):
        """It must not judge the other by its own sleep."""
        silent = len(end.lines("why=\"silent\""))
        end.stop()
        deadline = time.monotonic() + STOP_S
        wait_until(lambda: time.monotonic() > deadline, STOP_S + 5)
        end.go_on()
        self.wait_for_progress()
        assert len(end.lines("why=\"silent\"")) == silent

    def run(self):
        self.wait_for_progress()
        for end in self.ends:
            self.stop_for_a_while(end)
        while not self.done():
            self.break_something()
            pause = time.monotonic() + self.random.random() * 0.8
            self.wait_for_progress()
            wait_until(lambda: self.done() or time.monotonic() > pause, 5)

    def close(self):
        for end in self.ends:
            if end.process.poll() is None:
                end.go_on()
                end.kill()
        self.proxy.close()


@pytest.fixture
def campaign(tmp_path, request):
    seed = int(os.environ.get("LINK_SEED", random.randrange(1 << 32)))
    print(f"LINK_SEED={seed}")
    one = Campaign(str(tmp_path), seed)
    yield one
    one.close()
    if getattr(request.node, "failed", True):
        for end in one.ends:
            print(end.log()[-4000:])


def test_a_million_messages(campaign):
    campaign.run()
    resumed = sum(len(end.lines("link resumed")) for end in campaign.ends)
    for end in campaign.ends:
        assert end.end() == 0
        assert not end.lines("garbage")
    for name, one in zip(("deliver", "outcome"), campaign.maps):
        h = one.header()
        print(f"{name}: {h}")
        one.check(MESSAGES)
        assert h["unhandled"] == 0  # completed, and nobody had it
        assert h["misnamed"] == 0  # refused with the reason of another
        assert h["twice"] == 0  # handled twice in one pair of sessions
        assert h["garbled"] == 0
        assert h["largest"] == LARGEST
        assert h["open_max"] <= WINDOW_MESSAGES
        assert h["open_bytes_max"] <= WINDOW_BYTES
    print(f"kills {list(campaign.kills.values())}, TCP resets "
          f"{campaign.proxy.resets}, resumed {resumed}, "
          f"memory {campaign.memory >> 10} KiB")
    assert resumed > 0  # RESET, HELLO, and on with the same sessions
    assert SANITIZED or campaign.memory < MEMORY_MAX
    assert all(campaign.kills.values()) and campaign.proxy.resets > 0


@pytest.fixture
def ends():
    """Ends that are ended, whatever happens."""
    started = []
    yield started
    for end in started:
        if end.process.poll() is None:
            end.kill()


def test_a_name_with_several_addresses(tmp_path, ends):
    """One of them is dead; then the live one moves."""
    port = free_port()
    env = {"SLUICE_LINK_PLAIN": "1"}
    hosts = Hosts(str(tmp_path), NAME)
    hosts.write("127.0.0.2", "127.0.0.3")
    logger = End("logger", f"tcp://127.0.0.3:{port}", tmp_path, FEW, 1000, env)
    ends.append(logger)
    deliverer = End("deliverer", f"{NAME}:{port}", tmp_path, FEW, 1000,
                    {**env, **hosts.env}, hosts.before)
    ends.append(deliverer)
    maps = [Map(tmp_path, name) for name in ("deliver", "outcome")]
    wait_until(lambda: all(m.done() > FEW // 10 for m in maps), 20)
    for host in ("127.0.0.2", "127.0.0.3"):
        assert len(deliverer.lines(f"found tcp://{host}:{port}")) == 1
    hosts.write("127.0.0.2", "127.0.0.4")
    logger.kill()
    logger = End("logger", f"tcp://127.0.0.4:{port}", tmp_path, FEW, 1000, env)
    ends.append(logger)
    wait_until(lambda: all(m.done() == FEW for m in maps), 30)
    for one in maps:
        one.check(FEW)
        assert one.header()["twice"] == 0
    wait_until(lambda: deliverer.lines(f"lost tcp://127.0.0.3:{port}"), 30)
    assert not deliverer.lines("lost tcp://127.0.0.4")
    assert not deliverer.lines("lost tcp://127.0.0.2")  # dead, but named
    assert deliverer.end() == 0
    assert logger.end() == 0
