"""The engine and the stack on it, by the docker client. Standard library only.

Which stack: that of COMPOSE_PROJECT_NAME, which environment() in main.py sets.
"""
import contextlib
import os
import pathlib
import subprocess
import time
import urllib.error
import urllib.request

DOCKER = pathlib.Path(__file__).resolve().parent.parent
WORK = pathlib.Path(os.environ["SLUICE_TEST_WORK"])
PROJECT = "sluice-test"
NETWORK = "sluice-test-outside"
SCALE = {"ingest": 2, "router": 2, "deliverer": 3, "gateway": 2}
STAGES = ("api", "logger", "router", "deliverer", "ingest")
ALL = STAGES + ("gateway",)

started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)


def need(true, text):
    if not true:
        raise AssertionError(text)


def run(*words, check=True, env=None, **more):
    done = subprocess.run(
        [str(w) for w in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        **more,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: {done.stdout.strip()}")
    return done.stdout.strip()


def docker(*words, **more):
    return run("docker", *words, **more)


def compose_command():
    new = subprocess.run(
        ["docker", "compose", "version"], capture_output=True, check=False
    )
    return ["docker", "compose"] if new.returncode == 0 else ["docker-compose"]


def compose(*words, **more):
    return run(*compose_command(), *words, **more)


def until(what, true, seconds=60, gap=0.1):
    """Waits for a condition; says how long it took."""
    begin = time.monotonic()
    while True:
        answer = true()
        if answer:
            return time.monotonic() - begin
        need(time.monotonic() - begin < seconds, f"not within {seconds} s: {what}")
        time.sleep(gap)


def project():
    return os.environ["COMPOSE_PROJECT_NAME"]


@contextlib.contextmanager
def settings(**names):
    """For as long as it lasts."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(value) for name, value in names.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def containers(stage, *more):
    # Not `compose ps`: its start-up is half a second of Python.
    return docker(
        "ps", "-q", *more, "--filter", f"label=com.docker.compose.project={project()}",
        "--filter", f"label=com.docker.compose.service={stage}",
    ).split()


def ready(container, stage):
    if stage == "gateway":
        words = ("bash", "/etc/sluice-gateway/healthcheck")
    else:
        words = (f"/usr/bin/sluice-{stage}", "--readycheck")
    done = subprocess.run(
        ["docker", "exec", container, *words], capture_output=True, check=False
    )
    return done.returncode == 0


def all_ready(stages=ALL, counts=None):
    for stage in stages:
        wanted = (counts or SCALE).get(stage, 1)
        there = containers(stage)
        if len(there) != wanted or not all(ready(c, stage) for c in there):
            return False
    return True


def up(**scale):
    """What is missing of the stack's own scale, or of another one."""
    words = []
    for stage, count in {**SCALE, **scale}.items():
        words += ["--scale", f"{stage}={count}"]
    compose("up", "-d", "--no-build", "--no-recreate", *words)


def address(container, network="inside"):
    return docker(
        "inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{project()}_{network}")'
        ".IPAddress}}", container,
    )


def readyz(container):
    """Status and text of a stage's own word on it."""
    try:
        with urllib.request.urlopen(f"http://{address(container)}:9100/readyz", timeout=5) as a:
            return a.status, a.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()


def metrics(container):
    url = f"http://{address(container)}:9100/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if line and not line.startswith("#")
    }


def logs(container):
    return docker("logs", container, check=False)
