"""Requests made from the OpenAPI document: right ones, and ones that are wrong
in every way the document lets one think of."""
import datetime
import json
from urllib.parse import quote

from hypothesis import strategies as st

from harness.openapi import document

DOCUMENT = document()
# Where a delivery URL may lead: nobody is to be looked up or called but us.
GOOD_URL = "{receiver}/property"
URLS = (
    "http://127.0.0.1:9/", "http://10.0.0.1/", "http://[::1]:9/x",
    "https://127.0.0.1:9/", "http://0x7f000001:9/", "http://", "http:///x", "ftp://x/",
    "http://a b/", "http://[::1", "http://127.0.0.1:99999/", "javascript:1", "", "\u2603",
)
JUNK_TEXT = (
    "", " ", "\u0000", "\u00e9\u2603\U0001f600", "' OR 1=1 --", "../../etc", "%00", "%s%n", "null",
    "-1", "1e999", "9" * 40, "[]", "{}", "a" * 2100, "2024-13-45T99:99:99Z",
    "2024-01-01T00:00:00.000Z", "true",
)
RAW_BODIES = (
    b"", b"{", b"null", b"[]", b"[[]]", b"0", b'"x"', b"\x00", b"\xff\xfe{}", b'{"a":"\xff"}',
    b'{"a":1,"a":2}', b"{}" * 3, b"[" * 100, b'{"a":' * 70 + b"1" + b"}" * 70, b'{"x":1e999}',
    b'{"\\ud800":"\\u0000"}', b"a=b&c=d", b"a[b][c]=1&a[b]=2&=&&", b" " * 3000, b"<xml/>",
)
TYPES = (
    "application/json", "application/json; charset=utf-8", "APPLICATION/JSON",
    "application/x-www-form-urlencoded", "application/cloudevents-batch+json", "text/plain",
    "text/xml", "multipart/form-data; boundary=x", "", "/", "application/vnd.api+json",
)
FAULTS = ("no key", "unknown key", "no app", "other app", "basic")

texts = st.one_of(st.sampled_from(JUNK_TEXT), st.text(max_size=12))
junk = st.one_of(
    texts, st.none(), st.booleans(), st.integers(-2**63, 2**63),
    st.just([]), st.just({}), st.just([None]), st.just({"a": {"b": []}}),
)


def often(usual, seldom, in_n=8):
    """Mostly the usual."""
    return st.integers(1, in_n).flatmap(lambda n: seldom if n == 1 else usual)


def times(first, last):
    ends = (datetime.datetime(year, 1, 1) for year in (first, last))
    return st.datetimes(*ends).map(lambda t: t.isoformat(timespec="milliseconds") + "Z")


def strings(schema):
    if schema.get("format") == "date-time":
        return times(2020, 2040)
    if "pattern" in schema and "http" not in schema["pattern"]:
        return st.from_regex(schema["pattern"], fullmatch=True)
    return st.text(
        alphabet="abcxyz.-_* 019\u00e9",
        min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 9), 9),
    )


URL = often(st.just(GOOD_URL), often(st.sampled_from(URLS), junk), 3)
# Members of which a schema does not say what is right.
NAMED = {
    "delivery_url": URL, "url": URL, "key": often(st.just("{key}"), texts, 3),
    "start_date": often(times(2020, 2022), times(2022, 2040), 4),
    "end_date": often(times(2030, 2040), times(2020, 2030), 4),
}


def objects(schema):
    needed = schema.get("required", [])
    parts = {
        name: NAMED[name] if name in NAMED else of(value)
        for name, value in schema.get("properties", {}).items()
    }
    return st.fixed_dictionaries(
        {n: parts[n] for n in needed},
        optional={n: s for n, s in parts.items() if n not in needed},
    )


def of(schema):
    """Values that a schema allows."""
    is_event = schema.get("$ref") == "#/components/schemas/EventTypeInput"
    schema = DOCUMENT.resolve(schema)
    if is_event:
        known = DOCUMENT.doc["components"]["schemas"]["EventType"]["enum"]
        return often(st.sampled_from([*known, "crm.*", "hris.employee.*"]), strings(schema), 12)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return st.one_of([of(s) for s in schema[word]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    kinds = schema.get("type", "any")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    made = {
        "string": lambda: strings(schema),
        "integer": lambda: st.integers(schema.get("minimum", 0), schema.get("maximum", 600)),
        "number": lambda: st.integers(0, 600),
        "boolean": st.booleans,
        "null": st.none,
        "array": lambda: st.lists(of(schema.get("items", {})), max_size=3),
        "object": lambda: objects(schema),
        "any": lambda: junk,
    }
    return st.one_of([made[k]() for k in kinds])


def broken(values):
    """The same, with a member lost, put in, or of another kind."""

    @st.composite
    def breaks(draw):
        value = draw(values)
        if not isinstance(value, dict) or not value:
            return draw(junk)
        how = draw(st.integers(0, 2))
        name = draw(st.sampled_from(sorted(value)))
        if how == 0:
            return {k: v for k, v in value.items() if k != name}
        if how == 1:
            return {**value, draw(texts): draw(junk)}
        return {**value, name: draw(junk)}

    return breaks()


def pairs(parameter):
    """A query parameter as name=value pairs, right or wrong."""
    name, schema = parameter["name"], DOCUMENT.resolve(parameter["schema"])
    if parameter.get("style") == "deepObject":
        one = []
        for key, value in schema.get("properties", {"x": {}}).items():
            value = DOCUMENT.resolve(value)
            path = f"{name}[{key}]"
            if value.get("type") == "object":
                path, value = f"{path}[id]", {"type": "string"}
            values = value.get("items", value)
            one.append(st.tuples(st.just(path), often(of(values), texts, 4)))
        wrong = st.tuples(texts.map(lambda t: f"{name}[{t}]"), texts)
        return st.lists(often(st.one_of(one), wrong, 20), max_size=4)
    return st.lists(st.tuples(st.just(name), often(of(schema), texts, 4)), min_size=1, max_size=1)


def spell(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def bodies(operation):
    """(content type, bytes with {receiver} in it)."""
    wanted = operation.get("requestBody")
    if not wanted:
        return often(st.just((None, b"")), st.tuples(st.sampled_from(TYPES), st.sampled_from(RAW_BODIES)))
    content = wanted["content"]
    schema = next(iter(content.values()))["schema"]
    right = of(schema)
    dumps = st.one_of(right, right, right, broken(right)).map(
        lambda v: json.dumps(v).encode()
    )
    known = st.tuples(st.just(next(iter(content))), dumps)
    odd = st.tuples(st.sampled_from(TYPES), st.one_of(dumps, st.sampled_from(RAW_BODIES)))
    return often(known, odd, 5)


def requests_of(method, path, operation):
    parameters = [DOCUMENT.resolve(p) for p in operation.get("parameters", [])]
    in_path = {
        p["name"]: often(st.just(None), texts.filter(len), 5)
        for p in parameters if p["in"] == "path"
    }
    # What is required is mostly there; of the rest, some.
    query = [
        often(pairs(p), st.just([]), 6) if p.get("required")
        else often(st.just([]), pairs(p), 12 if p["name"] == "_method" else 3)
        for p in parameters if p["in"] == "query"
    ]
    chosen = st.tuples(*query).map(
        lambda lists: [pair for part in lists for pair in part]
    )
    headers = st.fixed_dictionaries({}, optional={
        p["name"]: texts.map(lambda t: quote(t)[:200])
        for p in parameters if p["in"] == "header" and not p.get("required")
    })
    return st.fixed_dictionaries({
        "method": often(st.just(method), st.sampled_from(["put", "options"]), 40),
        "path": st.just(path),
        "operation": st.just(operation["operationId"]),
        "served_by": st.just(operation["x-served-by"]),
        "in_path": st.fixed_dictionaries(in_path),
        "pick": st.integers(0, 1000),
        "query": chosen,
        "headers": headers,
        "body": bodies(operation),
        "fault": often(st.none(), st.sampled_from(FAULTS), 10),
    })


def requests():
    return st.one_of([requests_of(m, p, o) for m, p, o in DOCUMENT.operations()])


def target(request, known):
    """The path and query, with what is known in the place of what is None."""
    path = request["path"]
    for name, value in request["in_path"].items():
        if value is None:
            value = known(name, request)
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    query = "&".join(f"{quote(k)}={quote(spell(v))}" for k, v in request["query"])
    return f"{path}?{query}" if query else path
