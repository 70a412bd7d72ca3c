"""HMACs, made and checked, that share nothing with the code under test."""
import base64
import hashlib
import hmac
import json
import time


def _sorted(value):
    if isinstance(value, dict):
        return {k: _sorted(value[k]) for k in sorted(value, key=_utf16)}
    if isinstance(value, list):
        return [_sorted(v) for v in value]
    return value


def _utf16(key):
    """JavaScript compares strings by UTF-16 code unit."""
    return key.encode("utf-16-be", "surrogatepass")


def stringify(value):
    """As JSON.stringify writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def sign(key, body):
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def sign_base64(key, body):
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def hubspot(secret, uri, body, at_ms=None):
    """The headers that HubSpot (v3) adds to a POST of the text."""
    at = int(time.time() * 1000 if at_ms is None else at_ms)
    signed = f"POST{uri}{body}{at}".encode()
    return {"X-HubSpot-Request-Timestamp": str(at),
            "X-HubSpot-Signature-v3": sign_base64(secret, signed)}


def raw_is_right(key, body, signature):
    """The receiver that keeps the bytes."""
    return hmac.compare_digest(sign(key, body), signature)


def parsed_is_right(key, body, signature):
    """The receiver that parses, sorts every object and writes it again."""
    again = stringify(_sorted(json.loads(body)))
    return hmac.compare_digest(sign(key, again), signature)


def standard_is_right(key, body, headers):
    """Standard Webhooks: v1,base64(HMAC-SHA256(id.timestamp.body))."""
    secret = key.encode()
    if key.startswith("whsec_"):
        secret = base64.b64decode(key[len("whsec_") :])
    signed = b"%s.%s.%s" % (
        headers["webhook-id"].encode(),
        headers["webhook-timestamp"].encode(),
        body,
    )
    mine = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())
    return f"v1,{mine.decode()}" in headers["webhook-signature"].split()
