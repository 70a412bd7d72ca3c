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


def test_event_right_after_subscription(make_stack, load_receiver):
    stack = make_stack(counts={"router": 2}, apps=APPS)
    proxy = Proxy(f"{stack.folder}/cut.sock", stack.link("api"))
    stack["router2"].environment["SLUICE_API_PEERS"] = proxy.address
    stack.start()
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
    stale = sum(stack[r].metric("sluice_router_stale_total") for r in ("router", "router2"))
    print(f"{ROUNDS} subscriptions and events, {stale:.0f} stale plans matched again")
    assert stale > 0  # the one that was cut off was asked, and not believed
    proxy.close()
