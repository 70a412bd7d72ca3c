"""The SDKs that Apideck publishes, each in a process of its own."""
import json
import os
import select
import subprocess

import pytest

from harness.paths import ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ("unify", "node", "python")
KINDS = {"unify": "npm", "node": "npm", "python": "python"}
CALL_S = 120


class Refused(Exception):
    """What an SDK threw."""

    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.error = error
        self.status = error.get("status")
        self.type_name = error.get("type_name")


def install(name):
    """Where it cannot be had the test is skipped and says so; where
    CHECK_NEED_SDKS=1 is set, as in continuous integration, it fails."""
    done = subprocess.run(
        [f"{HERE}/install", KINDS[name]],
        capture_output=True, text=True, timeout=300, check=False,
    )
    if done.returncode == 3 and os.environ.get("CHECK_NEED_SDKS") != "1":
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    return os.path.join(ROOT, "build", "sdk", KINDS[name])


class Driver:
    """The process that has one SDK loaded."""

    def __init__(self, name, url):
        folder = install(name)
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONWARNINGS": "ignore"}
        if name == "python":
            command = ["/usr/bin/python3", f"{HERE}/driver.py", url]
        else:
            command = ["node", f"{HERE}/driver.mjs", name, folder, url]
        self.name = name
        self._process = subprocess.Popen(
            command, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )

    def ask(self, question):
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], CALL_S)
        assert ready, f"{self.name} has not answered {question}"
        line = self._process.stdout.readline()
        assert line, f"{self.name} has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["value"]

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Sdk:
    """sdk.create(body=...), sdk.every(limit=200), ...: the operations of the
    drivers, as one client. Returns what the SDK returned, or raises Refused."""

    def __init__(self, driver, key, app, url=None):
        """url: instead of the driver's."""
        self._driver, self._who = driver, {"key": key, "app": app, **({"url": url} if url else {})}

    def __getattr__(self, op):
        return lambda **args: self._driver.ask({**self._who, "op": op, "args": args})
