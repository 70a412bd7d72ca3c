"""100 endpoints of which 40 hang: the other 60 get everything meanwhile."""
import time

from harness.wait import wait_until

ENDPOINTS = 100
HANGING = 40
EVENTS = 50


def path(i):
    return f"/hang/{i}" if i < HANGING else f"/fine/{i}"


def test_hanging_endpoints_hold_nobody_up(make_stack, load_receiver):
    stack = make_stack(settings={"SLUICE_DRAIN": "1s"}).start()
    app = stack.app
    for i in range(ENDPOINTS):
        app.subscribe(load_receiver.url + path(i))
    begin = time.monotonic()
    for n in range(EVENTS):
        answer = app.publish(
            {
                "event_type": "crm.lead.created",
                "entity_id": str(n),
                "entity_type": "lead",
            }
        )
        assert answer.status_code == 200, answer.text

    wanted = EVENTS * (ENDPOINTS - HANGING)

    def fine():
        return sum(r[2].startswith("/fine/") for r in load_receiver.rows())

    # Far below the 60 s after which a hanging attempt is given up.
    wait_until(lambda: fine() >= wanted, 30, lambda: f"{fine()} of {wanted}")
    took = time.monotonic() - begin
    assert fine() == wanted
    keys = [r[3] for r in load_receiver.rows() if r[2].startswith("/fine/")]
    assert len(set(keys)) == wanted
    hung = sum(r[2].startswith("/hang/") for r in load_receiver.rows())
    print(f"{wanted} deliveries in {took:.1f} s beside {hung} hanging attempts")
