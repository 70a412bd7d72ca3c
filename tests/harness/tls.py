"""A TLS front before a subscriber: nginx, which speaks HTTP/2 and HTTP/1.1 and
writes down over which of its connections each request came. /early is answered
by itself, before it has read a large body."""
import os
import shutil
import subprocess
from collections import namedtuple

import requests

from .stack import free_port
from .wait import wait_until

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
	log_format line '$connection $server_protocol $status $uri';
	access_log {folder}/requests line;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	client_max_body_size 2m;
	client_body_buffer_size 2m;
	keepalive_requests {requests};
	server {{
		listen 127.0.0.1:{port} ssl{http2};
		ssl_certificate {folder}/front.pem;
		ssl_certificate_key {folder}/front.key;
		location /early {{ return 200 "ok"; }}
		location / {{ proxy_pass {behind}; proxy_read_timeout 60s; }}
	}}
}}
"""

Request = namedtuple("Request", "connection protocol status path")


def _openssl(*arguments):
    subprocess.run(
        ["openssl", *arguments], check=True, capture_output=True, timeout=60
    )


class Authority:
    """Its certificate is what SLUICE_CA_FILE wants."""

    def __init__(self, folder):
        self._folder = str(folder)
        self.file = f"{folder}/ca.pem"
        self._key = f"{folder}/ca.key"
        _openssl(
            *"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca".split(),
            *("-keyout", self._key, "-out", self.file),
        )

    def issue(self, folder):
        """front.pem and front.key for 127.0.0.1."""
        request, extension = f"{folder}/front.csr", f"{folder}/front.ext"
        _openssl(
            *"req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1".split(),
            *("-keyout", f"{folder}/front.key", "-out", request),
        )
        with open(extension, "w", encoding="ascii") as f:
            f.write("subjectAltName=IP:127.0.0.1\n")
        _openssl(
            *"x509 -req -days 2 -CAcreateserial".split(),
            *("-in", request, "-CA", self.file, "-CAkey", self._key),
            *("-extfile", extension, "-out", f"{folder}/front.pem"),
        )


class TlsFront:
    """requests_max: so many a connection may carry before it is closed."""

    def __init__(self, folder, authority, behind, http2=True, requests_max=1000):
        self._folder = str(folder)
        os.makedirs(self._folder)
        authority.issue(self._folder)
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        path = f"{folder}/nginx.conf"
        with open(path, "w", encoding="ascii") as f:
            f.write(
                CONFIG.format(
                    folder=folder,
                    port=port,
                    behind=behind,
                    http2=" http2" if http2 else "",
                    requests=requests_max,
                )
            )
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        self._process = subprocess.Popen(
            [nginx, "-e", f"{folder}/nginx.log", "-p", self._folder, "-c", path]
        )
        self._ca = authority.file
        wait_until(self._answers, what="nginx")

    def _answers(self):
        assert self._process.poll() is None, "nginx ended"
        try:
            requests.get(self.url + "/-", verify=self._ca, timeout=5)
        except requests.ConnectionError:
            return False
        return True

    def requests(self, path):
        """Those that were answered."""
        with open(f"{self._folder}/requests", encoding="utf-8") as f:
            rows = [Request(*line.split()) for line in f]
        return [r for r in rows if r.path == path]

    def close(self):
        self._process.terminate()
        self._process.wait()
