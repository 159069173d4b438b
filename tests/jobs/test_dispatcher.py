"""From the log to jobs: nothing is committed that the broker does not have, and nobody's poison stops the rest."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY

from chatproject import container, runtime
from messaging.adapters.embedded.log import SqliteMessageLog
from messaging.dispatcher import GROUP, Dispatcher, find_task
from messaging.domain.events import DeadRecord
from messaging.ports import TOPIC_DEAD, NewRecord
from tests.adapters.test_redis_registry import until
from tests.jobs.conftest import Jobs
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

COLLECT = "tests.jobs.tasks.collect"


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[SqliteMessageLog]:
    log = SqliteMessageLog(tmp_path / "data" / "log.sqlite3")
    yield log
    await log.close()


@pytest.fixture
async def dispatch(log: SqliteMessageLog) -> AsyncIterator[Callable[..., Any]]:
    """Return ``dispatch(jobs, routes, **options)``, which starts a dispatcher on this log."""
    started: list[Dispatcher] = []

    async def start(jobs: Jobs, routes: dict[str, str], **options: Any) -> Dispatcher:
        started.append(Dispatcher(log=log, app=jobs.app(), routes=routes, **options))
        await started[-1].start()
        return started[-1]

    yield start
    for dispatcher in started:
        await dispatcher.stop()


async def write(log: SqliteMessageLog, folder: Path, *texts: str, topic: str = "collected") -> None:
    for text in texts:
        await log.append(NewRecord(topic, str(folder).encode(), msgspec.msgpack.encode(text)))


async def test_records_become_jobs_in_their_order(jobs: Jobs, log: Any, dispatch: Callable[..., Any]) -> None:
    texts = [f"text {number}" for number in range(250)]
    await write(log, jobs.folder, *texts)
    await dispatch(jobs, {"collected": COLLECT})
    await asyncio.to_thread(jobs.worker)
    await until(lambda: len(jobs.traces()) == 250, timeout_s=60)
    # Jobs run beside each other; within one, records keep their order.
    assert sorted(jobs.traces()) == sorted(texts)
    assert [text for text in jobs.traces() if text in texts[:100]] == texts[:100]
    await until(lambda: no_lag(log), timeout_s=10)
    await write(log, jobs.folder, "one more")
    await until(lambda: "one more" in jobs.traces(), timeout_s=30)


async def no_lag(log: SqliteMessageLog, topic: str = "collected") -> bool:
    return await log.lag(topic, group=GROUP) == 0


async def test_a_topic_without_a_task_waits_in_the_log(jobs: Jobs, log: Any, dispatch: Callable[..., Any]) -> None:
    await write(log, jobs.folder, "later", topic="unread")
    await write(log, jobs.folder, "now")
    await dispatch(jobs, {"unread": "no.such.module.task", "collected": COLLECT})
    await until(lambda: no_lag(log), timeout_s=10)
    assert await log.lag("unread", group=GROUP) == 1


def test_a_task_that_does_not_exist_is_none_and_a_broken_module_an_error(tmp_path: Path, monkeypatch: Any) -> None:
    app = Jobs("embedded", "", {}, tmp_path, []).app()
    assert find_task(app, COLLECT).name == COLLECT
    assert find_task(app, "tests.jobs.tasks.none_such") is None
    assert find_task(app, "tests.none_such.tasks.collect") is None
    (tmp_path / "broken_tasks.py").write_text("import none_such_either")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError):
        find_task(app, "broken_tasks.collect")


@pytest.mark.logs_errors
async def test_poison_goes_to_the_dead_and_the_rest_to_the_job(
    jobs: Jobs, log: Any, dispatch: Callable[..., Any]
) -> None:
    await write(log, jobs.folder, "before")
    place = await log.append(NewRecord("collected", b"k", b"\xc1 is nothing"))
    await write(log, jobs.folder, "after")
    await dispatch(jobs, {"collected": COLLECT})
    await until(lambda: no_lag(log), timeout_s=10)
    await asyncio.to_thread(jobs.worker)
    await until(lambda: jobs.traces() == ["before", "after"], timeout_s=30)
    reader = log.reader(TOPIC_DEAD, group="test")
    [buried] = await reader.poll(max_records=10, timeout_s=1)
    dead = msgspec.msgpack.decode(buried.payload, type=DeadRecord)
    assert (dead.topic, dead.partition, dead.offset) == ("collected", place.partition, place.offset)
    assert dead.payload == b"\xc1 is nothing"
    assert dead.reason
    await reader.close()


async def test_a_full_queue_leaves_the_rest_in_the_log(jobs: Jobs, log: Any, dispatch: Callable[..., Any]) -> None:
    texts = [f"text {number}" for number in range(150)]
    await write(log, jobs.folder, *texts)
    dispatcher = await dispatch(jobs, {"collected": COLLECT}, max_waiting=1)
    await until(lambda: held() == 1, timeout_s=10)
    await dispatcher.stop()
    assert await log.lag("collected", group=GROUP) == 150
    await dispatch(jobs, {"collected": COLLECT}, max_waiting=1)
    await asyncio.to_thread(jobs.worker)
    await until(lambda: no_lag(log), timeout_s=60)
    await until(lambda: set(jobs.traces()) == set(texts), timeout_s=30)


def held(topic: str = "collected") -> float | None:
    return REGISTRY.get_sample_value("chat_dispatcher_held", {"topic": topic})


@pytest.mark.parametrize("harm", ["kill", "pause"])
async def test_a_broker_that_is_out_holds_the_topic(
    log: Any, dispatch: Callable[..., Any], make_jobs: Any, own_service: Any, harm: str
) -> None:
    server: RedisServer = own_service(RedisServer)
    jobs = make_jobs("redis", server.environment()["CHAT_REDIS_URL"])
    await dispatch(jobs, {"collected": COLLECT})
    await write(log, jobs.folder, "before")
    await until(lambda: no_lag(log), timeout_s=10)
    await asyncio.to_thread(getattr(server, harm))
    await write(log, jobs.folder, *(f"during {number}" for number in range(3)))
    await until(lambda: held() == 1, timeout_s=20)
    assert await log.lag("collected", group=GROUP) == 3
    await asyncio.to_thread(server.start if harm == "kill" else server.resume)
    await until(lambda: no_lag(log), timeout_s=30)
    assert held() == 0
    await asyncio.to_thread(jobs.worker)
    # A Redis that was killed has forgotten what it had. One that was silent may have a job twice.
    await until(lambda: set(jobs.traces()) >= {f"during {number}" for number in range(3)}, timeout_s=30)


# --- processes ----------------------------------------------------------------------------------------


async def test_it_is_a_process_of_its_own_where_engines_are_shared(log: Any, own_service: Any, make_jobs: Any) -> None:
    server: RedisServer = own_service(RedisServer)
    jobs = make_jobs("redis", server.environment()["CHAT_REDIS_URL"])
    jobs.environment |= {"CHAT_REGISTRY": "redis", "CHAT_LAYER": "redis"}
    dispatcher = jobs.run("dispatcher")
    await write(log, jobs.folder, "hello")
    await until(lambda: no_lag(log), timeout_s=60)
    assert await asyncio.to_thread(dispatcher.stop) == 0, dispatcher.output
    await asyncio.to_thread(jobs.worker)
    await until(lambda: jobs.traces() == ["hello"], timeout_s=30)


def test_it_refuses_where_the_gateway_dispatches(make_jobs: Any) -> None:
    refused = make_jobs("embedded").run("dispatcher")
    assert refused.process.wait(timeout=60) == 1
    assert "`manage.py gateway` dispatches as well" in refused.output


async def test_on_embedded_engines_it_runs_beside_gateway_and_router(settings: Any, tmp_path: Path) -> None:
    settings.JOB_ROUTES = {"collected": COLLECT}
    await runtime.start(runtime.ALL_ROLES)
    try:
        log: Any = container.message_log()
        await write(log, tmp_path, "hello")
        await until(lambda: no_lag(log), timeout_s=10)
    finally:
        await runtime.stop()
    waiting = list((settings.JOBS_DIR / "waiting").iterdir())
    assert [file for file in waiting if COLLECT in file.read_text()]
    for file in waiting:
        file.unlink()
