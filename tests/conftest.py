"""Fixtures that all tests share, and the environment they run in.

The settings are named here and not in pyproject.toml, so that the data directory is chosen before they are read.
"""

import asyncio
import atexit
import logging
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import django
import hypothesis
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from tests.parts import left_out_of

os.environ["DJANGO_SETTINGS_MODULE"] = "chatproject.settings"


def _memory() -> str | None:
    """Return a directory in memory, where there is one with room; the tests wait for no disk then."""
    shared = Path("/dev/shm")
    roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= _ROOM_BYTES
    return str(shared) if roomy else None


#: More than all tests together write.
_ROOM_BYTES: Final = 1 << 30

if "CHAT_DATA_DIR" not in os.environ:
    _scratch = tempfile.mkdtemp(prefix="chat-tests-", dir=_memory())
    atexit.register(shutil.rmtree, _scratch, ignore_errors=True)
    os.environ["CHAT_DATA_DIR"] = _scratch
if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker its own log, as each has its own database.
    os.environ["CHAT_DATA_DIR"] = str(Path(os.environ["CHAT_DATA_DIR"]) / os.environ["PYTEST_XDIST_WORKER"])
os.environ.setdefault("CHAT_SECRET_KEY", "tests-only")
# A test of the second factor asks for it; others look at pages.
os.environ.setdefault("CHAT_ADMIN_REQUIRE_2FA", "0")
if os.environ.get("CHAT_STORE") == "cassandra":
    # Never the keyspace that somebody uses; see ``django_db_setup``.
    os.environ["CHAT_CASSANDRA_KEYSPACE"] = f"test_{secrets.token_hex(6)}"
    os.environ.setdefault("CHAT_CASSANDRA_REPLICATION", "datacenter1:1")
# Before any test module is imported: many import models.
django.setup()
# Not for the workers of pytest-xdist: with it in their environment pytest-django would read the settings before this
# file has chosen their directory, and all workers would share one log.
del os.environ["DJANGO_SETTINGS_MODULE"]

# The same examples at every run: a red test is red for everybody. ``--hypothesis-profile=thorough`` looks further.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile("ci")

# Argon2 as it is, but not as slow: a login would cost 50 ms and 100 MB on purpose.
Argon2PasswordHasher.time_cost, Argon2PasswordHasher.memory_cost, Argon2PasswordHasher.parallelism = 1, 8, 1

#: What ``make_user`` signs people up with.
PASSWORD = "correct-horse-7"

T = TypeVar("T")

pytest_plugins = ["tests.servers.fixtures", "tests.stores"]


def outside_the_loop(function: Callable[[], T]) -> T:
    """Return what ``function`` returns; where an event loop runs here, call it in a thread, as Django's ORM demands.

    Tests that do so need ``django_db(transaction=True)``.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function()
    from django.db import connections

    outcome: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]


async def eventually(holds: Callable[[], Any], timeout_s: float = 10.0) -> None:
    """Return once ``holds()`` (or what it awaits) is true; for what has no event to wait for. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = holds()
            if await held if asyncio.iscoroutine(held) else held:
                return
            await asyncio.sleep(0.01)


@cache
def _hashed(password: str) -> str:
    from django.contrib.auth.hashers import make_password

    return make_password(password)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """With CHAT_STORE=cassandra, make the run's keyspace as well, and drop it in the end."""
    from django.conf import settings
    from django.core.management import call_command

    from chatproject import container

    if settings.ENV["CHAT_STORE"] != "cassandra":
        yield
        return
    call_command("cassandra_schema", verbosity=0)
    yield
    session = container.cassandra()
    session.define(f"DROP KEYSPACE {session.keyspace}")


@pytest.fixture(scope="session", autouse=True)
def _the_audit_log_may_be_emptied() -> Iterator[None]:
    """After a test with ``transaction=True`` Django empties all tables; the audit log's let nobody do that."""
    from django.db.backends.base.operations import BaseDatabaseOperations

    from messaging.compliance import guards

    execute = BaseDatabaseOperations.execute_sql_flush

    def unguarded(operations: Any, statements: list[str]) -> None:
        guards.drop(operations.connection)
        execute(operations, statements)
        guards.create(operations.connection)

    BaseDatabaseOperations.execute_sql_flush = unguarded  # type: ignore[method-assign]
    yield
    BaseDatabaseOperations.execute_sql_flush = execute  # type: ignore[method-assign]


@pytest.fixture(scope="session", autouse=True)
def _what_a_migration_leaves_is_put_back() -> Iterator[None]:
    """After a test with ``transaction=True`` Django makes content types, permissions and roles anew, which takes long.

    On SQLite that happens once; from then on the rows that it left are put back.
    """
    from django.core.management.commands import flush
    from django.db import connections, transaction

    emit = flush.emit_post_migrate_signal
    kept: dict[str, dict[str, list[tuple[Any, ...]]]] = {}

    def put_back(verbosity: int, interactive: bool, db: str, **kwargs: Any) -> None:
        connection = connections[db]
        if connection.vendor != "sqlite":
            emit(verbosity, interactive, db, **kwargs)
            return
        with transaction.atomic(using=db), connection.cursor() as cursor:
            if db not in kept:
                emit(verbosity, interactive, db, **kwargs)
                kept[db] = {}
                for table in connection.introspection.django_table_names(only_existing=True, include_views=False):
                    cursor.execute(f"SELECT * FROM {table}")
                    if rows := cursor.fetchall():
                        kept[db][table] = rows
                return
            for table, rows in kept[db].items():
                places = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({places})", rows)

    flush.emit_post_migrate_signal = put_back
    yield
    flush.emit_post_migrate_signal = emit


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_looked_up_once() -> Iterator[None]:
    """Every client of a test builds the middleware anew, which would look at each of the page's 200 files again."""
    from servestatic.middleware import ServeStaticMiddleware

    look_up = ServeStaticMiddleware.add_files_from_finders
    found: dict[tuple[Any, ...], tuple[dict[str, Any], list[tuple[str, str]]]] = {}

    def look_up_once(middleware: Any) -> None:
        key = middleware.static_prefix, middleware.max_age, middleware.autorefresh
        if key not in found:
            look_up(middleware)
            found[key] = middleware.files, middleware.directories
        middleware.files, middleware.directories = (kind.copy() for kind in found[key])

    ServeStaticMiddleware.add_files_from_finders = look_up_once
    yield
    ServeStaticMiddleware.add_files_from_finders = look_up


def forget_adapters() -> None:
    """Forget what a process remembers; what comes next begins as after a restart, with the same files."""
    from channels.layers import channel_layers
    from django.core.cache import cache as django_cache

    from chatproject import container

    for factory in vars(container).values():
        if hasattr(factory, "cache_clear"):
            factory.cache_clear()
    channel_layers.backends.clear()
    django_cache.clear()


@pytest.fixture(autouse=True)
def _fresh_process_state() -> Iterator[None]:
    """Every test begins with new adapters, an empty log and empty throttles."""
    yield
    from django.conf import settings

    from chatproject import container

    if container.message_log.cache_info().currsize:
        asyncio.run(container.message_log().close())
        for file in Path(settings.DATA_DIR).glob("log.sqlite3*"):
            file.unlink()
    if container.search_index.cache_info().currsize:
        for file in Path(settings.DATA_DIR).glob("search.sqlite3*"):
            file.unlink()
    forget_adapters()


@pytest.fixture(autouse=True)
def _no_error_in_the_log(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test may make the server log an error or a traceback, but those marked ``logs_errors``."""
    yield
    if request.node.get_closest_marker("logs_errors") is None:
        records = [it for when in ("setup", "call") for it in caplog.get_records(when)]
        # kafka-python calls it an error that a request was under way when it was closed.
        bad = [it for it in records if it.levelno >= logging.ERROR and not it.name.startswith("kafka.")]
        assert [f"{it.name}: {it.getMessage()}" for it in bad] == []


@pytest.fixture
def jobs_run_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run jobs in the caller; that a worker takes them from the queue is tested with the jobs.

    Those that are to run in a while do not run: one that looks for what is due and queues itself again would find
    itself too early again and again.
    """
    from celery.result import EagerResult
    from celery.states import PENDING

    from chatproject.celery import app

    apply = app.Task.apply

    def apply_now(self: Any, *args: Any, **options: Any) -> Any:
        if options.get("countdown"):
            return EagerResult(options.get("task_id"), None, PENDING)
        return apply(self, *args, **options)

    monkeypatch.setattr(app.Task, "apply", apply_now)
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


@pytest.fixture
def make_user(db: None) -> Callable[..., Any]:
    """Return ``make_user(username=None, *, password=PASSWORD, **fields) -> accounts.models.User``."""
    from accounts.models import User

    made = 0

    def make(username: str | None = None, *, password: str = PASSWORD, **fields: Any) -> User:
        nonlocal made
        made += 1
        name = username or f"user{made}"
        return outside_the_loop(lambda: User.objects.create(username=name, password=_hashed(password), **fields))

    return make


@pytest.fixture
def make_dm(db: None) -> Callable[..., Any]:
    """Return ``make_dm(a, b) -> messaging.domain.messages.Conversation`` between two users."""
    from chatproject import container
    from messaging.domain.ids import ConversationId, UserId, new_random_id
    from messaging.domain.messages import Conversation, ConversationType
    from messaging.ports import NewConversation

    def make(first: Any, second: Any) -> Conversation:
        new = NewConversation(
            ConversationId(new_random_id()),
            ConversationType.DM,
            UserId(first.pk),
            (UserId(first.pk), UserId(second.pk)),
        )
        return outside_the_loop(lambda: container.conversation_store().create(new)[0])

    return make


@pytest.fixture
def make_group(db: None) -> Callable[..., Any]:
    """Return ``make_group(owner, *others, name="Group") -> messaging.domain.messages.Conversation``."""
    from chatproject import container
    from messaging.domain.ids import ConversationId, UserId, new_random_id
    from messaging.domain.messages import Conversation, ConversationType
    from messaging.ports import NewConversation

    def make(owner: Any, *others: Any, name: str = "Group") -> Conversation:
        members = tuple(UserId(user.pk) for user in (owner, *others))
        small = len(members) <= container.limits().max_group_small
        new = NewConversation(
            ConversationId(new_random_id()),
            ConversationType.GROUP_SMALL if small else ConversationType.GROUP_LARGE,
            UserId(owner.pk),
            members,
            name,
        )
        return outside_the_loop(lambda: container.conversation_store().create(new)[0])

    return make


#: Tests that use one of these talk to a real server.
_SERVERS: Final = {
    "redis_server", "redis_cluster", "kafka_server", "kafka_cluster", "cassandra_server", "postgres_server",
    "own_service",
}  # fmt: skip
#: Tests with one of these as a parameter do, too.
_ENGINES: Final = {"redis", "redis-cluster", "kafka", "cassandra", "orm-postgresql"}
#: Tests that use this talk over sockets to a gateway, which is in their own process.
_GATEWAY: Final = "start_server"

#: A line that says where in our own code it was, or names an exception and says what it has to say.
_TOLD: Final = re.compile(r"tests/\S+:\d+:|[\s|E]*[A-Za-z_][\w.]*: \S")

#: What stands there uses a browser, or the server that browsers visit.
_BROWSER_TESTS: Final = Path(__file__).parent / "e2e"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this suite."""
    parser.addoption("--full-stack", action="store_true", help="run every browser test on the full stack as well")
    parser.addoption("--gallery", action="store_true", help="keep the pictures that test_states takes, for docs/")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Run the browser last; give tests that wait for others a second try (docs/decisions/0033).

    What uses a server is slow, whatever it does there; what stands in tests/e2e is ``e2e`` and slow. They are marked
    before pytest selects by ``-m``.
    """
    for item in items:
        uses_server = _uses_server(item)
        if _BROWSER_TESTS in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.slow)
        if uses_server:
            item.add_marker(pytest.mark.slow)
        uses_gateway = _GATEWAY in getattr(item, "fixturenames", ())
        if item.get_closest_marker("e2e") or item.get_closest_marker("process") or uses_server or uses_gateway:
            item.add_marker(pytest.mark.flaky(reruns=1))
    yield
    # Playwright keeps an event loop running in the main thread from its first test on. After pytest's sorting, which
    # brings tests together that share a parameter of the session.
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


def _uses_server(item: pytest.Item) -> bool:
    """Return whether one of its fixtures is a server, or its parameter the engine that a contract suite runs on."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    engines = {value for value in parameters if isinstance(value, str)} & _ENGINES
    return bool(engines or _SERVERS.intersection(getattr(item, "fixturenames", ())))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With REQUIRE_SERVICES=1 a test that was left out fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    required = os.environ.get("REQUIRE_SERVICES") == "1"
    if required and reporter is not None and left_out_of(reporter) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """End with what passed at the second try only, and with what was left out, and why."""
    again = terminalreporter.stats.get("rerun", [])
    if again:
        terminalreporter.section("failed the first time")
        for report in again:
            terminalreporter.write_line(report.nodeid, yellow=True)
            # The way to where it broke, what was raised, and the end of why: nothing else of the first try is kept.
            why = report.longreprtext.splitlines()
            told = [*[line for line in why[:-12] if _TOLD.match(line)][-12:], *why[-12:]]
            terminalreporter.write_line("  " + "\n  ".join(told))
    left_out = left_out_of(terminalreporter)
    terminalreporter.section("left out")
    for nodeid, reason in left_out:
        terminalreporter.write_line(f"{nodeid}: {reason}")
    if not left_out:
        terminalreporter.write_line("nothing")
    elif os.environ.get("REQUIRE_SERVICES") == "1":
        terminalreporter.write_line("REQUIRE_SERVICES=1: this is a failure", red=True)
