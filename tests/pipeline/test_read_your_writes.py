"""A subscription works from the moment its creation is answered.

Two routers; the link of one to the api goes through a proxy that is frozen for
a while, so that it plans with an old directory and must not be believed.
"""
import threading

from harness.proxy import Proxy
from harness.wait import wait_until

ROUNDS = 1000
APPS = [f"app-{i}" for i in range(10)]
# One subscription each of these, so that an event meets few of the others.
KINDS = [
    f"accounting.{what}.{verb}"
    for what in (
        "customer invoice invoice_item ledger_account tax_rate bill bill_payment"
        " payment supplier purchase_order credit_note expense quote project"
    ).split()
    for verb in ("created", "updated", "deleted")
]


def one_round(app, url, i, errors):
    """Creates a subscription and at once an event only it is meant for."""
    kind = KINDS[i // len(APPS) % len(KINDS)]
    app.subscribe(f"{url}/{app.id}/{i}", events=[kind], unified_api="accounting")
    answer = app.publish(
        {"event_type": kind, "entity_id": f"e-{i}", "entity_type": "thing"}
    )
    if answer.status_code != 200:
        errors.append((i, answer.status_code, answer.text))


def cut_off(make_stack, apps):
    """Two routers, and what the second one hears the api through."""
    stack = make_stack(counts={"router": 2}, apps=apps)
    proxy = Proxy(f"{stack.folder}/cut.sock", stack.link("api"))
    stack["router2"].environment["SLUICE_API_PEERS"] = proxy.address
    return stack.start(), proxy


def stale_plans(stack):
    return sum(stack[r].metric("sluice_router_stale_total") for r in ("router", "router2"))


def test_event_right_after_subscription(make_stack, load_receiver):
    stack, proxy = cut_off(make_stack, APPS)
    errors = []

    def work(worker):
        for i in range(worker, ROUNDS, 4):
            if i == ROUNDS // 4 // 4 * 4:
                proxy.freeze()
            if i == ROUNDS * 3 // 4 // 4 * 4:
                proxy.resume()
            try:
                one_round(stack.apps[i % len(APPS)], load_receiver.url, i, errors)
            except Exception as error:  # the thread's only way to say so
                errors.append((i, repr(error)))

    threads = [threading.Thread(target=work, args=(w,)) for w in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    proxy.resume()
    assert not errors, errors[:5]

    def missing():
        seen = {
            (path, body)
            for path, body in (
                (r[2], r[5].split(b'"entity_id":"', 1)[1].split(b'"', 1)[0].decode())
                for r in load_receiver.rows()
            )
        }
        return [
            i
            for i in range(ROUNDS)
            if (f"/{APPS[i % len(APPS)]}/{i}", f"e-{i}") not in seen
        ]

    wait_until(lambda: not missing(), 40, lambda: f"missing: {missing()[:20]}")
    stale = stale_plans(stack)
    print(f"{ROUNDS} subscriptions and events, {stale:.0f} stale plans matched again")
    assert stale > 0  # the one that was cut off was asked, and not believed
    proxy.close()


LEAD = {"event_type": "crm.lead.created", "entity_id": "1", "entity_type": "lead"}
# What is written about a webhook, and what becomes of an event right after it.
WRITES = {
    "deleted": (lambda app, path: app.call("DELETE", path), []),
    "other events": (lambda app, path: app.call("PATCH", path, {"events": ["ats.*"]}), []),
    "other scopes": (
        lambda app, path: app.call("PATCH", path + "/settings", {"scopes": {"consumer_id": ["c"]}}),
        [],
    ),
    "disabled": (lambda app, path: app.call("PATCH", path, {"status": "disabled"}), ["held"]),
    "more events": (
        lambda app, path: app.call("PATCH", path, {"events": ["ats.*", "crm.lead.created"]}),
        ["delivered"],
    ),
}


def test_event_right_after_any_other_write(make_stack, load_receiver):
    """Applications enough that some are the cut-off router's."""
    names = [f"{what}-{i}".replace(" ", "-") for what in WRITES for i in range(4)]
    stack, proxy = cut_off(make_stack, names)
    writes = [w for w in WRITES.values() for _ in range(4)]
    # At first, just those that are to see none see it.
    hooks = [
        app.subscribe(
            f"{load_receiver.url}/{app.id}",
            events=[] if wanted == ["delivered"] else [LEAD["event_type"]],
        )
        for app, (_, wanted) in zip(stack.apps, writes)
    ]
    proxy.freeze()
    events = []
    for app, hook, (write, _) in zip(stack.apps, hooks, writes):
        assert write(app, f"/webhook/webhooks/{hook['id']}").status_code == 200
        answer = app.publish(LEAD)
        assert answer.status_code == 200
        events.append(answer.json()["data"]["event_ids"][0])
    # The cut-off router has asked in vain.
    wait_until(lambda: stale_plans(stack) > 0, 20, "a stale plan")
    proxy.resume()

    def seen(app, event):
        answer = app.call("GET", f"/webhook/events/{event}")
        return [d["state"] for d in answer.json()["data"]["deliveries"]] if answer.ok else None

    for app, event, (_, wanted) in zip(stack.apps, events, writes):
        wait_until(
            lambda: seen(app, event) == wanted, 20, lambda: f"{app.id}: {seen(app, event)}"
        )
    proxy.close()
