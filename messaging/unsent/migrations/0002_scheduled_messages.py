import django.utils.timezone
from django.db import migrations, models

import messaging.domain.ids


class Migration(migrations.Migration):
    dependencies = [
        ("unsent", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ScheduledMessage",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=messaging.domain.ids.new_random_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("user_id", models.BigIntegerField()),
                ("conversation_id", models.BigIntegerField()),
                ("client_msg_id", models.BinaryField(max_length=16)),
                ("body", models.TextField(blank=True)),
                ("media", models.JSONField(default=list)),
                ("mentions", models.JSONField(default=list)),
                ("reply_to", models.CharField(max_length=40, null=True)),
                ("send_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "Waiting"), ("sending", "Sending"), ("failed", "Failed")],
                        default="waiting",
                        max_length=7,
                    ),
                ),
                ("taken_at", models.DateTimeField(null=True)),
                ("code", models.CharField(blank=True, max_length=20)),
                ("detail", models.CharField(blank=True, max_length=300)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "indexes": [models.Index(fields=["state", "send_at"], name="scheduled_by_time")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user_id", "conversation_id", "client_msg_id"), name="scheduled_once"
                    )
                ],
            },
        ),
    ]
