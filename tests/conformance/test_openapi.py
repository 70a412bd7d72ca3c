"""The document itself: whole, served, and of just the routes that there are."""
import re

import jsonschema
import requests

from harness import openapi
from harness.paths import ROOT

DOCUMENT = openapi.document()


def each(value):
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
        for v in value.values():
            yield from each(v)
    elif isinstance(value, list):
        for v in value:
            yield from each(v)


def test_every_reference_leads_somewhere():
    for found in each(DOCUMENT.doc):
        if isinstance(found.get("$ref"), str):
            DOCUMENT.resolve(found)


def test_every_part_is_used():
    used = {o["$ref"] for o in each(DOCUMENT.doc) if isinstance(o.get("$ref"), str)}
    for kind in ("schemas", "parameters", "responses", "headers"):
        for name in DOCUMENT.doc["components"][kind]:
            assert f"#/components/{kind}/{name}" in used, name


def test_every_schema_is_one():
    for schema in DOCUMENT.doc["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_operations_are_whole():
    seen = set()
    for method, path, operation in DOCUMENT.operations():
        assert operation["operationId"] not in seen
        seen.add(operation["operationId"])
        assert operation["x-served-by"] in ("api", "ingest", "both"), path
        parameters = [DOCUMENT.resolve(p) for p in operation.get("parameters", [])]
        in_path = {p["name"] for p in parameters if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), (method, path)
        for response in operation["responses"].values():
            assert "Request-Id" in DOCUMENT.resolve(response)["headers"], path


def test_the_routes_of_the_api_are_in_it():
    rows = []
    for name, row in (
        ("routes", r'{ METHOD_(\w+), "([^"]+)"'),
        ("jsonapi_routes", r'{ "(\w+)", "([^"]+)"'),
    ):
        with open(f"{ROOT}/api/{name}.c", encoding="utf-8") as f:
            found = re.findall(row, f.read())
        assert found
        rows += found
    there = {(m.lower(), p) for m, p in rows}
    told = {
        (m, re.sub(r"{\w+}", "{id}", p))
        for m, p, o in DOCUMENT.operations()
        if o["x-served-by"] == "api"
    }
    assert there == told


def test_both_serve_it(stack):
    for url in (stack.api_url, stack.ingest_url()):
        answer = requests.get(f"{url}/openapi.json", timeout=10)
        assert openapi.check(answer) == DOCUMENT.doc
        assert requests.head(f"{url}/openapi.json", timeout=10).status_code == 200
        wrong = requests.post(f"{url}/openapi.json", timeout=10)
        openapi.check(wrong)
        assert wrong.status_code == 405 and wrong.headers["Allow"] == "GET"
        openapi.check(requests.get(f"{url}/nowhere", timeout=10))
