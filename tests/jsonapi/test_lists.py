"""Pages, filters, orders and sparse fields."""
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .client import PATH, TYPE, Client, errors

MANY = 2500
OPS = "eq neq in lt lte gt gte exists prefix suffix match contains".split()
FIELDS = "id account_id name url secret events scopes created_at updated_at".split()


def test_many_by_pages(world, app):
    def make(i):
        one = clients[i % len(clients)]
        return int(one.create(f"http://127.0.0.1:9/{i}", name=f"n{i:05}")["id"])

    clients = [Client(world[0], app.key) for _ in range(8)]
    with ThreadPoolExecutor(len(clients)) as pool:
        made = sorted(pool.map(make, range(MANY)))
    one = clients[0]
    for size in (1000, 333, 2500 // 4):
        seen, number = [], 1
        while True:
            rows = one.ids(**{"page[size]": size, "page[number]": number})
            seen += rows
            number += 1
            if len(rows) < size:
                break
        assert seen == made
    assert len(one.ids()) == 1000
    assert one.ids(**{"page[number]": 4}) == []
    for number, count, more in ((1, 1000, True), (2, 2000, True), (3, 2500, False)):
        page = one.list(**{"page[number]": number, "count": "true"})
        assert page["meta"] == {"count": count, "more": more}
    page = one.list(**{"page[size]": 10, "page[number]": 201, "count": "true"})
    assert page["meta"] == {"count": 2500, "more": False} and len(page["data"]) == 10
    page = one.list(**{"page[number]": 9, "count": "true"})
    assert page["meta"] == {"count": 2500, "more": False}
    assert "meta" not in one.list(**{"page[size]": 1, "count": "false"})
    found = one.list(**{"filter[name__prefix]": "N024", "sort": "-name", "count": 1})
    names = [row["attributes"]["name"] for row in found["data"]]
    assert names == [f"n{i:05}" for i in range(2499, 2399, -1)]
    assert found["meta"] == {"count": 100, "more": False}


WRONG = [
    ("page[size]", v) for v in ("0", "1001", "-1", "x", "", "1.5", "99999999999999999999")
]
WRONG += [("page[number]", v) for v in ("0", "-1", "x", "99999999999999999999")]
WRONG += [("sort", v) for v in ("color", "name,color", "secret", "--name", "na me")]
WRONG += [("count", "maybe")]
WRONG += [("filter[id]", "x"), ("filter[id__lt]", ""), ("filter[account_id]", "1.5")]
WRONG += [("filter[created_at]", "yesterday"), ("filter[updated_at__gt]", "")]
WRONG += [("filter[scopes]", "{"), ("filter[id__in]", "1,x")]


@pytest.mark.parametrize("name, value", WRONG)
def test_wrong_queries(client, name, value):
    found = errors(client.call("GET", PATH, params={name: value}), 422)
    assert found[0][0] == name


def test_what_is_unknown_is_ignored(client):
    made = client.create("http://127.0.0.1:9/a", secret="s", name="n")
    for query in (
        {"filter[color]": "red"},
        {"filter[name__like]": "x"},
        {"filter[secret__prefix]": "z"},
        {"filter[]": "x"},
        {"filter": "x"},
        {"include": "x"},
        {"fields[others][]": "x"},
        {"nothing": "x"},
    ):
        assert client.list(**query)["data"] == [made]
    found = errors(client.get(made["id"], **{"included[]": "account"}), 422)
    assert found[0][0] == "included[]"


def test_sparse_fields(client):
    made = client.create("http://127.0.0.1:9/a", name="n")
    key = f"fields[{TYPE}]"
    for query, names in (
        ({key + "[]": ["name", "url"]}, {"name", "url"}),
        ({key: "name,secret"}, {"name", "secret"}),
        ({key + "[]": ["nothing"]}, set()),
        ({key + "[]": ""}, set()),
    ):
        want = {n: made["attributes"][n] for n in names}
        row = {**made, "attributes": want}
        assert client.list(**query)["data"] == [row]
        assert client.get(made["id"], **query).json()["data"] == row


# ---- filters and orders, against what Python says


@pytest.fixture(scope="module")
def field(world):
    """Webhooks of all kinds, with a client of theirs."""
    app = world[0].make_app("filters")
    client = Client(world[0], app.key)
    for i in range(24):
        client.create(
            f"http://127.0.0.1:9/{'AaBb'[i % 4]}{i % 5}",
            ["crm.contact.created", "crm.lead.*", "*", "hris.employee.created"][i % 4 : i % 4 + 1]
            + (["crm.note.created"] if i % 3 == 0 else []),
            name=[None, "", "alpha", "Alpha 50%_x", "béta", "ALPHABET"][i % 6],
            secret=f"secret-{i % 7}",
            scopes=[
                {},
                {"consumer_id": ["a", "b"]},
                {"consumer_id": "a", "service_id": ["hubspot"]},
            ][i % 3],
        )
    app.subscribe("http://127.0.0.1:9/first", status="disabled")
    return client, client.list()["data"]


def has(row, name):
    return int(row["id"]) if name == "id" else row["attributes"][name]


def includes(whole, part):
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            k in whole and includes(whole[k], v) for k, v in part.items()
        )
    if isinstance(whole, list):
        parts = part if isinstance(part, list) else [part]
        return all(p in whole for p in parts)
    return whole == part


def text_holds(op, value, asked):
    return {
        "lt": value < asked,
        "lte": value <= asked,
        "gt": value > asked,
        "gte": value >= asked,
        "prefix": value.lower().startswith(asked.lower()),
        "suffix": value.lower().endswith(asked.lower()),
        "match": asked.lower() in value.lower(),
        "contains": asked in value,
    }.get(op, value == asked)


def one_holds(name, op, value, asked):
    if isinstance(value, int):
        if op in ("prefix", "suffix", "match", "contains"):
            return text_holds(op, str(value), asked)
        number = int(asked)
        return {
            "lt": value < number,
            "lte": value <= number,
            "gt": value > number,
            "gte": value >= number,
        }.get(op, value == number)
    if name == "scopes":
        if op == "contains":
            return includes(value, json.loads(asked))
        if op in ("eq", "neq", "in"):
            return value == json.loads(asked)
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return text_holds(op, text, asked)
    if isinstance(value, list):
        return any(text_holds("eq" if op == "contains" else op, v, asked) for v in value)
    return text_holds(op, value, asked)


def holds(row, name, op, asked):
    """asked: a list of texts."""
    value = has(row, name)
    empty = value in (None, "", [], {})
    if op == "exists":
        return empty != (asked[-1] not in ("", "0", "false"))

    def any_holds():
        for text in asked:
            if text == "" and op in ("eq", "neq"):
                if empty:
                    return True
            elif value is not None and one_holds(name, op, value, text):
                return True
        return False

    if op == "neq":
        return value is not None and not any_holds()
    return any_holds()


def values_of(rows, name, op):
    """What is worth asking for."""
    if op == "exists":
        return ["true", "false", "1", "0", ""]
    if name == "scopes":
        if op in ("eq", "neq", "in", "contains"):
            return [
                "{}",
                '{"consumer_id":["a","b"]}',
                '{"service_id":["hubspot"],"consumer_id":"a"}',
                '{"service_id":"hubspot"}',
                '{"consumer_id":["b","a"]}',
                '{"consumer_id":["a"]}',
                "null",
            ]
        return ['{"consumer_id":"a"', "{}", "hubspot", ']}', "["]
    if name == "events":
        return ["crm.contact.created", "crm.note.created", "*", "crm.", ".created", "x", "CRM"]
    values = sorted({has(r, name) for r in rows} - {None, ""})
    chosen = [str(v) for v in values[:: max(1, len(values) // 6)]]
    if name in ("name", "url", "secret"):
        chosen += ["alp", "A", "50%_", "%", "_", "é", "\\", "1", "zzz"]
        return chosen + ([""] if op in ("eq", "neq") else [])
    if op in ("prefix", "suffix", "match", "contains"):
        chosen += ["1", "Z", "2"]
    return chosen


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", FIELDS)
def test_every_operator_on_every_field(field, name, op):
    client, rows = field
    if name == "secret" and op not in ("eq", "in"):
        assert client.list(**{f"filter[{name}__{op}]": "secret-1"})["data"] == rows
        return
    values = values_of(rows, name, op)
    for value in values:
        want = [r for r in rows if holds(r, name, op, [value])]
        got = client.list(**{f"filter[{name}__{op}]": value})["data"]
        assert got == want, (name, op, value)
        if op == "eq":
            assert client.list(**{f"filter[{name}]": value})["data"] == want
    if op in ("eq", "neq", "in", "contains"):
        some = values[:3]
        want = [r for r in rows if holds(r, name, op, some)]
        assert client.list(**{f"filter[{name}__{op}][]": some})["data"] == want
    if op == "in" and name != "scopes":
        assert client.list(**{f"filter[{name}__in]": ",".join(some)})["data"] == want


def order(rows, keys):
    """As SQL orders: stable, nothing last, and first the other way round."""
    rows = sorted(rows, key=lambda r: int(r["id"]))
    for key in reversed(keys):
        name = key.lstrip("-")

        def rank(row):
            value = has(row, name)
            return (value is None, "" if value is None else value)

        rows = sorted(rows, key=rank, reverse=key.startswith("-"))
        if key.startswith("-"):  # reverse keeps equals in order, as wanted
            continue
    return rows


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    keys=st.lists(
        st.sampled_from(["id", "name", "url", "created_at", "updated_at", "account_id"]).flatmap(
            lambda n: st.sampled_from([n, "-" + n])
        ),
        min_size=1,
        max_size=3,
    ),
    size=st.integers(1, 30),
    terms=st.lists(
        st.tuples(
            st.sampled_from(["name", "url", "events", "created_at"]),
            st.sampled_from(["match", "contains", "prefix", "neq", "lt", "gte"]),
            st.integers(0, 20),
        ),
        max_size=2,
        unique_by=lambda t: t[:2],
    ),
)
def test_orders_filters_and_pages_together(field, keys, size, terms):
    client, rows = field
    query = {"sort": ",".join(keys), "page[size]": size}
    want = rows
    for name, op, pick in terms:
        values = values_of(rows, name, op)
        value = values[pick % len(values)]
        query[f"filter[{name}__{op}]"] = value
        want = [r for r in want if holds(r, name, op, [value])]
    want = order(want, keys)
    for number in range(len(want) // size + 1):
        got = client.list(**query, **{"page[number]": number + 1, "count": "true"})
        assert got["data"] == want[number * size : (number + 1) * size]
        assert got["meta"] == {"count": len(want), "more": False}


def test_two_fields(field):
    client, rows = field
    got = client.list(sort="-name,url")["data"]
    assert got == order(rows, ["-name", "url"])
    assert client.list(sort="webhooks.name,-id")["data"] == order(rows, ["name", "-id"])
