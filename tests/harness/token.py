"""Tokens of execute and /w/ URLs, made outside the code under test."""
import base64
import hashlib
import hmac
import json
import re


def _text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _compact(value):
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _bytes(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def of_url(url):
    """The token in a /w/, execute or x URL."""
    return re.search(r"/webhook/(?:w|webhooks)/([^/?]+)", url).group(1)


def claims(token):
    return json.loads(_bytes(token.split(".")[1]))


def key(stack):
    """Derived from the master key, as ingest and api do it."""
    with open(f"{stack.data}/keys/master.key", "rb") as f:
        return hmac.new(f.read(), b"sluice token v1", hashlib.sha256).digest()


def mint(secret, values, algorithm="HS256"):
    head = _compact({"alg": algorithm, "typ": "JWT"})
    body = f"{head}.{_compact(values)}"
    if algorithm == "none":
        return body + "."
    digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[algorithm]
    return f"{body}.{_text(hmac.new(secret, body.encode(), digest).digest())}"
