"""Every environment variable once: name, type, default, unit, help. No other module reads the environment.

``load()`` reports all bad values together. docs/operations.md lists the same table; a test holds the two together.
Names that begin with CHAT_TEST_ are none of the product's: they say how its tests run (CONTRIBUTING.md).
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable. ``parse`` raises ValueError with a sentence that helps."""

    name: str
    parse: Callable[[str], Any]
    default: str
    help: str
    unit: str = ""


class BadEnvironment(Exception):
    """One or more variables have unusable values; the message names them all."""


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"1", "true", "yes", "on"}:
        return True
    if lowered in {"", "0", "false", "no", "off"}:
        return False
    raise ValueError("expected 1 or 0")


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _addresses(text: str) -> list[str]:
    addresses = _list(text)
    if not addresses or not all(re.fullmatch(r"[^\s:]+:\d+|\[[^\s\]]+\]:\d+", it) for it in addresses):
        raise ValueError("expected host:port, separated by commas")
    return addresses


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise ValueError("expected a positive whole number")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65_536:
        raise ValueError("expected a port, or 0")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("expected a whole number, 0 or more")
    return number


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        parts = urlsplit(text)
        if text and (parts.scheme not in schemes or not (parts.hostname or parts.scheme == "mailto")):
            raise ValueError(f"expected {' or '.join(scheme + '://…' for scheme in schemes)}")
        return text

    return parse


def _issuer(text: str) -> str:
    parts = urlsplit(text)
    local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
    if text and not (local or (parts.scheme == "https" and parts.hostname)):
        raise ValueError("expected https://…, or http:// on this machine")
    if len(text) > 255 or parts.query or parts.fragment:
        raise ValueError("expected an address of at most 255 characters, without ? and #")
    return text


def _ratio(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError("expected a number from 0 to 1")
    return number


def _file(text: str) -> str:
    if text and not os.path.isfile(text):
        raise ValueError("no such file")
    return text


def _vapid_key(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        raise ValueError("expected a key as `manage.py vapid_key` prints it")
    return text


def _audit_key(text: str) -> str:
    if text and not re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        raise ValueError("expected a key as `manage.py audit_key` prints it")
    return text


#: What may stand after the ? of CHAT_DATABASE_URL: libpq's own parameters of a safe connection.
DATABASE_PARAMETERS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def _database_url(text: str) -> str:
    query = parse_qs(urlsplit(_url("postgresql")(text)).query, keep_blank_values=True)
    unknown = [name for name in query if name not in DATABASE_PARAMETERS]
    if unknown or any(len(values) != 1 for values in query.values()):
        raise ValueError(f"expected after the ?, once each: {', '.join(DATABASE_PARAMETERS)}")
    if query.get("sslmode", ["prefer"])[0] not in _SSL_MODES:
        raise ValueError(f"expected an sslmode of {', '.join(_SSL_MODES)}")
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        if name in query and query[name] != ["system"]:
            _file(query[name][0] or "(empty)")
    return text


_http_url = _url("http", "https")
_redis_url = _url("redis", "rediss")
_registry_url = _url("redis", "rediss", "redis+cluster", "rediss+cluster")


def _matching(pattern: str, expected: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"expected {expected}")
        return text

    return parse


_kafka_prefix = _matching(r"[A-Za-z0-9._-]{0,100}", "at most 100 letters, digits, dots, dashes and underscores")
_keyspace = _matching(r"[a-z][a-z0-9_]{0,47}", "lower-case letters, digits and underscores")


def _replication(text: str) -> dict[str, int]:
    replicas: dict[str, int] = {}
    for part in _list(text):
        name, _, number = part.rpartition(":")
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise ValueError("expected name:number, separated by commas")
        replicas[name] = _positive(number)
    return replicas


def _nodes(text: str) -> list[tuple[str, int]]:
    nodes = []
    for part in _list(text):
        host, _, port = part.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError("expected host:port, separated by commas")
        nodes.append((host.strip("[]"), int(port)))
    if len({port for _, port in nodes}) != 1:
        raise ValueError("expected at least one host:port, and the same port for all")
    return nodes


def _hot_k(text: str) -> int:
    value = _positive(text)
    if not 2 <= value <= 31:
        raise ValueError("expected 2 to 31")
    return value


VARIABLES = (
    Variable("CHAT_DATA_DIR", str, "data", "Directory of the embedded engines: databases, log, job queue, media."),
    Variable("CHAT_SECRET_KEY", str, "", "Django's secret key. Empty: made once, kept in the data directory."),
    Variable(
        "CHAT_SECRET_KEY_FALLBACKS",
        _list,
        "",
        "Secret keys of before: what they signed and sealed stays good. `manage.py reseal` makes the last of it anew.",
    ),
    Variable("CHAT_DEBUG", _boolean, "0", "Django's debug pages. Never on a machine that others reach."),
    Variable("CHAT_ALLOWED_HOSTS", _list, "localhost,127.0.0.1,[::1]", "Host names the site answers to."),
    Variable("CHAT_ALLOWED_ORIGINS", _list, "", "Further origins (https://host) that may open a socket by cookie."),
    Variable("CHAT_HTTPS", _boolean, "0", "Behind TLS: secure cookies, HSTS, and X-Forwarded-Proto is believed."),
    Variable(
        "CHAT_HSTS_SUBDOMAINS",
        _boolean,
        "0",
        "With CHAT_HTTPS: browsers want TLS of all hosts below this one, too (HSTS includeSubDomains).",
    ),
    Variable("CHAT_SERVER", _choice("uvicorn", "daphne"), "uvicorn", "ASGI server of a gateway pod."),
    Variable("CHAT_POD", str, "", "Name of this pod, unique in the cluster. Empty: from host and process."),
    Variable("CHAT_LOG", _choice("embedded", "kafka"), "embedded", "MessageLog adapter."),
    Variable("CHAT_STORE", _choice("orm", "cassandra"), "orm", "MessageStore and ConversationStore adapter."),
    Variable("CHAT_REGISTRY", _choice("memory", "redis"), "memory", "ConnectionRegistry adapter."),
    Variable("CHAT_LAYER", _choice("memory", "redis"), "memory", "Channel layer between pods."),
    Variable("CHAT_JOBS", _choice("embedded", "redis"), "embedded", "Broker of the Celery jobs."),
    Variable("CHAT_MEDIA", _choice("files", "s3"), "files", "MediaStore adapter."),
    Variable(
        "CHAT_DATABASE_URL",
        _database_url,
        "",
        "postgresql://user:password@host:port/name, and ?sslmode=verify-full&sslrootcert=FILE for TLS. "
        "Empty: SQLite in the data directory.",
    ),
    Variable("CHAT_REDIS_URL", _redis_url, "redis://127.0.0.1:6379/0", "Redis of channel layer, jobs and dedupe keys."),
    Variable(
        "CHAT_REGISTRY_URL",
        _registry_url,
        "",
        "Redis of the registry; redis+cluster://host:port for a cluster. Empty: CHAT_REDIS_URL.",
    ),
    Variable("CHAT_KAFKA_BROKERS", _addresses, "127.0.0.1:9092", "Kafka brokers to begin with, host:port."),
    Variable("CHAT_KAFKA_PREFIX", _kafka_prefix, "", "Begins the name of every topic and group."),
    Variable("CHAT_KAFKA_PARTITIONS", _positive, "48", "Partitions of a topic that `manage.py topics` creates."),
    Variable("CHAT_KAFKA_REPLICATION", _positive, "3", "Replicas of a topic that `manage.py topics` creates."),
    Variable("CHAT_KAFKA_MIN_ISR", _positive, "2", "Replicas that must have a record before it counts as durable."),
    Variable(
        "CHAT_KAFKA_SECURITY", _choice("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), "PLAINTEXT", "Kafka protocol."
    ),
    Variable("CHAT_KAFKA_USER", str, "", "Kafka user (SCRAM-SHA-512), with a SASL protocol."),
    Variable("CHAT_KAFKA_PASSWORD", str, "", "The Kafka user's password."),
    Variable("CHAT_KAFKA_CA_FILE", str, "", "Certificate authorities of the brokers. Empty: the system's."),
    Variable("CHAT_CASSANDRA_HOSTS", _nodes, "127.0.0.1:9042", "Cassandra nodes to begin with, host:port."),
    Variable("CHAT_CASSANDRA_KEYSPACE", _keyspace, "chat", "Cassandra keyspace."),
    Variable("CHAT_CASSANDRA_LOCAL_DC", str, "datacenter1", "Cassandra data centre of this installation."),
    Variable(
        "CHAT_CASSANDRA_REPLICATION",
        _replication,
        "datacenter1:3",
        "Replicas per data centre, name:number, for `manage.py cassandra_schema`.",
    ),
    Variable("CHAT_CASSANDRA_USER", str, "", "Cassandra user. Empty: none."),
    Variable("CHAT_CASSANDRA_PASSWORD", str, "", "The Cassandra user's password."),
    Variable(
        "CHAT_CASSANDRA_TLS", _boolean, "0", "Speak TLS with Cassandra. Certificates of nodes name their addresses."
    ),
    Variable("CHAT_CASSANDRA_CA_FILE", _file, "", "Certificate authorities of the nodes. Empty: the system's."),
    Variable("CHAT_CASSANDRA_CERT_FILE", _file, "", "This program's certificate, where the nodes ask for one."),
    Variable("CHAT_CASSANDRA_KEY_FILE", _file, "", "The key that goes with it."),
    Variable(
        "CHAT_MEDIA_DIR",
        str,
        "",
        "Directory of media as files, the same for all gateways and workers. Empty: `media` in the data directory.",
    ),
    Variable("CHAT_MEDIA_MAX_MB", _positive, "100", "Largest file that may be sent.", "MiB"),
    Variable("CHAT_MEDIA_DAY_MB", _positive, "1024", "What a user may upload in 24 hours.", "MiB"),
    Variable("CHAT_S3_BUCKET", str, "", "Bucket of media, with CHAT_MEDIA=s3."),
    Variable("CHAT_S3_ENDPOINT", _http_url, "", "Address of the store as browsers reach it. Empty: AWS."),
    Variable("CHAT_S3_REGION", str, "", "Region of the bucket; any word where the store has none."),
    Variable("CHAT_S3_ACCESS_KEY", str, "", "Access key. Empty: as the AWS SDK finds it."),
    Variable("CHAT_S3_SECRET_KEY", str, "", "The secret that goes with it."),
    Variable("CHAT_DB_THREADS", _positive, "4", "Threads for database work of a gateway or router process."),
    Variable("CHAT_SEND_RATE", _positive, "20", "Sends a user may make for long on one pod.", "messages/s"),
    Variable("CHAT_SEND_BURST", _positive, "60", "Sends a user may make at once on one pod.", "messages"),
    Variable(
        "CHAT_HOT_RATE",
        _whole,
        "100",
        "Rate in ten seconds at which the router spreads a conversation over sub-partitions. 0: never.",
        "messages/s",
    ),
    Variable("CHAT_HOT_K", _hot_k, "8", "Sub-partitions that it is spread over first, 2 to 31."),
    Variable("CHAT_EDIT_WINDOW_S", _whole, "0", "How long an own message may be edited. 0: for ever.", "s"),
    Variable(
        "CHAT_LINK_PREVIEWS",
        _boolean,
        "0",
        "Show what is behind links: this server then fetches pages that its users name (docs/operations.md).",
    ),
    Variable("CHAT_LOGIN_RATE", str, "10/min", "Logins by password, per address and user name (DRF notation)."),
    Variable(
        "CHAT_SIGNUP",
        _choice("open", "oidc", "closed"),
        "open",
        "Who may make an account: everybody, whoever CHAT_OIDC_ISSUER knows, or nobody.",
    ),
    Variable(
        "CHAT_PASSWORD_WORDS",
        _list,
        "",
        "Words that no password is made of, beside those of CHAT_ALLOWED_HOSTS: names of products and places.",
    ),
    Variable(
        "CHAT_PASSWORD_RANGE_URL",
        _http_url,
        "",
        "Asked whether a new password was stolen, by five digits of its SHA-1: https://api.pwnedpasswords.com/range/ "
        "or a mirror. Empty: nobody is.",
    ),
    Variable("CHAT_OIDC_ISSUER", _issuer, "", "OpenID provider that people may sign in by. Empty: none."),
    Variable("CHAT_OIDC_CLIENT_ID", str, "", "How the provider knows this site."),
    Variable(
        "CHAT_OIDC_CLIENT_SECRET", str, "", "The secret that goes with it. Empty: a public client, by PKCE alone."
    ),
    Variable("CHAT_OIDC_NAME", str, "single sign-on", "What people call the provider: the button says it."),
    Variable("CHAT_OIDC_SCOPES", _list, "openid,profile,email", "What the provider is asked for."),
    Variable(
        "CHAT_OIDC_USERNAME_CLAIM",
        str,
        "preferred_username",
        "What of the provider's word a new account is named after; an address up to its @.",
    ),
    Variable("CHAT_SIGNUP_RATE", str, "20/hour", "New accounts per address (DRF notation)."),
    Variable("CHAT_API_RATE", str, "600/min", "REST requests per user (DRF notation)."),
    Variable(
        "CHAT_BOTS",
        _choice("staff", "everyone", "off"),
        "staff",
        "Who may make bots; off: nobody, and those that there are are kept out.",
    ),
    Variable("CHAT_BOT_API_RATE", str, "300/min", "REST requests per bot (DRF notation)."),
    Variable("CHAT_BOT_SEND_RATE", _positive, "5", "Sends a bot may make for long on one pod.", "messages/s"),
    Variable(
        "CHAT_WEBHOOK_HOSTS",
        _list,
        "",
        "Hosts, or with a dot before them their domains, to which bots' events may go though private or by plain HTTP.",
    ),
    Variable("CHAT_WEBHOOK_CA_FILE", _file, "", "Certificate authorities of where events go. Empty: the system's."),
    Variable("CHAT_HOOK_RATE", str, "60/min", "Messages per incoming webhook (DRF notation)."),
    Variable("CHAT_SEARCH_RATE", str, "120/min", "Searches per user (DRF notation)."),
    Variable("CHAT_LOG_RETENTION_DAYS", _positive, "7", "How long the log and its dedupe keys are kept.", "days"),
    Variable(
        "CHAT_DEDUPE_CACHE_S",
        _positive,
        "3600",
        "How long Redis knows a message's place in Kafka; a resend after that is recognised by the store.",
        "s",
    ),
    Variable(
        "CHAT_ADMIN_REQUIRE_2FA", _boolean, "1", "The admin pages ask for a second factor (0: a password will do)."
    ),
    Variable(
        "CHAT_PASSKEY_DOMAIN",
        _matching(r"([a-z0-9-]+(\.[a-z0-9-]+)*)?", "a domain, in lower case, without port"),
        "",
        "Domain that passkeys belong to: the site's host or a parent of it. Never change it: they are void then. "
        "Empty: the host by which the site is visited.",
    ),
    Variable("CHAT_TOKEN_DAYS", _positive, "180", "How long a bearer token is good.", "days"),
    Variable("CHAT_EMAIL_URL", str, "console", "console, or smtp://user:password@host:port?tls=1."),
    Variable("CHAT_EMAIL_FROM", str, "chat@localhost", "Sender of mail."),
    Variable("CHAT_METRICS_HOST", str, "127.0.0.1", "Address on which CHAT_METRICS_PORT listens."),
    Variable(
        "CHAT_METRICS_PORT",
        _port,
        "0",
        "Port for this process's metrics; 0 for none. Children of `manage.py run` take the next ones.",
    ),
    Variable("CHAT_OTLP_ENDPOINT", _http_url, "", "OpenTelemetry collector (OTLP over HTTP). Empty: no traces."),
    Variable("CHAT_TRACE_RATIO", _ratio, "0.01", "Part of the messages that are traced, from 0 to 1."),
    Variable("CHAT_LOG_FORMAT", _choice("text", "json"), "text", "Log lines for people, or one JSON object each."),
    Variable("CHAT_APNS_KEY_FILE", _file, "", "Apple's signing key (.p8). Empty: no pushes to Apple's devices."),
    Variable("CHAT_APNS_KEY_ID", str, "", "Id of that key, ten characters."),
    Variable("CHAT_APNS_TEAM_ID", str, "", "Apple's id of your team, ten characters."),
    Variable("CHAT_APNS_TOPICS", _list, "", "Bundle ids of your apps; the first where a device names none."),
    Variable("CHAT_FCM_CREDENTIALS_FILE", _file, "", "Google's service account (JSON). Empty: no pushes by FCM."),
    Variable(
        "CHAT_VAPID_PRIVATE_KEY",
        _vapid_key,
        "",
        "Web Push key of `manage.py vapid_key`. Empty: made once where gateway and router share a process, else none.",
    ),
    Variable(
        "CHAT_VAPID_SUBJECT", _url("mailto", "https"), "mailto:chat@localhost", "Address that push services may use."
    ),
    Variable(
        "CHAT_PUSH_HOSTS",
        _list,
        "fcm.googleapis.com,.push.services.mozilla.com,.notify.windows.com,.push.apple.com",
        "Hosts of browsers' push services, or with a dot before them their domains; no other address is called.",
    ),
    Variable("CHAT_PUSH_RATE", _positive, "1000", "Pushes to each provider, of all workers together.", "pushes/s"),
    Variable(
        "CHAT_AUDIT_KEY",
        _audit_key,
        "",
        "Signs the audit log: a key of `manage.py audit_key`. Empty: as CHAT_VAPID_PRIVATE_KEY.",
    ),
    Variable(
        "CHAT_LANGUAGE",
        _choice("en", "de", "es", "ar", "zh-hans"),
        "en",
        "Language of pages, mails and pushes for who has chosen none and asks for none that there is.",
    ),
    Variable(
        "CHAT_JURISDICTION",
        _matching(r"([A-Z]{2}(-[A-Z0-9]{1,3})?)?", "a code as in ISO 3166: DE, US, US-CA"),
        "",
        "Whose retention policies hold for users and conversations that have no jurisdiction of their own.",
    ),
    Variable(
        "CHAT_ERASURE_GRACE_DAYS",
        _positive,
        "14",
        "How long people can take it back that they had their account deleted, by signing in.",
        "days",
    ),
    Variable("CHAT_EXPORT_DAYS", _positive, "30", "How long an export for a case is kept.", "days"),
    Variable("CHAT_LOG_LEVEL", _choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "Least severity that is logged."),
)


#: All of them or none.
APNS = ("CHAT_APNS_KEY_FILE", "CHAT_APNS_KEY_ID", "CHAT_APNS_TEAM_ID", "CHAT_APNS_TOPICS")


@dataclass(frozen=True, slots=True)
class Environment:
    """The parsed variables; ``env["CHAT_POD"]``."""

    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def bucket_origin(env: Environment) -> str:
    """Return the origin from which browsers get media that are in a bucket."""
    if env["CHAT_S3_ENDPOINT"]:
        parts = urlsplit(env["CHAT_S3_ENDPOINT"])
        return f"{parts.scheme}://{parts.netloc}"
    return f"https://{env['CHAT_S3_BUCKET']}.s3.{env['CHAT_S3_REGION']}.amazonaws.com"


def load(source: Mapping[str, str] | None = None) -> Environment:
    """Parse all variables from ``source`` (default: the process environment).

    Raises:
        BadEnvironment: naming every bad value, and every CHAT_ variable nobody knows.
    """
    given = os.environ if source is None else source
    values: dict[str, Any] = {}
    problems: list[str] = []
    for variable in VARIABLES:
        text = given.get(variable.name, variable.default)
        try:
            values[variable.name] = variable.parse(text)
        except ValueError as error:
            problems.append(f"{variable.name}={text!r}: {error}")
    apns = [name for name in APNS if not values.get(name)]
    if not problems and 0 < len(apns) < len(APNS):
        problems.append(f"{', '.join(apns)}: needed as well for Apple's devices")
    if not problems and values["CHAT_MEDIA"] == "s3":
        needed = ("CHAT_S3_BUCKET", "CHAT_S3_REGION")
        problems += [f"{name}: needed with CHAT_MEDIA=s3" for name in needed if not values[name]]
    cassandra = ("CHAT_CASSANDRA_CA_FILE", "CHAT_CASSANDRA_CERT_FILE", "CHAT_CASSANDRA_KEY_FILE")
    if not problems and not values["CHAT_CASSANDRA_TLS"]:
        # Whoever names them means to be safe.
        problems += [f"{name}: CHAT_CASSANDRA_TLS=1 is needed as well" for name in cassandra if values[name]]
    if not problems and bool(values["CHAT_CASSANDRA_CERT_FILE"]) != bool(values["CHAT_CASSANDRA_KEY_FILE"]):
        problems.append("CHAT_CASSANDRA_CERT_FILE and CHAT_CASSANDRA_KEY_FILE: both or none")
    if not problems and values["CHAT_OIDC_ISSUER"]:
        if not values["CHAT_OIDC_CLIENT_ID"]:
            problems.append("CHAT_OIDC_CLIENT_ID: needed with CHAT_OIDC_ISSUER")
        if "openid" not in values["CHAT_OIDC_SCOPES"]:
            problems.append("CHAT_OIDC_SCOPES: openid is needed")
    if not problems and values["CHAT_SIGNUP"] == "oidc" and not values["CHAT_OIDC_ISSUER"]:
        problems.append("CHAT_OIDC_ISSUER: needed with CHAT_SIGNUP=oidc")
    if not problems and values["CHAT_KAFKA_MIN_ISR"] > values["CHAT_KAFKA_REPLICATION"]:
        problems.append("CHAT_KAFKA_MIN_ISR is over CHAT_KAFKA_REPLICATION: nothing could ever be appended")
    known = {variable.name for variable in VARIABLES}
    ours = (name for name in given if name.startswith("CHAT_") and not name.startswith("CHAT_TEST_"))
    unknown = sorted(name for name in ours if name not in known)
    problems += [f"{name}: unknown variable" for name in unknown]
    if problems:
        raise BadEnvironment("unusable environment:\n  " + "\n  ".join(problems))
    return Environment(values)
