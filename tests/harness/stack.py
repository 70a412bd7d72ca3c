"""The five processes, real, in a folder of their own."""
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import requests

from . import openapi
from .paths import ROOT
from .wait import wait_until

BUILD = os.path.abspath(os.environ.get("SLUICE_BUILD", f"{ROOT}/build/dev"))
SANITIZED = "asan" in os.path.basename(BUILD)
STAGES = ("api", "logger", "router", "deliverer", "ingest")
# The order of the data: whoever stops first hands over what it has.
STOP_ORDER = ("ingest", "router", "deliverer", "api", "logger")
READY_S = 30
DRAIN_S = 30
LOG_TAIL = 60
COMPLAINTS = re.compile(
    r"AddressSanitizer|LeakSanitizer|runtime error:|Assertion|ThreadSanitizer"
)


def free_port():
    """Below the range the kernel hands out, so that it stays free when closed."""
    for _ in range(200):
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Process:
    """One start after the other of one process; its log goes on."""

    def __init__(self, name, environment, log_path):
        self.name = name
        self.stage = name.rstrip("0123456789")
        self.environment = environment
        self.log_path = log_path
        self.popen = None
        self.ready = {}
        self._ready = threading.Event()

    def start(self, extra=None):
        assert not self.running, f"{self.name} runs already"
        self._ready.clear()
        self.ready = {}
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [f"{BUILD}/bin/sluice-{self.stage}"],
                env={**self.environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        reader = threading.Thread(
            target=self._read, args=(self.popen.stdout,), daemon=True
        )
        reader.start()

    def _read(self, stdout):
        for line in stdout:
            words = line.split()
            if words[:2] == ["ready", self.stage]:
                self.ready = dict(w.split("=", 1) for w in words[2:] if "=" in w)
                self._ready.set()
        stdout.close()

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen is not None and self.popen.poll() is None

    @property
    def is_ready(self):
        return self._ready.is_set()

    def wait_ready(self, timeout=READY_S):
        def state():
            assert self.running, f"{self.name} ended: {self.popen.returncode}"
            return self.is_ready

        wait_until(state, timeout, f"{self.name} ready")

    def wait_end(self, timeout=READY_S):
        return self.popen.wait(timeout)

    def signal(self, number):
        self.popen.send_signal(number)

    def admin(self, path):
        return requests.get(f"http://{self.ready['admin']}{path}", timeout=5)

    def metric(self, name):
        """The sum of a metric over its labels."""
        total = 0.0
        for line in self.admin("/metrics").text.splitlines():
            match = re.match(r"([a-zA-Z_:]+)(?:\{[^}]*\})? ([-0-9.e+]+)", line)
            if match and match.group(1) == name:
                total += float(match.group(2))
        return total

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()


class App:
    """An application, and what a client of it does."""

    def __init__(self, stack, app_id, key):
        self.stack = stack
        self.id = app_id
        self.key = key
        self.session = requests.Session()
        self.session.headers.update(
            {"Authorization": f"Bearer {key}", "x-apideck-app-id": app_id}
        )
        self.session.hooks["response"].append(openapi.hook)

    def call(self, method, path, body=None, **more):
        return self.session.request(
            method, self.stack.api_url + path, json=body, timeout=30, **more
        )

    def subscribe(self, url, events=("*",), unified_api="crm", **more):
        body = {
            "delivery_url": url,
            "status": "enabled",
            "events": list(events),
            "unified_api": unified_api,
            **more,
        }
        answer = self.call("POST", "/webhook/webhooks", body)
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        assert data["status"] == body["status"], data
        return data

    def connect(self, service_id="hubspot", consumer_id="c-1", unified_api="crm", **more):
        answer = self.call(
            "POST",
            "/webhook/connections",
            {
                "consumer_id": consumer_id,
                "unified_api": unified_api,
                "service_id": service_id,
                **more,
            },
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def limit(self, **limits):
        """quota=, rate=: as an operator sets them."""
        words = [w for k, v in limits.items() for w in (f"--{k}", str(v))]
        self.stack.command("app", "set", "--id", self.id, *words)

    def usage(self):
        answer = self.call("GET", "/webhook/usage")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def publish(self, events, ingest="ingest", session=None):
        return (session or self.session).post(
            f"{self.stack.ingest_url(ingest)}/webhook/events",
            json=events,
            headers=self.session.headers,
            timeout=30,
        )

    def logs(self, **filters):
        """All pages, newest first."""
        rows, cursor = [], None
        while True:
            params = {"limit": 200, **filters}
            if cursor:
                params["cursor"] = cursor
            answer = self.call("GET", "/webhook/logs", params=params)
            assert answer.status_code == 200, answer.text
            rows += answer.json()["data"]
            cursor = answer.json()["meta"]["cursors"]["next"]
            if not cursor:
                return rows


class Stack:
    """counts says how many of a stage there are: {"router": 2} makes `router`
    and `router2`. settings are SLUICE_* variables of all; only[name] of one.
    Nothing runs before start()."""

    def __init__(self, counts=None, settings=None, only=None, apps=("acme",)):
        self.folder = tempfile.mkdtemp(prefix="sl-", dir="/tmp")
        self.data = f"{self.folder}/data"
        os.makedirs(f"{self.folder}/log")
        self._ports = {}
        self.processes = {}
        counts = {**dict.fromkeys(STAGES, 1), **(counts or {})}
        for stage in STAGES:
            for i in range(counts[stage]):
                self.processes[f"{stage}{i + 1 if i else ''}"] = None
        ingests = self.names("ingest")
        self._ports = {n: free_port() for n in ingests + ["api"]}
        self._base = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")},
            "SLUICE_DATA": self.data,
            "SLUICE_ADMIN_HTTP": "127.0.0.1:0",
            "SLUICE_API_HTTP": f"127.0.0.1:{self._ports['api']}",
            "SLUICE_INGEST_HTTP": f"127.0.0.1:{self._ports['ingest']}",
            "SLUICE_API_LINK": self.link("api"),
            "SLUICE_LOGGER_LINK": self.link("logger"),
            "SLUICE_INGEST_PEERS": ",".join(self.link(n) for n in ingests),
            "SLUICE_CONNECTORS": f"{ROOT}/ingest/connectors",
            "SLUICE_ALLOW_NET": "127.0.0.0/8",
            "SLUICE_ACCEPT_LOG_ANY_FS": "1",
            "SLUICE_ACCEPT_LOG_MAX": "256m",
            **(settings or {}),
        }
        for name in self.processes:
            self.processes[name] = Process(
                name,
                {
                    **self._base,
                    "SLUICE_INSTANCE": name,
                    **self._of_ingest(name),
                    **((only or {}).get(name, {})),
                },
                f"{self.folder}/log/{name}.log",
            )
        os.makedirs(self.data, mode=0o700)
        self.apps = [self.make_app(a) for a in apps]

    def _of_ingest(self, name):
        if name not in self._ports or name == "api":
            return {}
        return {
            "SLUICE_INGEST_LINK": self.link(name),
            "SLUICE_INGEST_HTTP": f"127.0.0.1:{self._ports[name]}",
        }

    def names(self, stage):
        return [n for n in self.processes if n.rstrip("0123456789") == stage]

    def link(self, name):
        return f"ipc://{self.folder}/{name}.sock"

    def __getitem__(self, name):
        return self.processes[name]

    @property
    def app(self):
        return self.apps[0]

    @property
    def api_url(self):
        return f"http://127.0.0.1:{self._ports['api']}"

    def ingest_url(self, name="ingest"):
        return f"http://127.0.0.1:{self._ports[name]}"

    def make_app(self, app_id):
        """By the command line, as an operator does it."""
        done = self.command("app", "create", "--id", app_id)
        key = re.search(r"\bsk_(?:live|test)_\S+", done.stdout)
        assert key, (done.stdout, done.stderr)
        return App(self, app_id, key.group(0))

    def command(self, *words):
        done = subprocess.run(
            [f"{BUILD}/bin/sluice-api", *words],
            env={**self._base, "SLUICE_INSTANCE": "cli"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done

    def start(self, *names, extra=None, ready=True):
        """Those named, or all; extra are variables for this start only."""
        chosen = names or tuple(self.processes)
        for name in chosen:
            self[name].start(extra)
        if ready:
            for name in chosen:
                self[name].wait_ready()
        return self

    def kill(self, name):
        self[name].signal(signal.SIGKILL)
        self[name].wait_end()

    def restart(self, name, extra=None, ready=True):
        if self[name].running:
            self.kill(name)
        self.start(name, extra=extra, ready=ready)

    @contextlib.contextmanager
    def paused(self, name):
        self[name].signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self[name].signal(signal.SIGCONT)

    def stop(self):
        """SIGTERM in order; each must drain and end with status 0."""
        for stage in STOP_ORDER:
            for name in self.names(stage):
                process = self[name]
                if not process.running:
                    continue
                process.signal(signal.SIGTERM)
                status = process.wait_end(DRAIN_S)
                assert status == 0, f"{name} ended with {status} after SIGTERM"

    def complaints(self):
        """Lines of the logs that no test may cause."""
        return [
            f"{name}: {line}"
            for name, process in self.processes.items()
            if os.path.exists(process.log_path)
            for line in process.log().splitlines()
            if COMPLAINTS.search(line)
        ]

    def log_tails(self):
        text = ""
        for name, process in self.processes.items():
            if os.path.exists(process.log_path):
                lines = process.log().splitlines()[-LOG_TAIL:]
                text += f"---- {name}\n" + "\n".join(lines) + "\n"
        return text

    def close(self):
        """Whatever still runs is killed; the folder goes."""
        for process in self.processes.values():
            if process is not None and process.running:
                process.signal(signal.SIGKILL)
                process.wait_end()
        shutil.rmtree(self.folder, ignore_errors=True)


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def mono_us():
    """The clock of the receiver's records."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
