"""What HubSpot sends: one array for several events."""


def event(object_id, kind="contact.creation"):
    return {
        "eventId": object_id,
        "subscriptionId": 12345,
        "portalId": 62515,
        "occurredAt": 1564113600000,
        "subscriptionType": kind,
        "attemptNumber": 0,
        "objectId": object_id,
        "changeSource": "CRM",
        "changeFlag": "NEW",
        "appId": 54321,
    }
