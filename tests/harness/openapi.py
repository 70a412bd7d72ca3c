"""The OpenAPI document, and whether an answer is in it."""
import functools
import json
import os
import re
from urllib.parse import parse_qs, unquote, urlsplit

import jsonschema

from .paths import ROOT

# What may be answered before anybody looks which operation it is.
EARLY = ("400", "408", "413", "414", "431")
METHODS = ("get", "post", "put", "patch", "delete")


class Outside(AssertionError):
    """An answer that the document does not have."""


class Document:
    def __init__(self, doc):
        self.doc = doc
        self.resolver = jsonschema.RefResolver.from_schema(doc)
        self.routes = []
        # What has no parameter comes before what has.
        for path in sorted(doc["paths"], key=lambda p: (p.count("{"), p)):
            pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path))
            self.routes.append((re.compile(pattern), path))

    def resolve(self, value):
        while "$ref" in value:
            value = self.resolver.resolve(value["$ref"])[1]
        return value

    def operations(self):
        for path, item in self.doc["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method, path, item[method]

    def find(self, path):
        """The template of a path, or None."""
        for pattern, template in self.routes:
            if pattern.fullmatch(path):
                return template
        return None

    @functools.lru_cache(maxsize=None)
    def validator(self, text):
        return jsonschema.Draft202012Validator(json.loads(text), resolver=self.resolver)

    def validate(self, schema, value, what):
        errors = list(self.validator(json.dumps(schema)).iter_errors(value))
        if errors:
            e = jsonschema.exceptions.best_match(errors)
            at = "/".join(str(p) for p in e.absolute_path)
            raise Outside(f"{what}: {e.message[:500]} at /{at}")

    def responses(self, method, template, query):
        """Status to response, of an operation or of whatever is none."""
        anything = self.doc["x-any-request"]
        item = self.doc["paths"].get(template, {})
        other = query.get("_method")
        if other and method in ("get", "post"):
            method = other[0].lower()
        method = "get" if method == "head" else method
        if method in item:
            # Under `_method` one process may not have what the other has.
            early = EARLY + (("405",) if other else ())
            early = {s: anything[s] for s in early if s in anything}
            return {**early, **item[method]["responses"]}
        return {s: r for s, r in anything.items() if s != "500"}

    def check(self, method, url, status, headers, body):
        """Raises Outside, or returns what the body holds."""
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        template = self.find(unquote(parts.path))
        what = f"{method} {parts.path} {status}"
        found = self.responses(method.lower(), template, query).get(str(status))
        if found is None:
            raise Outside(f"{what} is not in the document: {body[:300]!r}")
        found = self.resolve(found)
        for name, header in found.get("headers", {}).items():
            header = self.resolve(header)
            if name in headers:
                self.validate(header["schema"], headers[name], f"{what} {name}")
            elif header.get("required"):
                raise Outside(f"{what}: no header {name}")
        if method.upper() == "HEAD":
            return None
        return self.check_body(found, headers, body, what)

    def check_body(self, found, headers, body, what):
        kind = headers.get("Content-Type", "").split(";")[0].strip().lower()
        content = found.get("content", {})
        if not content and not body:
            return None
        if kind not in content:
            raise Outside(f"{what}: content type {kind!r}")
        if not kind.endswith("json"):
            return body
        try:
            value = json.loads(body)
        except ValueError:
            raise Outside(f"{what}: no JSON: {body[:300]!r}") from None
        self.validate(content[kind]["schema"], value, what)
        if "request_id" in value and value["request_id"] != headers["Request-Id"]:
            raise Outside(f"{what}: request_id is not Request-Id")
        return value


@functools.lru_cache(maxsize=None)
def document():
    with open(os.path.join(ROOT, "common", "openapi.json"), encoding="utf-8") as f:
        return Document(json.load(f))


def check(answer):
    """Of a requests.Response; the parsed body."""
    request = answer.request
    return document().check(
        request.method, request.url, answer.status_code, answer.headers, answer.content
    )


def hook(answer, *_args, **_more):
    """For a session's hooks: everything it is answered is looked at."""
    check(answer)
