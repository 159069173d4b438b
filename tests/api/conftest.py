"""People with clients, and a router's step that the tests take when they want it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from rest_framework.test import APIClient

from accounts.models import Bot, User
from chatproject import container
from messaging.domain import ids
from messaging.ports import TOPIC_MESSAGES, Record
from messaging.router.apply import Applier


class Person:
    """A signed-in user of the API."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.id = ids.UserId(user.pk)
        self.ref = ids.user_ref(user.pk)
        self.client = APIClient()
        self.client.force_authenticate(user=user)

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(f"/v1/{path}", params)

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(f"/v1/{path}", body, format="json")

    def put(self, path: str, body: Any) -> Any:
        return self.client.put(f"/v1/{path}", body, format="json")

    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(f"/v1/{path}", body, format="json")

    def delete(self, path: str) -> Any:
        return self.client.delete(f"/v1/{path}")

    def dm(self, other: "Person") -> str:
        return str(self.post("conversations", {"type": "dm", "members": [other.ref]}).json()["id"])

    def group(self, *others: "Person", name: str = "Group") -> str:
        body = {"type": "group", "members": [other.ref for other in others], "name": name}
        return str(self.post("conversations", body).json()["id"])

    def say(self, conversation: str, text: str = "hello", **more: Any) -> Any:
        return self.post(f"conversations/{conversation}/messages", {"msg_id": str(uuid4()), "body": text, **more})

    def texts(self, conversation: str, **params: Any) -> list[str]:
        """What the person can read of a conversation, newest first, events aside."""
        results = self.get(f"conversations/{conversation}/messages", **params).json()["results"]
        return [message["body"] for message in results if message["kind"] == "text"]


@pytest.fixture
def bot_of(make_user: Callable[..., User]) -> Callable[..., Bot]:
    """Return ``bot_of(owner=None, *, username="robbie", **fields) -> accounts.models.Bot``; without owner, for all."""

    def make(owner: Person | None = None, *, username: str = "robbie", **fields: Any) -> Bot:
        user = make_user(username, is_bot=True)
        return Bot.objects.create(user=user, owner=None if owner is None else owner.user, **fields)

    return make


@pytest.fixture
def person(make_user: Callable[..., User]) -> Callable[..., Person]:
    return lambda *args, **fields: Person(make_user(*args, **fields))


@pytest.fixture
def ann(person: Callable[..., Person]) -> Person:
    return person("ann", display_name="Ann Arbor")


@pytest.fixture
def bob(person: Callable[..., Person]) -> Person:
    return person("bob", display_name="Bob Brook")


@pytest.fixture
def cat(person: Callable[..., Person]) -> Person:
    return person("cat")


@pytest.fixture
def route(db: None) -> Callable[[], None]:
    """Return a function that stores everything which is in the log and not stored yet, as the router does."""
    applier = Applier(messages=container.message_store(), conversations=container.conversation_store())
    reader = None

    async def read() -> list[Record]:
        nonlocal reader
        if reader is None:
            await container.message_log().start()
            reader = container.message_log().reader(TOPIC_MESSAGES, group="tests")
        return await reader.poll(max_records=500, timeout_s=0)

    def step() -> None:
        while records := async_to_sync(read)():
            applier.apply(records)

    return step


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Hold a response to be a complete problem, and return its body."""
    body: dict[str, Any] = response.json()
    assert (response.status_code, body.get("code")) == (status, code), body
    assert response["Content-Type"] == "application/problem+json"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body
