"""One settings file; environments differ by variables only (``env.py``)."""

import os
import re
import secrets
from collections.abc import Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF  # noqa: F401

from accounts.oidc.config import OidcConfig
from chatproject import env as _env
from chatproject import translations
from messaging.adapters.embedded.jobs import broker_options as embedded_broker_options
from messaging.compliance.signing import new_private_key as new_audit_key
from messaging.domain.limits import Limits
from messaging.ports import TOPIC_COMPLIANCE, TOPIC_HOOKS, TOPIC_LINKS, TOPIC_PUSH, TOPIC_SEARCH
from push.config import ApnsConfig, PushConfig
from push.vapid import new_private_key

ENV = _env.load()
if "redis" in (ENV["CHAT_LAYER"], ENV["CHAT_JOBS"]):
    # Not at the top: an installation without Redis starts sooner without its client.
    from messaging.adapters.redis import options as redis
BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(ENV["CHAT_DATA_DIR"]).resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)


def _made_once(name: str, make: Callable[[], str]) -> str:
    path = DATA_DIR / name
    try:
        # Exclusive creation: two processes that start together agree on one key.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        key = make()
        file.write(key)
    return key


SECRET_KEY = str(ENV["CHAT_SECRET_KEY"]) or _made_once("secret_key", lambda: secrets.token_urlsafe(50))
SECRET_KEY_FALLBACKS = ENV["CHAT_SECRET_KEY_FALLBACKS"]
DEBUG = ENV["CHAT_DEBUG"]
ALLOWED_HOSTS = ENV["CHAT_ALLOWED_HOSTS"]
ALLOWED_ORIGINS = ENV["CHAT_ALLOWED_ORIGINS"]
CSRF_TRUSTED_ORIGINS = [origin for origin in ALLOWED_ORIGINS if "://" in origin]

INSTALLED_APPS = [
    "daphne",
    "accounts.staff.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_celery_results",
    "accounts",
    "messaging",
    "messaging.compliance",
    "messaging.moderation",
    "messaging.rights",
    "messaging.media",
    "messaging.search",
    "messaging.invites",
    "messaging.unsent",
    "messaging.previews",
    "messaging.hooks",
    "push",
]

MIDDLEWARE = [
    "messaging.log_context.middleware",
    "django.middleware.security.SecurityMiddleware",
    # Before the static files: a picture or a script of ours is in nobody's frame either.
    "csp.middleware.CSPMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "messaging.headers.not_kept",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.language",
    "accounts.middleware.suspension",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "chatproject.urls"
ASGI_APPLICATION = "chatproject.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.web.languages",
            ],
            # Every page has words.
            "builtins": ["django.templatetags.i18n"],
        },
    }
]

# --- data ---------------------------------------------------------------------------------------


def _sqlite() -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "chat.sqlite3",
        # A file, not memory: the tests cross threads, as the server does.
        "TEST": {"NAME": DATA_DIR / "test.sqlite3"},
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            # FULL: the router commits its place in the log only after this database is durable.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;",
        },
    }


#: Of a process to PostgreSQL, beside those of the event loop's threads.
_REQUEST_CONNECTIONS = 16


def postgresql(url: str) -> dict[str, Any]:
    """Return the entry of ``DATABASES`` for a postgresql:// URL."""
    parts = urlsplit(url)
    return {
        "ENGINE": "messaging.adapters.postgres",
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname,
        "PORT": parts.port or 5432,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            # libpq reads TLS of them; the rest of the environment (PGSSLMODE) stands behind it.
            **{name: values[0] for name, values in parse_qs(parts.query).items()},
            "connect_timeout": 5,
            "application_name": "chat",
            # Under ASGI a request has a thread of its own, and would have a connection of its own. The event loop's
            # threads keep theirs; the rest is for requests, which wait ``timeout`` for one at most. Connecting is given
            # up after ``reconnect_timeout``, and tried anew by the next request: the pool's own pauses grow too long.
            "pool": {
                "min_size": 0,
                "max_size": ENV["CHAT_DB_THREADS"] + _REQUEST_CONNECTIONS,
                "max_idle": 60.0,
                "timeout": 5.0,
                "reconnect_timeout": 3.0,
            },
        },
    }


DATABASES: dict[str, Any] = {"default": postgresql(ENV["CHAT_DATABASE_URL"]) if ENV["CHAT_DATABASE_URL"] else _sqlite()}
if ENV["CHAT_STORE"] == "cassandra":
    from messaging.adapters.cassandra.connection import ALIAS, database_settings

    DATABASES[ALIAS] = database_settings(ENV.values)
    # First: its migrate, makemigrations and flush pass this database over.
    INSTALLED_APPS.insert(0, "django_cassandra_engine")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# One choice for both: pods that share a layer are one cluster, whose throttles count together.
if ENV["CHAT_LAYER"] == "redis":
    CACHES = {"default": redis.cache(ENV["CHAT_REDIS_URL"])}
    CHANNEL_LAYERS = {"default": redis.channel_layer(ENV["CHAT_REDIS_URL"])}
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            # Batches, not messages: a pod that is this far behind drops, and its clients find the gap.
            "CONFIG": {"capacity": 4_000, "expiry": 60},
        }
    }

# --- people -------------------------------------------------------------------------------------


def context_words(hosts: Collection[str], words: Collection[str], name: str) -> set[str]:
    """Return the words that everybody knows who comes here: of host names, of the configuration, of the provider."""
    of_hosts = (label for host in hosts if not host.startswith("[") for label in host.lower().split(".")[:-1])
    known = [*of_hosts, *words, *re.findall(r"\w+", name), "chat"]
    return {word.lower() for word in known if len(word) > 2 and word.isalpha()}


AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {
        "NAME": "accounts.passwords.ContextWordsValidator",
        "OPTIONS": {"words": context_words(ALLOWED_HOSTS, ENV["CHAT_PASSWORD_WORDS"], ENV["CHAT_OIDC_NAME"])},
    },
    # The last: it asks over the network, where it asks at all.
    {
        "NAME": "accounts.passwords.BreachedPasswordValidator",
        "OPTIONS": {"url": ENV["CHAT_PASSWORD_RANGE_URL"]},
    },
]
#: How long the link of a mail sets another password (s): whoever reads the mailbox later has no use for it.
PASSWORD_RESET_TIMEOUT = 3600
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
# allauth: the pages of sign-up, login and passwords (docs/decisions/0005).
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.forms.AccountLoginForm",
    "signup": "accounts.forms.AccountSignupForm",
    "change_password": "accounts.forms.AccountChangePasswordForm",
    "reset_password": "accounts.forms.AccountResetPasswordForm",
    "reset_password_from_key": "accounts.forms.AccountResetPasswordKeyForm",
    "set_password": "accounts.forms.AccountSetPasswordForm",
    "reauthenticate": "accounts.forms.AccountReauthenticateForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PRESERVE_USERNAME_CASING = False
ACCOUNT_USERNAME_VALIDATORS = "accounts.adapter.USERNAME_VALIDATORS"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_PREVENT_ENUMERATION = True
# DRF's notation in allauth's: of a period the first letter counts in both.
_signups, _, _period = ENV["CHAT_SIGNUP_RATE"].partition("/")
ACCOUNT_RATE_LIMITS = {
    "login_failed": "10/5m/ip,5/5m/key",
    "signup": f"{_signups}/{_period[:1]}/ip",
    "reset_password": "20/h/ip,5/h/key",
}
MFA_ADAPTER = "accounts.mfa.MFAAdapter"
MFA_FORMS = {
    "authenticate": "accounts.forms.MFAAuthenticateForm",
    "reauthenticate": "accounts.forms.MFAReauthenticateForm",
    "activate_totp": "accounts.forms.MFAActivateForm",
    "add_webauthn": "accounts.forms.PasskeyAddForm",
    "edit_webauthn": "accounts.forms.PasskeyEditForm",
    "login_webauthn": "accounts.forms.PasskeyLoginForm",
    "authenticate_webauthn": "accounts.forms.PasskeyAuthenticateForm",
    "reauthenticate_webauthn": "accounts.forms.PasskeyReauthenticateForm",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Nobody guesses a passkey; each sign-in is two requests, and a whole office may have one address.
MFA_RATE_LIMITS = {"webauthn_login": "60/m/ip"}
#: What passkeys are bound to; empty: the host of the request.
PASSKEY_DOMAIN = ENV["CHAT_PASSKEY_DOMAIN"]
# Addresses are not verified here at all.
MFA_ALLOW_UNVERIFIED_EMAIL = True
# Clocks of phones are a little off.
MFA_TOTP_TOLERANCE = 1
#: Whether the admin pages ask for a second factor.
ADMIN_REQUIRE_2FA = ENV["CHAT_ADMIN_REQUIRE_2FA"]
#: Who may make an account, and by which OpenID provider people may sign in (docs/accounts.md).
SIGNUP = ENV["CHAT_SIGNUP"]
OIDC = (
    OidcConfig(
        issuer=ENV["CHAT_OIDC_ISSUER"],
        client_id=ENV["CHAT_OIDC_CLIENT_ID"],
        client_secret=ENV["CHAT_OIDC_CLIENT_SECRET"],
        name=ENV["CHAT_OIDC_NAME"],
        scopes=tuple(ENV["CHAT_OIDC_SCOPES"]),
        username_claim=ENV["CHAT_OIDC_USERNAME_CLAIM"],
    )
    if ENV["CHAT_OIDC_ISSUER"]
    else None
)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_AGE = int(timedelta(days=30).total_seconds())
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# Not in a cookie, where they would lie in the clear.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- web ----------------------------------------------------------------------------------------

LANGUAGE_CODE = ENV["CHAT_LANGUAGE"]
#: Each in its own words: who does not read the others finds it. docs/i18n.md says how one is added.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("es", "Español"), ("ar", "العربية"), ("zh-hans", "简体中文")]
# Made of locale/ here, where it has changed: no step is forgotten, and nobody needs GNU gettext.
LOCALE_PATHS = [DATA_DIR / "locale"]
translations.compile_into(LOCALE_PATHS[0])
LANGUAGE_COOKIE_AGE = int(timedelta(days=365).total_seconds())
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
# Wherever a page gives no format of its own, above all on those of the staff: a time says in which zone it is.
FORMAT_MODULE_PATH = ["chatproject.formats"]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "staticfiles"
# WhiteNoise warns of a directory that is not there; an empty one is the rule.
STATIC_ROOT.mkdir(exist_ok=True)
# Serve straight from static/ and the apps: no collect step before the first start.
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_AUTOREFRESH = DEBUG
# Pages of other sites have no use for them.
SERVESTATIC_ALLOW_ALL_ORIGINS = False

X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
if ENV["CHAT_HTTPS"]:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # Browsers take these names only from this very host, over TLS: a neighbouring host cannot plant one.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    LANGUAGE_COOKIE_NAME = "__Host-language"
    SECURE_HSTS_SECONDS = int(timedelta(days=365).total_seconds())
    SECURE_HSTS_INCLUDE_SUBDOMAINS = ENV["CHAT_HSTS_SUBDOMAINS"]
#: How many proxies stand before us, each adding an address to X-Forwarded-For. Without one the header is the client's
#: own word, and whoever changed it would get a new allowance of logins with every request.
PROXIES = 1 if ENV["CHAT_HTTPS"] else 0
ALLAUTH_TRUSTED_PROXY_COUNT = PROXIES
# Of another origin are media in a bucket: put there by scripts, got by pictures and players.
_BUCKET = [_env.bucket_origin(ENV)] if ENV["CHAT_MEDIA"] == "s3" else []
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:", *_BUCKET],
        "media-src": [SELF, "blob:", *_BUCKET],
        "connect-src": [SELF, *_BUCKET],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}


def _email(url: str) -> dict[str, Any]:
    if url == "console":
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    parts = urlsplit(url)
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname or "localhost",
        "EMAIL_PORT": parts.port or 25,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parse_qs(parts.query).get("tls") == ["1"],
        "EMAIL_TIMEOUT": 20,
    }


globals().update(_email(ENV["CHAT_EMAIL_URL"]))
DEFAULT_FROM_EMAIL = ENV["CHAT_EMAIL_FROM"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.api.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "accounts.api.scopes.WithinScopes",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser", "rest_framework.parsers.FormParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["accounts.api.scopes.CallerThrottle"],
    "DEFAULT_THROTTLE_RATES": {
        "user": ENV["CHAT_API_RATE"],
        "bot": ENV["CHAT_BOT_API_RATE"],
        "hook": ENV["CHAT_HOOK_RATE"],
        "login": ENV["CHAT_LOGIN_RATE"],
        # Failures for one name, wherever from: as many in an hour as the page lets happen.
        "login-name": "60/hour",
        "signup": ENV["CHAT_SIGNUP_RATE"],
        "push-test": "6/min",
        "report": "30/hour",
        # Parts, thumbnails, ranges of a film: many, and small.
        "media": "1200/min",
        "search": ENV["CHAT_SEARCH_RATE"],
    },
    "NUM_PROXIES": PROXIES,
    "EXCEPTION_HANDLER": "messaging.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Chat API",
    "VERSION": "1",
    "DESCRIPTION": "The cold path of the chat: accounts, conversations, history. The hot path is the socket at /ws.",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "messaging.poll_schema.with_poll",
        "messaging.api.schema.completed",
    ],
    # Fields of one name and different choices get a number otherwise.
    "ENUM_NAME_OVERRIDES": {
        "ConversationTypeEnum": ["dm", "group"],
        "MediaKindEnum": ["image", "video", "audio", "voice", "file"],
        "MediaStateEnum": ["uploading", "processing", "ready", "refused"],
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- chat ---------------------------------------------------------------------------------------

#: Registry and channel layer live in one process: gateway and router share it.
EMBEDDED = ENV["CHAT_REGISTRY"] == "memory" or ENV["CHAT_LAYER"] == "memory"
LIMITS = Limits(
    send_rate_per_s=ENV["CHAT_SEND_RATE"],
    send_burst=ENV["CHAT_SEND_BURST"],
    bot_send_rate_per_s=ENV["CHAT_BOT_SEND_RATE"],
    edit_window_s=ENV["CHAT_EDIT_WINDOW_S"],
    max_media_bytes=ENV["CHAT_MEDIA_MAX_MB"] * 1024 * 1024,
    max_media_day_bytes=ENV["CHAT_MEDIA_DAY_MB"] * 1024 * 1024,
)
TOKEN_LIFETIME = timedelta(days=ENV["CHAT_TOKEN_DAYS"])
#: Who may make bots: ``staff``, ``everyone``, or nobody (``off``), and then none gets in.
BOTS = ENV["CHAT_BOTS"]
#: Hosts that bots' events may be sent to though they are private or without TLS, and who attests the others.
WEBHOOK_HOSTS = tuple(ENV["CHAT_WEBHOOK_HOSTS"])
WEBHOOK_CA_FILE = ENV["CHAT_WEBHOOK_CA_FILE"]

LOG_RETENTION_DAYS = ENV["CHAT_LOG_RETENTION_DAYS"]

#: Whether this server fetches what is behind links that people send.
LINK_PREVIEWS = ENV["CHAT_LINK_PREVIEWS"]
#: Addresses (``127.0.0.1:8000``) that previews may be fetched from though they are none of the public internet. Only
#: the tests have any, and no variable of the environment sets it.
LINK_PREVIEW_TEST_ADDRESSES: tuple[str, ...] = ()

# --- push (docs/push.md) --------------------------------------------------------------------------


def _push() -> PushConfig:
    apns = None
    if ENV["CHAT_APNS_KEY_FILE"]:
        apns = ApnsConfig(
            key=Path(ENV["CHAT_APNS_KEY_FILE"]).read_text(),
            key_id=ENV["CHAT_APNS_KEY_ID"],
            team_id=ENV["CHAT_APNS_TEAM_ID"],
            topics=tuple(ENV["CHAT_APNS_TOPICS"]),
        )
    vapid = ENV["CHAT_VAPID_PRIVATE_KEY"]
    if not vapid and EMBEDDED:
        # Of one machine. Several have to share one key, or browsers that subscribed at one are lost to the others.
        vapid = _made_once("vapid_key", new_private_key)
    fcm = ENV["CHAT_FCM_CREDENTIALS_FILE"]
    return PushConfig(
        apns=apns,
        fcm_credentials=Path(fcm).resolve() if fcm else None,
        vapid_private_key=vapid,
        vapid_subject=ENV["CHAT_VAPID_SUBJECT"],
        hosts=tuple(ENV["CHAT_PUSH_HOSTS"]),
        rate_per_s=ENV["CHAT_PUSH_RATE"],
    )


PUSH = _push()

# --- compliance (docs/compliance.md) --------------------------------------------------------------

#: Signs checkpoints of the audit log. Several machines have to share one, or nobody could say whose is right.
AUDIT_KEY = ENV["CHAT_AUDIT_KEY"] or (_made_once("audit_key", new_audit_key) if EMBEDDED else "")

#: Whose law holds where nothing else is set.
JURISDICTION = ENV["CHAT_JURISDICTION"]

#: How long the file of an export for a case is there.
ERASURE_GRACE_DAYS = ENV["CHAT_ERASURE_GRACE_DAYS"]
EXPORT_KEPT = timedelta(days=ENV["CHAT_EXPORT_DAYS"])

# --- moderation (docs/moderation.md) --------------------------------------------------------------

#: By name: what judges is above what sends, and is not imported there.
MESSAGE_SCREENER = "messaging.moderation.screening.RuleScreener"
#: The kinds of rules that moderators may make, by their classes.
MODERATION_RULES = {
    "words": "messaging.moderation.rules.WordList",
    "links": "messaging.moderation.rules.LinkList",
    "flood": "messaging.moderation.rules.Flood",
}

# --- jobs (docs/decisions/0006 and 0012) ----------------------------------------------------------

JOBS_DIR = DATA_DIR / "jobs"
JOBS_DIR.mkdir(exist_ok=True, mode=0o700)
if ENV["CHAT_JOBS"] == "redis":
    CELERY_BROKER_URL = ENV["CHAT_REDIS_URL"]
    CELERY_BROKER_USE_SSL = redis.broker_tls(ENV["CHAT_REDIS_URL"])
    CELERY_BROKER_TRANSPORT_OPTIONS = redis.broker_options()
else:
    CELERY_BROKER_URL = "embedded://localhost"
    CELERY_BROKER_TRANSPORT = "messaging.adapters.embedded.jobs:Transport"
    CELERY_BROKER_TRANSPORT_OPTIONS = embedded_broker_options(JOBS_DIR)
#: Which task the dispatcher hands a topic's records to. A topic whose task does not exist yet is not read: its records
#: wait in the log.
JOB_ROUTES = {
    TOPIC_PUSH: "push.tasks.push_messages",
    TOPIC_COMPLIANCE: "messaging.tasks.follow_compliance",
    TOPIC_SEARCH: "messaging.search.tasks.index_messages",
    TOPIC_LINKS: "messaging.previews.tasks.look_at_links",
    TOPIC_HOOKS: "messaging.hooks.tasks.tell_bots",
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Whoever queues a job waits for it, and has another way where it has to be done (mail).
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
# For ever: a worker that gave up would have to be started by hand.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
# A job is done when it has ended, not when it was handed out: a killed worker's jobs are taken up again.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
CELERY_TASK_TRACK_STARTED = True
# Of a task with ignore_result, its failures at least.
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = True
CELERY_RESULT_BACKEND = "messaging.adapters.job_results:ResultBackend"
CELERY_RESULT_EXTENDED = True
# The clock deletes older ones every night at 4 (celery.backend_cleanup).
CELERY_RESULT_EXPIRES = timedelta(days=7)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# On Redis not for the control's sake: its subscription is what notices a lost connection while every place of the
# worker is taken. Without it, jobs that end in an outage keep their places for ever.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = ENV["CHAT_JOBS"] == "redis"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULE_FILENAME = str(JOBS_DIR / "schedule")

# The clock waits for a broker that is away: the next time is a day later.
_PATIENT = {"retry_policy": {"max_retries": 1_000, "interval_start": 1, "interval_step": 1, "interval_max": 30}}
# Times of day, not long intervals: a clock that lost its schedule file would begin to count anew.
CELERY_BEAT_SCHEDULE = {
    "trim-log": {"task": "messaging.tasks.trim_log", "schedule": crontab(hour=3, minute=10), "options": _PATIENT},
    "delete-expired-devices": {
        "task": "accounts.tasks.delete_expired_devices",
        "schedule": crontab(hour=3, minute=20),
        "options": _PATIENT,
    },
    "sweep-media": {
        "task": "messaging.media.tasks.sweep",
        "schedule": crontab(minute="*/10"),
        "options": {"expires": 550},
    },
    "sweep-previews": {
        "task": "messaging.previews.tasks.sweep",
        "schedule": crontab(hour=3, minute=40),
        "options": _PATIENT,
    },
    "delete-old-pushes": {
        "task": "push.tasks.delete_old_pushes",
        "schedule": crontab(hour=3, minute=30),
        "options": _PATIENT,
    },
    "begin-sweep": {
        "task": "messaging.compliance.tasks.begin_sweep",
        "schedule": crontab(hour=2, minute=30),
        "options": _PATIENT,
    },
    "go-on-sweeping": {
        "task": "messaging.compliance.tasks.go_on_sweeping",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 290},
    },
    "checkpoint-audit": {
        "task": "messaging.compliance.tasks.checkpoint_audit",
        "schedule": crontab(minute=5),
        "options": {"expires": 3_500},
    },
    # Those that could not be queued are not missed: the next are a minute later.
    "tell-audit": {
        "task": "messaging.compliance.tasks.tell_audit",
        "schedule": crontab(),
        "options": {"expires": 55},
    },
    "look-after-exports": {
        "task": "messaging.rights.tasks.look_after_exports",
        "schedule": crontab(minute="*/30"),
        "options": {"expires": 1_700},
    },
    "go-on-erasing": {
        "task": "messaging.rights.tasks.go_on_erasing",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 290},
    },
    "look-after-case-exports": {
        "task": "messaging.compliance.tasks.look_after_exports",
        "schedule": crontab(minute="*/5"),
        "options": {"expires": 290},
    },
    # What people scheduled is late by so much at most, and by the job itself.
    "send-scheduled": {
        "task": "messaging.unsent.tasks.send_scheduled",
        "schedule": timedelta(seconds=3),
        "options": {"expires": 9},
    },
    "place-takedowns": {
        "task": "messaging.moderation.tasks.place_takedowns",
        "schedule": crontab(),
        "options": {"expires": 55},
    },
    "send-due-events": {"task": "messaging.hooks.tasks.send_due", "schedule": crontab(), "options": {"expires": 55}},
    "delete-old-events": {
        "task": "messaging.hooks.tasks.delete_old_deliveries",
        "schedule": crontab(hour=3, minute=40),
        "options": _PATIENT,
    },
    "send-due-pushes": {"task": "push.tasks.send_due_pushes", "schedule": crontab(), "options": {"expires": 55}},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "chatproject.logs.TextFormatter"},
        "json": {"()": "chatproject.logs.JsonFormatter", "pod": ENV["CHAT_POD"]},
    },
    "filters": {
        "ticks": {"()": "chatproject.logs.NoTicks", "tasks": ["messaging.unsent.tasks.send_scheduled"]},
        "route": {"()": "chatproject.logs.RouteForPath"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": ENV["CHAT_LOG_FORMAT"]}},
    "loggers": {
        # Two lines per socket at INFO are noise on a pod; so are the driver's tries to reach a node that is away.
        "uvicorn.error": {"level": "WARNING"},
        "django.request": {"filters": ["route"]},
        "cassandra": {"level": "ERROR"},
        # At DEBUG it writes the records themselves, and no message may be in a log line.
        "kafka": {"level": "ERROR"},
        # At DEBUG it writes jobs with their arguments; only the length of what comes before cuts those off.
        "celery.pool": {"level": "INFO"},
        # Lines of each job: when it is due, when it is taken, when it is done.
        "celery.beat": {"filters": ["ticks"]},
        "celery.worker.strategy": {"filters": ["ticks"]},
        "celery.app.trace": {"filters": ["ticks"]},
        # They write addresses of devices, which are secrets; at DEBUG, what is sent as well.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "hpack": {"level": "WARNING"},
        "google.auth": {"level": "WARNING"},
        "firebase_admin": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
    },
    "root": {"handlers": ["console"], "level": ENV["CHAT_LOG_LEVEL"]},
}
