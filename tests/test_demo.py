"""The demo is real: it goes through the log, and only into an empty database."""

import asyncio

import pytest
from django.contrib.auth import get_user_model

from chatproject import container
from messaging import demo
from messaging.domain.ids import UserId
from messaging.ports import TOPIC_MESSAGES


@pytest.mark.django_db(transaction=True)
def test_demo_people_chat_through_the_log() -> None:
    demo.create()
    assert demo.logins() == ["alice", "bob", "carol", "dave"]
    alice = get_user_model().objects.get(username="alice")
    assert len(container.conversation_store().inbox(UserId(alice.pk), limit=10)) == 3

    async def appended() -> int:
        return await container.message_log().lag(TOPIC_MESSAGES, group="router")

    assert asyncio.run(appended()) >= 40
    with pytest.raises(RuntimeError, match="nobody has an account"):
        demo.create()


@pytest.mark.django_db
def test_logins_are_shown_only_while_they_are_good(make_user: object) -> None:
    assert demo.logins() == []
