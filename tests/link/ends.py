"""The two processes of a link under test, and the maps they write."""
import os
import signal
import socket
import struct
import subprocess

from harness.stack import BUILD

PROGRAM = os.path.join(BUILD, "bin", "sluice-test-link")
FIELDS = ("completed", "refused", "returned", "unhandled", "misnamed",
          "handled", "again", "twice", "open_max", "open_bytes_max",
          "largest", "garbled")
HEADER = 4096
RECORD = struct.Struct("<QII")
COMPLETED, REFUSED = 2, 3


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def make_keys(folder):
    """A folder of CURVE keys for both ends."""
    keys = os.path.join(folder, "keys")
    os.mkdir(keys)
    subprocess.run([PROGRAM, "keys", keys], check=True)
    return keys


class End:
    """One process; it can be started again and again at the same address."""

    def __init__(self, stage, address, folder, count, rate, env=None,
                 before=()):
        self.stage = stage
        self._argv = [*before, PROGRAM, stage, address, str(folder),
                      str(count), str(rate)]
        self._env = {**os.environ, **(env or {})}
        self.log_path = os.path.join(folder, f"{stage}.log")
        self.process = None
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self._argv, stderr=log,
                                            env=self._env)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """Drains; the exit status."""
        self.process.terminate()
        return self.process.wait(timeout=20)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def lines(self, *words):
        return [line for line in self.log().splitlines()
                if all(word in line for word in words)]

    def private_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return 0


class Map:
    """What became of the messages of one direction."""

    def __init__(self, folder, name):
        self._path = os.path.join(folder, f"{name}.map")

    def header(self):
        try:
            with open(self._path, "rb") as f:
                data = f.read(8 * len(FIELDS))
        except FileNotFoundError:
            data = b""
        values = struct.unpack(f"<{len(FIELDS)}Q",
                               data.ljust(8 * len(FIELDS), b"\0"))
        return dict(zip(FIELDS, values))

    def done(self):
        h = self.header()
        return h["completed"] + h["refused"]

    def check(self, count):
        """Every message was completed or, if poison, refused; and handled."""
        with open(self._path, "rb") as f:
            f.seek(HEADER + RECORD.size)
            data = f.read(RECORD.size * count)
        unfinished = unhandled = 0
        for n, (_, handled, state) in enumerate(RECORD.iter_unpack(data), 1):
            wanted = REFUSED if n % 500 == 7 else COMPLETED
            unfinished += state != wanted
            unhandled += handled == 0
        assert (unfinished, unhandled) == (0, 0)
