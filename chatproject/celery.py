"""The Celery application; what it runs on is in the settings under ``CELERY_``."""

from celery import Celery

app = Celery("chatproject")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
