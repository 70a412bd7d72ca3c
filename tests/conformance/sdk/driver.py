"""Drives apideck-unify: a line of JSON in, {key, app, url, op, args}; a line of JSON
out, {value} or {error}. Its folder is in PYTHONPATH."""
import json
import sys
from datetime import datetime

from apideck_unify import Apideck


def told(value):
    return json.loads(value.model_dump_json(by_alias=True))


def every(page, part):
    data = []
    while page is not None:
        data += told(getattr(page, part))["data"]
        page = page.next()
    return {"data": data}


def lists(args):
    """As the SDK spells a list's arguments."""
    args = dict(args)
    filters = args.pop("filter", None)
    if filters:
        for key in ("start_date", "end_date"):
            if key in filters:
                filters[key] = datetime.fromisoformat(filters[key].replace("Z", "+00:00"))
        args["filter_"] = filters
    return args


def make(key, app, url):
    sdk = Apideck(
        server_url=url or sys.argv[1], api_key=key, app_id=app, consumer_id="", retry_config=None
    )
    hooks, logs = sdk.webhook.webhooks, sdk.webhook.event_logs
    return {
        "list": lambda a: told(hooks.list(**lists(a)).get_webhooks_response),
        "every": lambda a: every(hooks.list(**lists(a)), "get_webhooks_response"),
        "create": lambda a: told(hooks.create(**a["body"]).create_webhook_response),
        "get": lambda a: told(hooks.get(id=a["id"]).get_webhook_response),
        "update": lambda a: told(
            hooks.update(id=a["id"], **a["body"]).update_webhook_response
        ),
        "delete": lambda a: told(hooks.delete(id=a["id"]).delete_webhook_response),
        "logs": lambda a: told(logs.list(**lists(a)).get_webhook_event_logs_response),
        "every_log": lambda a: every(
            logs.list(**lists(a)), "get_webhook_event_logs_response"
        ),
    }


def main():
    clients = {}
    for line in sys.stdin:
        asked = json.loads(line)
        who = (asked["key"], asked["app"], asked.get("url"))
        ops = clients.setdefault(who, None) or make(*who)
        clients[who] = ops
        try:
            answer = {"value": ops[asked["op"]](asked.get("args") or {})}
        except Exception as e:  # whatever an SDK throws is an answer
            answer = {"error": {
                "class": type(e).__name__,
                "text": str(e),
                "status": getattr(e, "status_code", None),
                "retry_after": dict(getattr(e, "headers", {})).get("retry-after"),
                **(json.loads(e.data.model_dump_json()) if hasattr(e, "data") else {}),
            }}
        print(json.dumps(answer), flush=True)


main()
