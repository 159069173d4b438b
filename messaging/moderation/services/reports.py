"""Members report, and authors appeal: what comes into the review queue."""

from typing import Any, Final

from django.db import transaction

from accounts.models import User
from messaging.domain import ids
from messaging.domain.errors import Conflict, InvalidInput, NotFound
from messaging.domain.ids import ConversationId, MessageId, UserId
from messaging.moderation import evidence
from messaging.moderation.models import Appeal, Case, Report, Takedown
from messaging.selectors.access import require_member
from messaging.selectors.messages import find_message

MAX_TEXT_CHARS: Final = 2_000


def report_message(
    *, reporter: User, conversation_id: ConversationId, message_id: MessageId, category: str, text: str
) -> Report:
    """Bring a message to the moderators, with what stood around it as the reporter sees it. Idempotent while open.

    Raises:
        NotFound: not the reporter's to see. InvalidInput: it tells of an event, or is the reporter's own.
    """
    sight = find_message(UserId(reporter.pk), conversation_id, message_id)
    message = sight.message
    if message is None:
        raise NotFound("no such message")
    if message.kind != "text":
        raise InvalidInput("this tells of an event; nobody wrote it")
    if message.sender_id == reporter.pk:
        raise InvalidInput("this is your own message; you can delete it")
    context = evidence.around(sight.access.membership, message_id)
    subject = ids.server_id(conversation_id, message_id)
    return _file(reporter, Case.Kind.MESSAGE, subject, message.sender_id, category, text, context)


def report_conversation(*, reporter: User, conversation_id: ConversationId, category: str, text: str) -> Report:
    """Bring a conversation to the moderators, with its newest messages as the reporter sees them.

    Raises:
        NotFound: the reporter is no member.
    """
    access = require_member(UserId(reporter.pk), conversation_id)
    context = evidence.newest(access.membership)
    subject = ids.conversation_ref(conversation_id)
    return _file(reporter, Case.Kind.CONVERSATION, subject, None, category, text, context)


def report_user(*, reporter: User, user_id: UserId, category: str, text: str) -> Report:
    """Bring a person to the moderators: name and user name as they are now.

    Raises:
        NotFound: no such person. InvalidInput: it is the reporter.
    """
    if user_id == reporter.pk:
        raise InvalidInput("this is you")
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        raise NotFound("no such user")
    context = [{"username": user.username, "name": user.get_full_name(), "reported": True}]
    return _file(reporter, Case.Kind.USER, ids.user_ref(user_id), user_id, category, text, context)


def _file(
    reporter: User,
    kind: Case.Kind,
    subject: str,
    accused: UserId | None,
    category: str,
    text: str,
    context: list[dict[str, Any]],
) -> Report:
    text = _checked(text)
    with transaction.atomic():
        case, _ = Case.objects.get_or_create(
            kind=kind, subject=subject, state=Case.State.OPEN, defaults={"accused_id": accused}
        )
        report, _ = Report.objects.get_or_create(
            case=case, reporter=reporter, defaults={"category": category, "text": text, "context": context}
        )
    return report


def appeal(*, author: User, conversation_id: ConversationId, message_id: MessageId, text: str) -> Appeal:
    """Ask the moderators to think again about a message that they withhold; once for each takedown.

    Raises:
        NotFound: it is not withheld, or not the author's: the two look alike. Conflict: that was asked already.
        InvalidInput: nothing is said, or too much.
    """
    text = _checked(text)
    if not text:
        raise InvalidInput("say why the message should come back")
    with transaction.atomic():
        takedown = (
            Takedown.objects.select_for_update()
            .filter(conversation_id=conversation_id, message_id=message_id, author=author, lifted_at=None)
            .first()
        )
        if takedown is None:
            raise NotFound("no such message")
        if Appeal.objects.filter(takedown=takedown).exists():
            raise Conflict("you have appealed already")
        case = Case.objects.create(kind=Case.Kind.APPEAL, subject=takedown.subject, accused=author)
        return Appeal.objects.create(takedown=takedown, case=case, text=text)


def _checked(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidInput(f"at most {MAX_TEXT_CHARS} characters")
    if "\0" in text:
        raise InvalidInput("the text holds a character that cannot be stored")
    return text
