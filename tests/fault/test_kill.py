"""kill -9 of every process in turn, under load: nothing lost, and duplicates
only from a deliverer, at most what it had in flight."""
from harness.load import Load, Tally
from harness.stack import SANITIZED
from harness.wait import wait_until

EVENTS = 2500 if SANITIZED else 5000
RATE = 150 if SANITIZED else 400
ROUNDS = 1 if SANITIZED else 3
SLOTS = 64
ORDER = ("router", "logger", "deliverer", "api", "ingest")


def settle(load, tally, timeout=40):
    """Until everything accepted so far has arrived."""
    wanted = list(load.accepted)
    wait_until(
        lambda: not tally.missing(wanted),
        timeout,
        lambda: f"missing {len(tally.missing(wanted))} of {len(wanted)}:"
        f" {tally.missing(wanted)[:5]}",
    )
    return len(wanted)


def test_kill_each_in_turn(make_stack, load_receiver, capsys):
    stack = make_stack(settings={"SLUICE_DELIVERER_SLOTS": str(SLOTS)}).start()
    stack.app.subscribe(load_receiver.url + "/all")
    load = Load(stack.app, RATE)
    tally = Tally(load_receiver)
    kills = []
    for _ in range(ROUNDS):
        for name in ORDER:
            count = len(load.accepted) + 100
            wait_until(lambda: len(load.accepted) >= count, 20, "load goes on")
            before = tally.update().duplicates
            refused, broken = dict(load.refused), load.broken
            stack.kill(name)
            stack.start(name)
            accepted = settle(load, tally)
            kills.append((name, accepted, tally.duplicates - before))
            if name != "ingest":
                assert load.refused == refused, f"killed {name}: {load.refused}"
                assert load.broken == broken, f"killed {name}: calls broke"
    wait_until(lambda: len(load.accepted) >= EVENTS, 60, "enough events")
    load.stop()
    settle(load, tally)

    with capsys.disabled():
        print()
        for name, accepted, duplicates in kills:
            print(f"killed {name:9}: accepted {accepted:5}, duplicates {duplicates}")
        print(
            f"accepted {len(load.accepted)}, delivered {sum(tally.entities.values())}"
            f" of {len(tally.entities)} events, lost 0,"
            f" duplicates {tally.duplicates}, refused {load.refused},"
            f" unanswered {load.broken}"
        )
    for name, _, duplicates in kills:
        assert duplicates <= (SLOTS if name == "deliverer" else 0), (name, duplicates)
    assert tally.duplicates == sum(k[2] for k in kills)
    assert len(tally.keys) == len(tally.entities)
