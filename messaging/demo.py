"""People who chat, for somebody who wants to look around. Made on request and only into an empty database.

The messages go the way of every message: into the log; the router stores and delivers them when it runs. They are
therefore of today, as a message's id is made of the time at which the log took it.
"""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from django.contrib.auth import authenticate
from django.contrib.auth.hashers import check_password
from django.db import transaction

from accounts.models import User
from chatproject import container
from messaging.domain.ids import ConversationId, MessageId, UserId, server_id
from messaging.services.conversations import create_conversation
from messaging.services.send import send_message, validate_send

#: Of all demo people. Known to everybody: the demo is for a machine that others do not reach.
PASSWORD: Final = "chat-demo-1"  # noqa: S105  # no secret

#: Looks at the admin pages, and needs no second factor there: an address of this domain is nobody's.
ADMIN: Final = "admin"
_ADMIN_ADDRESS: Final = f"{ADMIN}@demo.invalid"

_PEOPLE: Final = {"alice": "Alice Okafor", "bob": "Bob Lindqvist", "carol": "Carol Reyes", "dave": "Dave Tanaka"}


@dataclass(frozen=True, slots=True)
class _Scene:
    """One conversation: its creator first, lines in order, and who has read all of it."""

    people: tuple[str, ...]
    name: str
    readers: tuple[str, ...]
    #: (who, what) or (who, what, which line it answers, counted from 0).
    lines: tuple[tuple[str, str] | tuple[str, str, int], ...]


_SCENES: Final = (
    _Scene(
        ("carol", "alice"),
        "",
        ("alice", "carol"),
        (
            ("carol", "Did you take my blue umbrella on Friday?"),
            ("alice", "I took *a* blue umbrella 😇"),
            ("carol", "Mine has a small dinosaur on the handle."),
            ("alice", "…"),
            ("alice", "He says hello. His name is Geoffrey now."),
            ("carol", "Bring Geoffrey home on Monday, please.", 4),
            ("alice", "He would like visiting rights."),
            ("carol", "Rainy weekends only ☔"),
        ),
    ),
    _Scene(
        ("alice", "bob", "carol", "dave"),
        "Lake weekend",
        ("alice", "carol", "dave"),
        (
            ("alice", "It is decided: the cabin by the lake, Friday to Sunday. Four beds, one canoe, no excuses."),
            ("dave", "One canoe for four people is a social experiment."),
            ("bob", "I volunteer to be the one who stays ashore with the coffee"),
            ("carol", "Bob has volunteered to stay near coffee at every event since 2019.", 2),
            ("bob", "A man needs principles ☕"),
            ("alice", "Who can drive? My car seats four if nobody brings a guitar."),
            ("dave", "…"),
            ("alice", "Dave. No."),
            ("dave", "It is a very small guitar"),
            ("carol", "It is a ukulele, and he knows two songs. I have counted.", 8),
            ("dave", "Two and a half."),
            ("bob", "Put it to a vote: ukulele yes or no?"),
            ("alice", "Yes, but never before breakfast."),
            ("carol", "Yes, outdoors, downwind."),
            ("bob", "Yes. The fish deserve culture 🐟"),
            ("dave", "I am moved. Learning the other half of the third song now."),
            (
                "alice",
                "Shopping list so far:\n• bread, cheese, apples\n• pancakes\n• charcoal\n• coffee (Bob's principle)",
            ),
            ("carol", "Add marshmallows and a torch. Last year we found the cabin by falling over it."),
            ("dave", "And plasters. For the same reason."),
            ("alice", "Leaving Friday at 16:00 sharp. For Dave: 15:30 sharp."),
            ("dave", "I see what you did there", 19),
        ),
    ),
    _Scene(
        ("bob", "dave"),
        "",
        ("bob", "dave"),
        (
            ("dave", "How is the sourdough?"),
            ("bob", "It has outgrown its jar and is looking at flats in town."),
            ("dave", "Can it pay rent?"),
            ("bob", "It makes its own dough. 🥁"),
            ("dave", "I walked into that one."),
        ),
    ),
    _Scene(
        ("bob", "alice"),
        "",
        ("bob",),
        (
            ("alice", "Can you look at the slides before ten tomorrow?"),
            ("bob", "Looking now. Slide 4 says “synergy” twice."),
            ("alice", "It was three times this morning. I am healing."),
            ("bob", "Proud of you 🌱"),
            ("bob", "Slide 9: is the chart upside down, or are we?"),
            ("bob", "Never mind, I had turned the laptop."),
            ("bob", "Ready from my side. See you at ten, I bring the coffee ☕"),
        ),
    ),
)


def create() -> None:
    """Make four people, three direct conversations, a group, and an admin; Alice has unread messages from Bob.

    Raises:
        RuntimeError: somebody has an account already.
    """
    with transaction.atomic():
        if User.objects.exists():
            raise RuntimeError("demo data is made only where nobody has an account yet")
        people = {
            username: User.objects.create_user(
                username, f"{username}@demo.invalid", PASSWORD, display_name=display_name
            )
            for username, display_name in _PEOPLE.items()
        }
        User.objects.create_superuser(ADMIN, _ADMIN_ADDRESS, PASSWORD, display_name="Admin of the demo")
    asyncio.run(container.message_log().start())
    ids = {username: UserId(user.pk) for username, user in people.items()}
    placed: list[tuple[_Scene, ConversationId]] = []
    for scene in _SCENES:
        creator, *others = scene.people
        conversation, _ = create_conversation(
            actor=ids[creator],
            type="group" if scene.name else "dm",
            members=[ids[username] for username in others],
            name=scene.name,
        )
        placed.append((scene, conversation.id))
    marks = asyncio.run(_send_all(placed, ids))
    container.conversation_store().mark_read(marks)


async def _send_all(
    placed: list[tuple[_Scene, ConversationId]], ids: dict[str, UserId]
) -> list[tuple[UserId, ConversationId, MessageId]]:
    log = container.message_log()
    marks: list[tuple[UserId, ConversationId, MessageId]] = []
    for scene, conversation in placed:
        sent: list[MessageId] = []
        for number, line in enumerate(scene.lines):
            username, text, *answered = line
            message = validate_send(
                sender=ids[username],
                conversation=conversation,
                msg_id=str(uuid5(NAMESPACE_URL, f"demo:{conversation}:{number}")),
                body=text,
                media=[],
                reply_to=server_id(conversation, sent[answered[0]]) if answered else None,
                limits=container.limits(),
            )
            sent.append((await send_message(log=log, message=message, hot_k=1)).message_id)
        marks += [(ids[reader], conversation, sent[-1]) for reader in scene.readers]
    return marks


def is_demo_admin(user: object) -> bool:
    """Return whether somebody is the demo's admin, whose password everybody knows anyway."""
    return (
        isinstance(user, User)
        and user.username == ADMIN
        and user.email == _ADMIN_ADDRESS
        # Anybody may call that address their own; a real admin of this name would be let in without a code by it.
        and _is_known(user.password)
    )


@lru_cache(maxsize=8)
def _is_known(encoded: str) -> bool:
    # Kept: it is asked for each page, and slow on purpose.
    return check_password(PASSWORD, encoded)


def logins() -> list[str]:
    """Return the user names of the demo people, where the demo was made and still has its password."""
    usernames = sorted(User.objects.filter(username__in=_PEOPLE).values_list("username", flat=True))
    if usernames == sorted(_PEOPLE) and authenticate(username=usernames[0], password=PASSWORD) is not None:
        return usernames
    return []
