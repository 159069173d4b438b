"""The product's settings for the workers of these tests: jobs of our own, the test's database, and less patience."""

import os

from chatproject.settings import *  # noqa: F403
from chatproject.settings import CELERY_BEAT_SCHEDULE, CELERY_BROKER_TRANSPORT_OPTIONS, DATABASES

DATABASES["default"]["NAME"] = os.environ["JOBS_TEST_DATABASE"]
CELERY_IMPORTS = ["tests.jobs.tasks"]
# An embedded worker has a clock whether its test wants one or not.
_TICK = {**CELERY_BEAT_SCHEDULE["trim-log"], "task": "tests.jobs.tasks.tick", "schedule": 0.5}
CELERY_BEAT_SCHEDULE = {"tick": _TICK} if "JOBS_TEST_TICKS" in os.environ else {}
JOB_ROUTES = {"collected": "tests.jobs.tasks.collect", "unread": "tests.jobs.tasks.none_such"}
if "JOBS_TEST_VISIBILITY_S" in os.environ:
    CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] = int(os.environ["JOBS_TEST_VISIBILITY_S"])

# Nobody listens there.
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", 1
