"""A hosts file of one's own, for one process."""
import os
import shutil
import subprocess

from harness.stack import BUILD

PRELOAD = os.path.join(BUILD, "lib", "libsluice-test-hosts.so")
MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-c",
         'mount --bind "$LINK_HOSTS" /etc/hosts && exec "$@"', "sh")


class Hosts:
    """write(...) at any time; `before` and `env` make a process see it."""

    def __init__(self, folder, name):
        self.path = os.path.join(folder, "hosts")
        self._name = name
        self.write()
        self.env = {"LINK_HOSTS": self.path}
        self.before = MOUNT
        if not self._can_mount():
            self.before = ()
            self.env |= {"LD_PRELOAD": PRELOAD,
                         "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def write(self, *addresses):
        """In place: a mounted file must stay the same file."""
        with open(self.path, "w", encoding="ascii") as f:
            f.writelines(f"{a} {self._name}\n" for a in addresses)

    def _can_mount(self):
        return shutil.which("unshare") and subprocess.run(
            [*MOUNT, "true"], env={**os.environ, "LINK_HOSTS": self.path},
            stderr=subprocess.DEVNULL, check=False).returncode == 0
