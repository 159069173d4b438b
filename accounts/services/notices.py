"""Mail to people about their account."""

import logging

from django.utils.functional import Promise

from accounts.language import speaking_to
from accounts.models import User
from accounts.tasks import send_mail_task
from messaging.jobs import queued

logger = logging.getLogger(__name__)

Words = str | Promise


def mail_notice(*, user: User, subject: Words, text: Words, **values: object) -> None:
    """Mail what stands in the user's settings as well, where there is an address. Best effort: a job sends it.

    Subject and text are lazy translations, said in the user's language; ``%(name)s`` in the text is ``values``' name.
    """
    with speaking_to(user):
        said, body = str(subject), str(text) % values
    if user.email and not queued(send_mail_task, said, body, None, [user.email]):
        logger.warning("a notice could not be mailed")
