"""A delivery URL that nobody answers at, and one that nobody calls: the write is
answered within the validation's 10 s, disabled, and says why."""
import concurrent.futures
import socket
import time

import pytest

BOUND_S = 15  # the 10 s, the write itself, and a busy machine
FAILED = "delivery_url_validation_failed"


@pytest.fixture
def silent():
    """Takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as s:
        yield f"http://127.0.0.1:{s.getsockname()[1]}/"


def create(app, url):
    began = time.monotonic()
    body = {"delivery_url": url, "status": "enabled", "events": ["*"], "unified_api": "crm"}
    answer = app.call("POST", "/webhook/webhooks", body)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"], time.monotonic() - began


def test_validation_is_bounded_whoever_is_missing(make_stack, receiver, silent):
    whole, without = make_stack().start(), make_stack()
    without.start("api", "logger", "router", "ingest")
    working = whole.app.subscribe(receiver.url)
    changed = f"/webhook/webhooks/{working['id']}"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        hangs = pool.submit(create, whole.app, silent)
        nobody = pool.submit(create, without.app, receiver.url)
        patched = pool.submit(whole.app.call, "PATCH", changed, {"delivery_url": silent})
        # Others do not wait for it.
        assert whole.app.subscribe(receiver.url)["status"] == "enabled"
        assert not hangs.done() and not nobody.done()
    patched = patched.result().json()["data"]
    assert patched["delivery_url"] == silent
    for app, data, cause in (
        (whole.app, hangs.result()[0], "timeout"),
        (whole.app, patched, "timeout"),
        (without.app, nobody.result()[0], "not called: no deliverer is connected"),
    ):
        assert (data["status"], data["disabled_reason"]) == ("disabled", FAILED)
        path = f"/webhook/webhooks/{data['id']}"
        settings = app.call("GET", path + "/settings").json()["data"]
        assert settings["disabled_cause"].startswith(cause)
        assert f'validation=failed cause="{cause}' in app.stack["api"].log()
    assert hangs.result()[1] < BOUND_S and nobody.result()[1] < BOUND_S

    without.start("deliverer")
    path = f"/webhook/webhooks/{nobody.result()[0]['id']}"
    data = without.app.call("PATCH", path, {"delivery_url": receiver.url + "/2"}).json()["data"]
    assert (data["status"], data["disabled_reason"]) == ("enabled", "none")
