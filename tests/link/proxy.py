"""A TCP proxy whose connections can be reset, to make libzmq reconnect."""
import select
import socket
import struct
import threading

CHUNK = 256 * 1024
HELD = 1024 * 1024  # bytes on the way in one direction
HARD = struct.pack("ii", 1, 0)  # SO_LINGER 0: close() sends RST


class _Pair:
    """Both ends of one connection, and what is on the way between them."""

    def __init__(self, inside, outside):
        self.dead = threading.Event()
        self._ends = (inside, outside)
        self._held = {inside: bytearray(), outside: bytearray()}
        for end in self._ends:
            end.setblocking(False)

    def run(self):
        try:
            while not self.dead.is_set():
                self._turn()
        except (OSError, EOFError):
            pass
        for end in self._ends:
            if self.dead.is_set():
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HARD)
            end.close()

    def _turn(self):
        a, b = self._ends
        read = [x for x, y in ((a, b), (b, a)) if len(self._held[y]) < HELD]
        write = [x for x in self._ends if self._held[x]]
        readable, writable, _ = select.select(read, write, [], 0.02)
        for end in readable:
            data = end.recv(CHUNK)
            if not data:
                raise EOFError
            self._held[b if end is a else a] += data
        for end in writable:
            sent = end.send(self._held[end])
            del self._held[end][:sent]


class ResetProxy:
    """Listens on a free port of 127.0.0.1 and forwards to the port `target`."""

    def __init__(self, target):
        self._target = target
        self._pairs = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.resets = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def reset(self):
        """Every connection ends now, on both sides, with RST."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            self.resets += not pair.dead.is_set()
            pair.dead.set()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def _accept(self):
        while True:
            try:
                inside, _ = self._listener.accept()
            except OSError:
                return
            try:
                outside = socket.create_connection(
                    ("127.0.0.1", self._target), timeout=2)
            except OSError:
                inside.close()
                continue
            pair = _Pair(inside, outside)
            self._pairs.append(pair)
            threading.Thread(target=pair.run, daemon=True).start()
