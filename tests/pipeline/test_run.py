"""./run, as a person uses it: ready, demo.env, a killed process, Ctrl-C."""
import os
import re
import signal
import stat
import subprocess

import pytest
import requests
from pipeline import hubspot

from harness.stack import ROOT, STAGES, free_port
from harness.wait import wait_until

READY_S = 240  # it may have to build first


class Run:
    def __init__(self, data, log, **variables):
        self.data = data
        self.log = log
        environment = {k: v for k, v in os.environ.items() if "SLUICE" not in k}
        environment.update(
            SLUICE_DATA=str(data),
            SLUICE_NO_INSTALL="1",
            SLUICE_ACCEPT_LOG_MAX="64m",
            **variables,
        )
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(
                [f"{ROOT}/run"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self):
        return self.log.read_text()

    def wait_line(self, line, timeout=READY_S):
        def seen():
            if line in self.output().splitlines():
                return True
            assert self.popen.poll() is None, self.output()
            return False

        wait_until(seen, timeout, lambda: f"{line!r} in {self.output()}")
        return self

    def env(self):
        path = self.data / "demo.env"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return dict(
            line.split("=", 1) for line in path.read_text().splitlines() if line
        )

    def pid(self, name):
        return int((self.data / "run" / f"{name}.pid").read_text())

    def end(self, number=signal.SIGTERM):
        self.popen.send_signal(number)
        assert self.popen.wait(60) == 0, self.output()
        assert self.output().splitlines()[-1] == "stopped"


def ports(**more):
    return {
        "SLUICE_INGEST_HTTP": f"127.0.0.1:{free_port()}",
        "SLUICE_API_HTTP": f"127.0.0.1:{free_port()}",
        **more,
    }


@pytest.fixture
def start(tmp_path):
    runs = []

    def make(**variables):
        log = tmp_path / f"run-{len(runs)}.log"
        runs.append(Run(tmp_path / "data", log, **variables))
        return runs[-1]

    yield make
    for run in runs:
        if run.popen.poll() is None:
            run.popen.terminate()
            run.popen.wait(60)


def logs(env):
    answer = requests.get(
        env["SLUICE_API_URL"] + "/webhook/logs",
        headers={
            "Authorization": f"Bearer {env['SLUICE_API_KEY']}",
            "x-apideck-app-id": env["SLUICE_APP_ID"],
        },
        params={"filter[event_type]": "crm.contact.created"},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_run(start):
    addresses = ports()
    run = start(**addresses).wait_line("ready")
    assert "signature: right" in run.output()
    env = run.env()
    assert env["SLUICE_APP_ID"] == "demo"
    assert env["SLUICE_INGEST_URL"] == f"http://{addresses['SLUICE_INGEST_HTTP']}"
    assert re.match(r"http://.*/webhook/w/[^/]+/hubspot$", env["SLUICE_CONNECTION_URL"])

    # Another one on the same data is refused, and disturbs nobody.
    second = start(**ports())
    assert second.popen.wait(READY_S) == 1
    assert "another ./run uses" in second.output()

    # One that dies comes back; work goes on.
    for name in STAGES:
        pid = run.pid(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: f"{name} ended (status 137)" in run.output(), 10, name)
        wait_until(
            lambda: (run.data / "run" / f"{name}.pid").exists()
            and run.pid(name) != pid,
            10,
            f"{name} started again",
        )

    def delivered(count):
        try:
            rows = logs(env)
        except (OSError, AssertionError):
            return False
        return len(rows) == count and all(r["success"] for r in rows)

    wait_until(lambda: delivered(1), 20, "the log answers")

    def accepted():
        try:
            return (
                requests.post(
                    env["SLUICE_CONNECTION_URL"], json=[hubspot.event(5)], timeout=10
                ).status_code
                == 200
            )
        except OSError:
            return False

    wait_until(accepted, 20, "ingest answers")
    wait_until(lambda: delivered(2), 20, lambda: f"two deliveries: {logs(env)}")
    pids = [run.pid(name) for name in STAGES]
    run.end(signal.SIGINT)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)

    # A second one finds its data again.
    again = start(**addresses).wait_line("ready")
    assert again.env() == env
    assert "application demo made" not in again.output()
    wait_until(lambda: delivered(3), 20, lambda: f"three deliveries: {logs(env)}")
    again.end()


def test_run_says_which_port_is_taken(start):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        run = start(**ports(SLUICE_API_HTTP=address))
        assert run.popen.wait(READY_S) == 1
    assert f"{address}: Address already in use" in run.output()
    assert "SLUICE_API_HTTP" in run.output()
