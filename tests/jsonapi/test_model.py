"""One model behind both faces, and what its webhooks are sent."""
import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from conformance.sdk import install
from harness import openapi, signature
from harness.wait import wait_until

from .client import PATH, TYPE, Client

TYPES = ["crm.contact.created", "crm.lead.created", "hris.employee.created"]


def first_face(app):
    """By id of the first face."""
    rows, cursor = {}, None
    while True:
        params = {"limit": 200, **({"cursor": cursor} if cursor else {})}
        page = app.call("GET", "/webhook/webhooks", params=params).json()
        rows.update({r["id"]: r for r in page["data"]})
        cursor = page["meta"]["cursors"]["next"]
        if cursor is None:
            return rows


def same(one, two):
    """A webhook as both faces show it."""
    has = two["attributes"]
    return (
        one["description"] == has["name"]
        and one["delivery_url"] == has["url"]
        and one["events"] == has["events"]
        and one["created_at"] == has["created_at"]
        and one["updated_at"] == has["updated_at"]
    )


def event(kind="crm.contact.created", **more):
    return {"event_type": kind, "entity_id": "e", "entity_type": "thing", **more}


# ---- both faces


@pytest.mark.parametrize(
    "events, api",
    [
        (["hris.employee.created", "crm.*"], "hris"),
        (["file-storage.drive.updated"], "file-storage"),
        (["*"], "vault"),
        ([], "vault"),
    ],
)
def test_made_on_the_second(world, app, client, events, api):
    # Nobody is called before the first event.
    row = client.create(f"{world[1].url}/none", events, name="n")
    ((_, one),) = first_face(app).items()
    assert same(one, row) and one["unified_api"] == api
    assert one["status"] == "enabled" and one["disabled_reason"] == "none"
    assert not [d for d in world[1].validations if d.path == "/none"]
    path = f"/webhook/webhooks/{one['id']}"
    changed = app.call("PATCH", path, {"description": "m", "events": ["crm.note.created"]})
    assert same(changed.json()["data"], client.get(row["id"]).json()["data"])
    assert changed.json()["data"]["unified_api"] == api
    secret = client.get(row["id"]).json()["data"]["attributes"]["secret"]
    assert secret == row["attributes"]["secret"]
    assert app.call("DELETE", path).status_code == 200
    assert client.get(row["id"]).status_code == 404


def test_made_on_the_first(world, app, client):
    one = app.subscribe(f"{world[1].url}/first", events=["crm.contact.created"])
    (row,) = client.list()["data"]
    assert same(one, row)
    # The key of the application signs for it; that is not shown.
    assert row["attributes"]["secret"] is None and row["attributes"]["scopes"] == {}
    answer = client.patch(row["id"], name="x", url=f"{world[1].url}/moved")
    changed = first_face(app)[one["id"]]
    assert same(changed, answer.json()["data"])
    assert changed["unified_api"] == "crm" and changed["status"] == "enabled"
    # Events of another API do not move it there; "*" means everything here.
    client.patch(row["id"], events=["hris.employee.created"])
    assert first_face(app)[one["id"]]["unified_api"] == "crm"
    client.patch(row["id"], events=["*"])
    assert first_face(app)[one["id"]]["unified_api"] == "vault"
    app.publish([event(k, entity_id=k) for k in TYPES])
    world[1].wait_for(3, "/moved")
    client.delete(row["id"])
    assert first_face(app) == {}


def test_another_url_lifts_a_failed_validation(world, app, client):
    answer = app.call(
        "POST",
        "/webhook/webhooks",
        {
            "delivery_url": "http://127.0.0.1:9/",
            "status": "enabled",
            "events": ["*"],
            "unified_api": "crm",
        },
    ).json()["data"]
    assert answer["disabled_reason"] == "delivery_url_validation_failed"
    (row,) = client.list()["data"]
    client.patch(row["id"], name="n")
    assert first_face(app)[answer["id"]]["status"] == "disabled"
    client.patch(row["id"], url=f"{world[1].url}/right")
    one = first_face(app)[answer["id"]]
    assert one["status"] == "enabled" and one["disabled_reason"] == "none"


def test_eight_clients_on_both_faces(world, app, client):
    """Each changes its own webhook and the common ones; nothing gets lost."""
    receiver, rounds = world[1], 12
    common = [client.create(f"{receiver.url}/common", TYPES)["id"] for _ in range(3)]
    ids = {r["created_at"]: i for i, r in first_face(app).items()}
    texts = {
        n: ids[client.get(n).json()["data"]["attributes"]["created_at"]] for n in common
    }

    def work(seed):
        dice = random.Random(seed)
        mine = Client(world[0], app.key)
        theirs = type(app)(world[0], app.id, app.key)
        own = mine.create(f"{receiver.url}/own{seed}", ["crm.*"])["id"]
        for i in range(rounds):
            number = dice.choice(common + [own])
            if i % 2:
                answer = mine.patch(number, name=f"{seed}-{i}")
            else:
                answer = mine.patch(number, events=[dice.choice(TYPES)])
            assert answer.status_code == 200, answer.text
            path = f"/webhook/webhooks/{texts[dice.choice(common)]}"
            if i % 3:
                answer = theirs.call("PATCH", path, {"description": f"a{seed}-{i}"})
            else:
                answer = theirs.call("PATCH", path, {"events": [dice.choice(TYPES)]})
            assert answer.status_code == 200, answer.text
            short = mine.create(f"{receiver.url}/short", name=f"s{seed}-{i}")
            assert mine.delete(short["id"]).status_code == 204
        mine.patch(own, name=f"end-{seed}", scopes={"consumer_id": str(seed)})
        return own

    with ThreadPoolExecutor(8) as pool:
        own = list(pool.map(work, range(8)))
    rows = {r["id"]: r for r in client.list()["data"]}
    assert set(rows) == set(common) | set(own)
    ones = first_face(app).values()
    assert len(ones) == len(rows)
    for number, row in rows.items():
        has = row["attributes"]
        twins = [
            r
            for r in ones
            if r["created_at"] == has["created_at"] and r["delivery_url"] == has["url"]
        ]
        assert any(same(twin, row) for twin in twins), (row, twins)
        if number in own:
            assert has["name"] == f"end-{own.index(number)}"
            assert has["scopes"] == {"consumer_id": str(own.index(number))}
        assert has["secret"].startswith("whsec_")
    # What the router and the logger know is the same.
    kind = "crm.contact.created"
    wanted = sum(kind in rows[n]["attributes"]["events"] for n in [*common, own[5]])
    before = receiver.count()
    app.publish(event(kind, consumer_id="5", entity_id="last"))
    wait_until(lambda: receiver.count() - before >= wanted, 20, "deliveries")
    got = [d for d in receiver.deliveries() if d.payload["entity_id"] == "last"]
    assert len(got) == wanted
    assert {d.path for d in got} <= {"/common", "/own5"}


# ---- deliveries


def test_its_secret_signs(world, app, client):
    receiver = world[1]
    row = client.create(f"{receiver.url}/signed", TYPES, secret="first-secret")
    app.publish(event())
    (one,) = receiver.wait_for(1, "/signed")
    assert signature.raw_is_right("first-secret", one.body, one.signature)
    assert not signature.raw_is_right(app.key, one.body, one.signature)
    client.patch(row["id"], secret="second-secret")
    app.publish(event())
    two = receiver.wait_for(2, "/signed")[1]
    assert signature.raw_is_right("second-secret", two.body, two.signature)
    made = client.create(f"{receiver.url}/made", TYPES)["attributes"]["secret"]
    app.publish(event())
    (three,) = receiver.wait_for(1, "/made")
    assert signature.raw_is_right(made, three.body, three.signature)


def test_star_is_every_event(world, app, client):
    client.create(f"{world[1].url}/all", ["*"])
    app.publish([event(k, entity_id=k) for k in TYPES])
    app.connect()
    got = world[1].wait_for(4, "/all")
    assert {d.event_type for d in got} == {*TYPES, "vault.connection.created"}


SCOPES = [
    ({}, "abcd"),
    ({"consumer_id": "c1"}, "ab"),
    ({"consumer_id": ["c1", "c2"]}, "abc"),
    ({"service_id": ["xero"]}, "bd"),
    ({"entity_type": "contact"}, "ac"),
    ({"entity_id": ["1", "4"]}, "ad"),
    ({"unified_api": ["hris", "crm"]}, "abcd"),
    ({"unified_api": "hris"}, "d"),
    ({"consumer_id": ["c1", "c2"], "service_id": "xero"}, "b"),
    ({"consumer_id": "c1", "service_id": "xero", "entity_type": "contact"}, ""),
    ({"consumer_id": []}, ""),
    ({"consumer_id": "nobody"}, ""),
]
SCOPED = {
    "a": event(consumer_id="c1", service_id="hubspot", entity_type="contact", entity_id="1"),
    "b": event(consumer_id="c1", service_id="xero", entity_type="lead", entity_id="2"),
    "c": event(consumer_id="c2", service_id="hubspot", entity_type="contact", entity_id="3"),
    "d": event(
        "hris.employee.created",
        consumer_id="c9",
        service_id="xero",
        entity_type="employee",
        entity_id="4",
    ),
}


def test_scopes(world, app, client):
    """What is in scope arrives, what is not does not: the log says that no
    other delivery was even planned."""
    receiver = world[1]
    numbers = [
        client.create(f"{receiver.url}/scope{i}", ["*"], scopes=scopes)["id"]
        for i, (scopes, _) in enumerate(SCOPES)
    ]
    # Scopes that are changed count from then on.
    client.patch(numbers[-1], scopes={"entity_id": "2"})
    wanted = [arrives for _, arrives in SCOPES]
    wanted[-1] = "b"
    app.publish(list(SCOPED.values()))
    for i, arrives in enumerate(wanted):
        got = receiver.wait_for(len(arrives), f"/scope{i}")
        by_entity = {str(n + 1): letter for n, letter in enumerate("abcd")}
        assert sorted(by_entity[d.payload["entity_id"]] for d in got) == list(arrives)
    wait_until(
        lambda: all(r["success"] for r in app.logs()) and len(app.logs()) > 0,
        20,
        "the log",
    )
    assert len(app.logs()) == sum(map(len, wanted))
    for i, arrives in enumerate(wanted):
        assert receiver.count(f"/scope{i}") == len(arrives)


# ---- tests of a webhook


def test_test_of_a_webhook(world, app, client):
    receiver = world[1]
    row = client.create(
        f"{receiver.url}/tested", ["hris.employee.created"], secret="s", scopes={"consumer_id": "x"}
    )
    answer = client.test(row["id"])
    assert answer.status_code == 200 and answer.json()["success"] is True
    assert "200" in answer.json()["message"]
    (one,) = receiver.deliveries("/tested")
    assert one.event_type == "apideck.webhook.test"
    assert one.payload["unified_api"] == "hris"
    assert signature.raw_is_right("s", one.body, one.signature)
    assert signature.parsed_is_right("s", one.body, one.signature)
    (log,) = app.logs()
    assert log["success"] and log["event_type"] == "apideck.webhook.test"
    assert json.loads(log["request_body"]) == one.json
    # Disabled, it can be tested all the same.
    (text,) = first_face(app)
    app.call("PATCH", f"/webhook/webhooks/{text}", {"status": "disabled"})
    assert client.test(row["id"]).json()["success"] is True
    assert receiver.count("/tested") == 2
    assert first_face(app)[text]["status"] == "disabled"


def test_test_that_fails(world, app, client):
    receiver = world[1]
    receiver.answer("/fails", lambda d, n: 500)
    receiver.answer("/gone", lambda d, n: 410)
    for path, says in (("/fails", "500"), ("/gone", "410")):
        row = client.create(receiver.url + path, ["*"])
        answer = client.test(row["id"])
        assert answer.status_code == 200
        assert answer.json()["success"] is False and says in answer.json()["message"]
        assert receiver.count(path) == 1
    nobody = client.create("http://127.0.0.1:9/", ["vault.*"])
    answer = client.test(nobody["id"]).json()
    assert answer["success"] is False and "onnect" in answer["message"]
    assert all(r["status"] == "enabled" for r in first_face(app).values())
    assert [len(r["attempts"]) for r in app.logs()] == [1, 1, 1]
    assert not any(r["retry_scheduled"] for r in app.logs())


def test_test_that_hangs(world, client):
    receiver = world[1]
    receiver.hang("/hangs")
    answer = client.test(client.create(f"{receiver.url}/hangs")["id"])
    assert answer.status_code == 200 and answer.json()["success"] is False
    assert answer.json()["message"] and receiver.count("/hangs") == 1


# ---- somebody else's reader

READ = """
const folder = process.argv[1];
const {Jsona} = require(folder + "/node_modules/jsona");
let text = "";
process.stdin.on("data", (d) => text += d);
process.stdin.on("end", () => {
  const jsona = new Jsona();
  const all = JSON.parse(text).map((d) => jsona.deserialize(d));
  const one = all[0];
  process.stdout.write(JSON.stringify({
    all, written: jsona.serialize({stuff: {...one, name: "by jsona"}}),
  }));
});
"""


def test_a_client_from_npm_reads_our_documents(client):
    folder = install("node")
    made = client.create("http://127.0.0.1:9/", TYPES, name="n", scopes={"consumer_id": "a"})
    client.create("http://127.0.0.1:9/", ["crm.*"])
    documents = [
        client.get(made["id"]).json(),
        client.list(count="true"),
        client.list(**{f"fields[{TYPE}][]": "url"}),
        client.call("GET", PATH + "/events").json(),
    ]
    done = subprocess.run(
        ["node", "-e", READ, folder],
        input=json.dumps(documents), capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    one, all_of_them, sparse, events = result["all"]
    flat = {"type": TYPE, "id": made["id"], **made["attributes"]}
    assert one == flat
    assert all_of_them[0] == flat and len(all_of_them) == 2
    assert sparse[0] == {"type": TYPE, "id": made["id"], "url": flat["url"]}
    assert len(events) == 141 and events[0]["example"]["payload"]
    # And what it writes is taken.
    answer = client.call("PATCH", f"{PATH}/{made['id']}", result["written"])
    assert answer.status_code == 200, answer.text
    openapi.check(answer)
    assert answer.json()["data"]["attributes"]["name"] == "by jsona"
