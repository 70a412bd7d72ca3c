"""The connectors that come with it, each with the body that its vendor shows as
a sample, signed by Python's own library as the vendor signs."""
import base64
import json
import time

import pytest

from harness.paths import ROOT
from harness.seal import seal
from harness.signature import hubspot, sign, sign_base64
from harness.stack import COMPLAINTS

from ingest.alone import ENTRIES, Alone, body_of, connection, wait_events

SECRET = "user:pass of 17"
PUBLIC = "https://in.example.com"
APIS = {"hubspot": "crm", "shopify": "ecommerce", "xero": "accounting",
        "quickbooks": "accounting", "pipedrive": "crm", "github": "issue-tracking",
        "stripe": "accounting", "slack": "team-messaging", "dropbox": "file-storage",
        "greenhouse": "ats", "onedrive": "file-storage"}


def entries(master):
    sealed = seal(master, "secret:1", SECRET.encode())
    return ENTRIES + [connection(50 + n, service=service, api=api, secret=sealed)
                      for n, (service, api) in enumerate(APIS.items())]


@pytest.fixture(scope="module")
def alone():
    one = Alone(entries, {"SLUICE_INGEST_PUBLIC_URL": PUBLIC,
                          "SLUICE_CONNECTORS": f"{ROOT}/ingest/connectors"})
    try:
        yield one.start()
        one.stop()
        assert not COMPLAINTS.search(one.process.log())
    finally:
        one.close()


@pytest.fixture
def call(alone):
    """call(service, body, headers): what became of it, as (type, payload)s."""
    router = alone.router()

    def send(service, body, headers=None, status=200):
        text = body if isinstance(body, str) else json.dumps(body)
        target = path(alone, service)
        sent = {"Content-Type": "application/json", **(headers or {})}
        before = alone.accepted()
        # Unsigned, wrongly signed, and with one byte more: nothing.
        for bad in ({}, signed(service, target, text + " ")):
            if bad and service in ("pipedrive", "onedrive"):
                continue  # a token is right whatever the body is
            answer = alone.post(target, unsigned(service, text), headers={**sent, **bad})
            assert answer.status_code == 401, (service, bad)
            assert answer.json()["type_name"] == "ConnectorCredentialsError"
        assert alone.accepted() == before
        answer = alone.post(target, text, headers={**sent, **signed(service, target, text)})
        assert answer.status_code == status, answer.text
        count = alone.accepted() - before
        assert count >= 0
        got = wait_events(router, len(seen) + count)[len(seen):]
        seen.extend(got)
        send.answer = answer
        return [(e["event_type"], body_of(e)[1]) for e in got]

    seen = []
    yield send
    router.close()
    alone.routers.remove(router)


def path(alone, service):
    return f"/webhook/w/{alone.token(f'look-{50 + list(APIS).index(service)}')}/{service}"


def unsigned(service, text):
    """OneDrive's token is in the body."""
    return text.replace(SECRET, "x") if service == "onedrive" else text


def signed(service, target, text):
    body, now = text.encode(), int(time.time())
    return {
        "hubspot": lambda: hubspot(SECRET, PUBLIC + target, text),
        "shopify": lambda: {"X-Shopify-Hmac-Sha256": sign_base64(SECRET, body)},
        "xero": lambda: {"x-xero-signature": sign_base64(SECRET, body)},
        "quickbooks": lambda: {"intuit-signature": sign_base64(SECRET, body)},
        "pipedrive": lambda: {
            "Authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()},
        "github": lambda: {"X-Hub-Signature-256": "sha256=" + sign(SECRET, body)},
        "stripe": lambda: {"Stripe-Signature": f"t={now},v1={'0' * 64},v1="
                           + sign(SECRET, f"{now}.{text}".encode()) + ",v0=1"},
        "slack": lambda: {"X-Slack-Request-Timestamp": str(now),
                          "X-Slack-Signature": "v0=" + sign(SECRET, f"v0:{now}:{text}".encode())},
        "dropbox": lambda: {"X-Dropbox-Signature": sign(SECRET, body)},
        "greenhouse": lambda: {"Signature": "sha256 " + sign(SECRET, body)},
        "onedrive": lambda: {},
    }[service]()


def names(events):
    return [(kind, payload.get("entity_id")) for kind, payload in events]


def test_hubspot(call):
    body = [{"eventId": 1, "subscriptionId": 12345, "portalId": 62515,
             "occurredAt": 1564113600000, "subscriptionType": "contact.creation",
             "attemptNumber": 0, "objectId": 123, "changeSource": "CRM", "changeFlag": "NEW",
             "appId": 54321}]
    assert names(call("hubspot", body)) == [("crm.contact.created", "123")]


def test_shopify(call):
    head = {"X-Shopify-Topic": "orders/create", "X-Shopify-Shop-Domain": "a.myshopify.com",
            "X-Shopify-Event-Id": "98880550-7158-44d4-b7cd-2c97c8a091b5"}
    body = {"id": 820982911946154508, "created_at": "2021-12-31T19:00:00-05:00"}
    ((kind, payload),) = call("shopify", body, head)
    assert (kind, payload["entity_id"]) == ("ecommerce.order.created", "820982911946154508")
    assert payload["occurred_at"] == "2022-01-01T00:00:00.000Z"


def xero(**more):
    return {"resourceUrl": "https://api.xero.com/api.xro/2.0/Contacts/717f2bfc",
            "resourceId": "717f2bfc-c6d4-41fd-b238-3f2f0c0cf777",
            "eventDateUtc": "2025-10-21T01:15:39.902", "eventType": "UPDATE",
            "eventCategory": "CONTACT", "tenantId": "c2cc9b6e-9458-4c7d-93cc-f02b81b0594f",
            "tenantType": "ORGANISATION", **more}


def test_xero(call):
    events = [xero(), xero(eventType="Create", eventCategory="INVOICE"),
              xero(eventCategory="SUBSCRIPTION")]
    got = call("xero", {"events": events, "firstEventSequence": 1, "lastEventSequence": 3,
                        "entropy": "FMLHZNKCVK"})
    assert names(got) == [(kind, xero()["resourceId"]) for kind in (
        "accounting.customer.updated", "accounting.invoice.created")]
    assert got[0][1]["occurred_at"] == "2025-10-21T01:15:39.902Z"
    # It wants 200 without a body, and an id is there all the same.
    assert call.answer.content == b"" and call.answer.headers["request-id"]


def test_xero_intent_to_receive(call):
    """200 when rightly signed, 401 when not, which call() sees to."""
    for entropy in ("S0m3r4Nd0mt3xt", "FMLHZNKCVK"):
        body = {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": entropy}
        assert call("xero", body) == []
        assert call.answer.content == b""


def test_quickbooks(call):
    event = {"specversion": "1.0", "id": "88cd52aa-33b6-4351-9aa4-47572edbd068",
             "source": "intuit.dsnB=", "type": "qbo.account.created.v1",
             "datacontenttype": "application/json", "time": "2025-09-10T21:31:25.179851517Z",
             "intuitentityid": "1234", "intuitaccountid": "310687", "data": {}}
    events = [event, {**event, "id": "2", "type": "qbo.billpayment.deleted.v1"},
              {**event, "id": "3", "type": "qbo.budget.created.v1"}]
    got = call("quickbooks", events, {"Content-Type": "application/cloudevents-batch+json"})
    assert names(got) == [("accounting.ledger_account.created", "1234"),
                          ("accounting.bill_payment.deleted", "1234")]
    assert got[0][1]["occurred_at"] == "2025-09-10T21:31:25.179Z"
    # The form before: its events are nested in lists, and have no names.
    assert call("quickbooks", {"eventNotifications": [{"realmId": "310687", "dataChangeEvent": {
        "entities": [{"id": "1234", "operation": "Create", "name": "Account",
                      "lastUpdated": "2025-09-08T20:52:31.657Z"}]}}]}) == []


def test_pipedrive(call):
    body = {"meta": {"action": "change", "entity": "deal", "version": "2.0",
                     "company_id": 12882925, "user_id": 18487521, "entity_id": 1,
                     "webhook_id": 99, "attempt": 1, "host": "company.pipedrive.com"},
            "data": {"id": 1, "title": "test deal"}, "previous": None}
    assert names(call("pipedrive", body)) == [("crm.opportunity.updated", "1")]


def test_github(call):
    body = {"action": "opened", "issue": {"id": 7, "updated_at": "2026-01-31T18:42:00Z"},
            "repository": {"id": 1}}
    head = {"X-GitHub-Event": "issues", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab"}
    ((kind, payload),) = call("github", body, head)
    assert (kind, payload["entity_id"]) == ("issue-tracking.ticket.created", "7")
    assert payload["occurred_at"] == "2026-01-31T18:42:00.000Z"
    assert call("github", {"zen": "Design for failure.", "hook_id": 1},
                {"X-GitHub-Event": "ping"}) == []
    assert call("github", {"action": "opened"}, {"X-GitHub-Event": "pull_request"}) == []


def test_stripe(call):
    body = {"id": "evt_1", "object": "event", "type": "customer.updated", "created": 1564113600,
            "account": "acct_1", "data": {"object": {"id": "cus_1"}}}
    ((kind, payload),) = call("stripe", body)
    assert (kind, payload["entity_id"]) == ("accounting.customer.updated", "cus_1")
    assert payload["occurred_at"] == "2019-07-26T04:00:00.000Z"


def test_slack(call):
    challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
    body = {"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": challenge,
            "type": "url_verification"}
    assert call("slack", body) == []
    assert call.answer.text == challenge
    assert call.answer.headers["content-type"] == "text/plain"
    assert call("slack", {"type": "event_callback", "event_id": "Ev1",
                          "event": {"type": "message"}}) == []


def test_dropbox(alone, call):
    assert call("dropbox", '{"delta": {"users": [12345]}}') == []
    answer = alone.session.get(alone.url + path(alone, "dropbox"), params={"challenge": "c 1"})
    assert (answer.status_code, answer.text) == (200, "c 1")


def test_greenhouse(call):
    body = {"action": "candidate_hired", "payload": {"application": {
        "id": 69306314, "candidate_id": 57683957, "status": "hired"}}}
    head = {"Greenhouse-Event-ID": "1234"}
    assert names(call("greenhouse", body, head)) == [("ats.application.updated", "69306314")]


def test_onedrive(call):
    item = {"subscriptionId": "7f105c7d", "clientState": SECRET, "changeType": "updated",
            "resource": "me/drive/root", "tenantId": "84bd8158"}
    assert names(call("onedrive", {"value": [item]})) == [("file-storage.drive.updated", None)]
