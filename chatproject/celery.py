"""The Celery application; what it runs on is in the settings under ``CELERY_``."""

from celery import Celery

app = Celery("chatproject", task_cls="messaging.adapters.job_results:Job")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
