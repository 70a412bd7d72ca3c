"""A client of the second face, for tests: JSON:API documents in and out."""
import json

import requests

from harness import openapi

MEDIA = "application/vnd.api+json"
TYPE = "notification/webhooks"
PATH = "/api/v3/notification/webhooks"
LOGIN = "/api/v3/iam/auth/api/login"


class Client:
    def __init__(self, stack, key, media=MEDIA):
        self.url = stack.api_url
        self.media = media
        self.session = requests.Session()
        if key:
            self.session.headers["Authorization"] = f"Bearer {key}"

    def call(self, method, path, body=None, **more):
        headers = {"Content-Type": self.media} if body is not None else {}
        data = None if body is None else json.dumps(body)
        answer = self.session.request(
            method, self.url + path, data=data, headers=headers, timeout=60, **more
        )
        if answer.status_code != 204:
            assert answer.headers["content-type"] == MEDIA, answer.text
        openapi.check(answer)
        return answer

    def list(self, **params):
        answer = self.call("GET", PATH, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, **params):
        return [int(row["id"]) for row in self.list(**params)["data"]]

    def post(self, **attributes):
        return self.call("POST", PATH, document(attributes))

    def create(self, url, events=("*",), **more):
        answer = self.post(url=url, events=list(events), **more)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]

    def get(self, number, **params):
        return self.call("GET", f"{PATH}/{number}", params=params)

    def patch(self, number, **attributes):
        return self.call("PATCH", f"{PATH}/{number}", document(attributes))

    def delete(self, number):
        return self.call("DELETE", f"{PATH}/{number}")

    def test(self, number):
        return self.call("POST", f"{PATH}/test/{number}")


def document(attributes, **more):
    return {"data": {"type": TYPE, "attributes": attributes, **more}}


def errors(answer, status):
    """Checks the shape, returns [(where, detail)]."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["errors"] and body["errors"]
    found = []
    for error in body["errors"]:
        assert int(error["status"]) == status
        assert error["title"] and isinstance(error["title"], str)
        assert error["detail"] and isinstance(error["detail"], str)
        found.append((*error.get("source", {"": ""}).values(), error["detail"]))
    return found
