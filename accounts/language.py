"""In whose language something is said: the reader's (docs/i18n.md)."""

from contextlib import AbstractContextManager
from typing import Final

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation

from accounts.models import User

#: Codes of the languages that the interface speaks.
LANGUAGES: Final = tuple(code for code, _ in settings.LANGUAGES)


def language_of(user: User) -> str:
    """Return the language in which a person is written to: the chosen one, or this installation's."""
    return user.language if user.language in LANGUAGES else settings.LANGUAGE_CODE


def speaking_to(user: User) -> AbstractContextManager[None]:
    """Have texts be in a person's language within the block: behind mails and pushes no request says which."""
    return translation.override(language_of(user))


def language_for(request: HttpRequest, user: AbstractBaseUser | AnonymousUser) -> str:
    """Return the language to answer a request in: the user's choice, this browser's, or what it asks for."""
    if isinstance(user, User) and user.language in LANGUAGES:
        return user.language
    return translation.get_language_from_request(request)


def remember(response: HttpResponseBase, language: str) -> None:
    """Have this browser keep a language for pages on which nobody is signed in; an empty one has it forget."""
    name = settings.LANGUAGE_COOKIE_NAME
    if language:
        response.set_cookie(
            name,
            language,
            max_age=settings.LANGUAGE_COOKIE_AGE,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    else:
        response.delete_cookie(name, samesite="Lax")
