"""A byte pump between two unix sockets, to cut a link without touching an end."""
import os
import selectors
import socket
import threading

CHUNK = 65536


class Proxy:
    """Listens at `path` and forwards to `target`.

    freeze(): nothing passes, connections stay (a silent network).
    reset(): drops every connection. refuse(): drops and accepts no more.
    resume(): everything passes again.
    """

    def __init__(self, path, target):
        self.address = f"ipc://{path}"
        self._target = target.removeprefix("ipc://")
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._peers = {}
        self._frozen = self._refusing = False
        self._closed = threading.Event()
        if os.path.exists(path):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def freeze(self):
        with self._lock:
            self._frozen = True

    def refuse(self):
        with self._lock:
            self._refusing = True
            self._drop_all()

    def reset(self):
        with self._lock:
            self._drop_all()

    def resume(self):
        with self._lock:
            self._frozen = self._refusing = False

    def close(self):
        self._closed.set()
        self._thread.join()
        self._drop_all()
        self._listener.close()

    def _run(self):
        while not self._closed.is_set():
            if self._frozen:
                self._closed.wait(0.02)
                continue
            ready = self._selector.select(0.02)
            with self._lock:
                for key, _ in [] if self._frozen else ready:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._peers:
                        self._pump(key.fileobj)

    def _accept(self):
        inside, _ = self._listener.accept()
        outside = socket.socket(socket.AF_UNIX)
        try:
            if self._refusing:
                raise OSError("refusing")
            outside.connect(self._target)
        except OSError:
            inside.close()
            outside.close()
            return
        for a, b in ((inside, outside), (outside, inside)):
            self._peers[a] = b
            self._selector.register(a, selectors.EVENT_READ)

    def _pump(self, end):
        try:
            data = end.recv(CHUNK)
            if data:
                self._peers[end].sendall(data)
                return
        except OSError:
            pass
        self._drop(end)

    def _drop(self, end):
        other = self._peers.pop(end, None)
        for one in (end, other):
            if one is None or one.fileno() < 0:
                continue
            self._peers.pop(one, None)
            self._selector.unregister(one)
            one.close()

    def _drop_all(self):
        for end in list(self._peers):
            self._drop(end)
