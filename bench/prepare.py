"""Accounts, tokens and conversations for a run, made before the server starts: ``python -m bench.prepare``.

Reads ``{"accounts": N, "conversations": [[account, …], …], "hot": {"index": k, …}}`` and writes
``{"tokens": […], "conversations": ["c_…", …]}``.
It writes through models and stores: signing ten thousand people up would take an Argon2 hash for each. Two members
make a DM. The environment says which stores.
"""

import json
import os
import sys
from typing import Any

import django


def _prepare(plan: dict[str, Any]) -> dict[str, Any]:
    from django.core.management import call_command
    from django.db import transaction

    from accounts.models import Device, User, new_token, token_digest
    from chatproject import container
    from messaging.domain.ids import ConversationId, UserId, conversation_ref, new_random_id, parse_conversation
    from messaging.domain.messages import ConversationType
    from messaging.ports import NewConversation

    call_command("migrate", verbosity=0, interactive=False)
    # "!": nobody signs in with a password here.
    users = [User(username=f"bench-{number}", password="!") for number in range(plan["accounts"])]
    tokens = [new_token() for _ in users]
    store = container.conversation_store()
    conversations = []
    with transaction.atomic():
        User.objects.bulk_create(users, batch_size=500)
        Device.objects.bulk_create(
            [
                Device(user=user, kind=Device.Kind.TOKEN, name="bench", token_digest=token_digest(token))
                for user, token in zip(users, tokens, strict=True)
            ],
            batch_size=500,
        )
        for accounts in plan["conversations"]:
            members = tuple(UserId(users[account].pk) for account in accounts)
            kind = ConversationType.DM if len(members) == 2 else ConversationType.GROUP_SMALL
            if len(members) > container.limits().max_group_small:
                kind = ConversationType.GROUP_LARGE
            new = NewConversation(ConversationId(new_random_id()), kind, members[0], members)
            conversations.append(conversation_ref(store.create(new)[0].id))
    for index, k in plan["hot"].items():
        store.set_hot(parse_conversation(conversations[int(index)]), k)
    return {"tokens": tokens, "conversations": conversations}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatproject.settings")
    django.setup()
    json.dump(_prepare(json.load(sys.stdin)), sys.stdout)
