"""Mail to people about their account."""

import logging

from accounts.models import User
from accounts.tasks import send_mail_task
from messaging.jobs import queued

logger = logging.getLogger(__name__)


def mail_notice(*, user: User, subject: str, text: str) -> None:
    """Mail what stands in the user's settings as well, where there is an address. Best effort: a job sends it."""
    if user.email and not queued(send_mail_task, subject, text, None, [user.email]):
        logger.warning("a notice could not be mailed")
