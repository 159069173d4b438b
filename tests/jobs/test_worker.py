"""Jobs on both brokers, with real workers: they run, are tried again, survive their worker, and show in the admin."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
from celery.beat import PersistentScheduler
from django.test import Client
from django.utils import timezone
from django_celery_results.models import TaskResult
from kombu.exceptions import OperationalError

from accounts.models import User
from accounts.tasks import send_mail_task
from chatproject.celery import app
from messaging.adapters.redis import options
from tests.jobs import tasks
from tests.jobs.conftest import Jobs
from tests.servers.base import free_port
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

SECRET = "https://chat.example/reset/3k-9f-secret"


@pytest.fixture
def staff(make_user: Callable[..., User], client: Client) -> Client:
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


def page(staff: Client, path: str = "") -> str:
    return staff.get(f"/admin/django_celery_results/taskresult/{path}").content.decode()


def test_a_job_runs_and_shows_in_the_admin_without_its_arguments(jobs: Jobs, staff: Client) -> None:
    jobs.worker()
    task_id = jobs.queue(tasks.say, str(jobs.folder), text=SECRET)
    result = jobs.until_state(task_id, "SUCCESS")
    assert jobs.traces() == [SECRET]
    listed, shown = page(staff), page(staff, f"{result.pk}/change/")
    for html in (listed, shown):
        assert "tests.jobs.tasks.say" in html
        assert "SUCCESS" in html
        assert "3k-9f" not in html
    assert '<td class="field-attempts">1</td>' in listed
    assert "not shown" in shown
    assert result.date_started <= result.date_done
    assert staff.post(f"/admin/django_celery_results/taskresult/{result.pk}/delete/").status_code == 403
    assert staff.get("/admin/django_celery_results/taskresult/add/").status_code == 403


def test_a_job_that_is_tried_again_shows_its_attempts(jobs: Jobs, staff: Client) -> None:
    jobs.worker()
    succeeded = jobs.queue(tasks.succeed_at, str(jobs.folder), 3)
    jobs.until_state(succeeded, "SUCCESS")
    assert jobs.traces() == ["attempt 1", "attempt 2", "attempt 3"]
    assert '<td class="field-attempts">3</td>' in page(staff)
    failed = jobs.until_state(jobs.queue(tasks.succeed_at, str(jobs.folder), 99), "FAILURE")
    shown = page(staff, f"{failed.pk}/change/")
    assert "not yet" in shown
    assert "Traceback" in shown
    assert '<td class="field-attempts">6</td>' in page(staff)


def test_a_job_that_waits_for_its_next_attempt_shows_why(jobs: Jobs, staff: Client) -> None:
    running = jobs.worker()
    # Nobody listens there: an OSError, after which the mail is tried again in some seconds.
    task_id = jobs.queue(send_mail_task, "Subject", SECRET, "chat@localhost", ["ann@example.org"])
    result = jobs.until_state(task_id, "RETRY")
    shown = page(staff, f"{result.pk}/change/")
    assert "ConnectionRefusedError" in shown
    assert "accounts.tasks.send_mail_task" in shown
    assert "3k-9f" not in shown
    assert "3k-9f" not in running.output


def test_a_job_of_a_killed_worker_runs_again(jobs: Jobs) -> None:
    # Of the Redis broker; twenty minutes otherwise.
    jobs.environment["JOBS_TEST_VISIBILITY_S"] = "2"
    killed = jobs.worker()
    task_id = jobs.queue(tasks.wait, str(jobs.folder))
    jobs.until(lambda: len(jobs.traces()) == 1)
    children = killed.children()
    killed.kill()
    jobs.until(lambda: not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children))
    jobs.worker()
    jobs.until(lambda: len(jobs.traces()) == 2)
    jobs.go()
    jobs.until_state(task_id, "SUCCESS")
    assert jobs.traces()[2:] == ["ended"]


def test_a_worker_finishes_what_is_at_hand(jobs: Jobs) -> None:
    running = jobs.worker()
    task_id = jobs.queue(tasks.wait, str(jobs.folder))
    jobs.until(lambda: len(jobs.traces()) == 1)
    running.process.terminate()
    running.until_said("Warm shutdown")
    jobs.go()
    assert running.process.wait(timeout=30) == 0, running.output
    assert jobs.traces()[1:] == ["ended"]
    assert TaskResult.objects.get(task_id=task_id).status == "SUCCESS"


# --- on Redis alone -----------------------------------------------------------------------------------


@pytest.fixture
def server(own_service: Callable[[type[RedisServer]], RedisServer]) -> RedisServer:
    return own_service(RedisServer)


@pytest.fixture
def on_redis(server: RedisServer, make_jobs: Callable[..., Jobs]) -> Jobs:
    return make_jobs("redis", server.environment()["CHAT_REDIS_URL"])


def test_a_job_whose_process_is_killed_runs_again_within_seconds(on_redis: Jobs) -> None:
    on_redis.worker()
    task_id = on_redis.queue(tasks.wait, str(on_redis.folder))
    on_redis.until(lambda: len(on_redis.traces()) == 1)
    psutil.Process(int(on_redis.traces()[0].split()[1])).kill()
    on_redis.until(lambda: len(on_redis.traces()) == 2)
    on_redis.go()
    on_redis.until_state(task_id, "SUCCESS")


def test_a_worker_comes_back_to_a_redis_that_was_away(on_redis: Jobs, server: RedisServer) -> None:
    on_redis.worker()
    on_redis.until_state(on_redis.queue(tasks.say, str(on_redis.folder), "before"), "SUCCESS")
    server.kill()
    server.start()
    on_redis.until_state(on_redis.queue(tasks.say, str(on_redis.folder), "after"), "SUCCESS")
    assert on_redis.traces() == ["before", "after"]


def test_jobs_that_end_while_redis_is_away_keep_no_place_of_the_worker(on_redis: Jobs, server: RedisServer) -> None:
    """Their end cannot be acknowledged, and a worker takes so many unacknowledged jobs only."""
    running = on_redis.worker()
    for _ in range(2):
        on_redis.queue(tasks.wait, str(on_redis.folder))
    on_redis.until(lambda: len(on_redis.traces()) == 2)
    server.kill()
    on_redis.go()
    on_redis.until(lambda: on_redis.traces().count("ended") == 2)
    # By one job's acknowledgement, or on its own.
    on_redis.until(lambda: "Couldn't ack" in running.output or "onnection to broker lost" in running.output)
    server.start()
    on_redis.until_state(on_redis.queue(tasks.say, str(on_redis.folder), "after"), "SUCCESS")


@pytest.mark.parametrize("harm", ["kill", "pause"])
def test_who_queues_a_job_soon_learns_that_redis_is_out(on_redis: Jobs, server: RedisServer, harm: str) -> None:
    getattr(server, harm)()
    started = time.monotonic()
    try:
        with pytest.raises(OperationalError):
            on_redis.queue(tasks.say, str(on_redis.folder), "lost")
    finally:
        server.resume()
    assert time.monotonic() - started < 12


def test_the_clock_is_one_process_for_all_workers(on_redis: Jobs, server: RedisServer) -> None:
    def ticks() -> int:
        return TaskResult.objects.filter(task_name="tests.jobs.tasks.tick", status="SUCCESS").count()

    on_redis.environment["JOBS_TEST_TICKS"] = "1"
    clock = on_redis.run("beat")
    on_redis.worker()
    on_redis.until(lambda: ticks() >= 2)
    server.kill()
    server.start()
    before = ticks()
    on_redis.until(lambda: ticks() >= before + 2)
    assert clock.stop() == 0, clock.output
    assert "Traceback" not in clock.output


def test_there_is_no_clock_beside_an_embedded_worker(make_jobs: Callable[..., Jobs]) -> None:
    refused = make_jobs("embedded").run("beat")
    assert refused.process.wait(timeout=60) == 1
    assert "the embedded worker has the clock" in refused.output


# --- results ------------------------------------------------------------------------------------------


def test_old_results_go(tmp_path: Any) -> None:
    for name, days in (("old", 8), ("new", 6)):
        result = TaskResult.objects.create(task_id=name, task_name=name)
        TaskResult.objects.filter(pk=result.pk).update(date_done=timezone.now() - timedelta(days=days))
    app.backend.cleanup()
    assert [result.task_id for result in TaskResult.objects.all()] == ["new"]
    scheduler = PersistentScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    assert "celery.backend_cleanup" in scheduler.schedule
    scheduler.close()


def test_a_job_may_wait_for_its_retry_and_run_without_running_twice() -> None:
    longest_wait_s = max(getattr(task, "retry_backoff_max", 0) for task in app.tasks.values())
    assert send_mail_task.retry_backoff_max == longest_wait_s
    assert longest_wait_s + app.conf.task_time_limit < options.VISIBILITY_TIMEOUT_S


def test_a_worker_shows_what_becomes_of_its_jobs(jobs: Jobs) -> None:
    port = free_port()
    jobs.environment["CHAT_METRICS_PORT"] = str(port)
    jobs.worker()
    jobs.until_state(jobs.queue(tasks.succeed_at, str(jobs.folder), 3), "SUCCESS")
    jobs.until_state(jobs.queue(tasks.fail), "FAILURE")

    def shown() -> str:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    # The result is written by whoever ran the job, which may be a child; it is counted when that is over.
    jobs.until(lambda: 'chat_jobs_failed_total{task="tests.jobs.tasks.fail"} 1.0' in shown())
    numbers = shown()
    assert 'chat_jobs_retried_total{task="tests.jobs.tasks.succeed_at"} 2.0' in numbers
    assert 'chat_job_wait_seconds_count{task="tests.jobs.tasks.succeed_at"} 3.0' in numbers
    assert 'chat_jobs_failed_total{task="tests.jobs.tasks.succeed_at"}' not in numbers
    # What jobs count by themselves, whichever process they run in.
    for _ in range(5):
        jobs.queue(tasks.count)
    jobs.until(lambda: "chat_test_counted_total 5.0" in shown())


def test_a_worker_that_says_everything_does_not_say_what_its_jobs_are_about(jobs: Jobs) -> None:
    jobs.environment |= {"CHAT_LOG_LEVEL": "DEBUG", "CHAT_LOG_FORMAT": "json", "CHAT_POD": "worker-7"}
    running = jobs.worker()
    jobs.until_state(jobs.queue(tasks.say, str(jobs.folder), text=SECRET), "SUCCESS")
    jobs.until_state(jobs.queue(tasks.fail), "FAILURE")
    # A child has the result kept; its parent tells of it, perhaps a moment later.
    running.until_said("ValueError: for good")
    lines = [json.loads(line) for line in running.output.splitlines() if line.startswith("{")]
    assert {line["pod"] for line in lines} == {"worker-7"}
    assert any("ValueError: for good" in line.get("error", "") for line in lines)
    assert "3k-9f" not in running.output
    # It would name the jobs with their arguments.
    assert "TaskPool: Apply" not in running.output
