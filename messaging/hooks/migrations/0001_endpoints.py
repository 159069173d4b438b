"""Where bots have events sent, and each event on its way."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import messaging.domain.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0008_bots"),
    ]

    operations = [
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=messaging.domain.ids.new_random_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("url", models.CharField(max_length=500)),
                ("secret", models.TextField()),
                ("events", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("off_at", models.DateTimeField(null=True)),
                ("off_reason", models.CharField(blank=True, max_length=120)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failing_since", models.DateTimeField(null=True)),
                ("paused_until", models.DateTimeField(null=True)),
                ("last_error", models.CharField(blank=True, max_length=160)),
                ("last_success_at", models.DateTimeField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                (
                    "bot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="endpoints", to="accounts.bot"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=messaging.domain.ids.new_random_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("type", models.CharField(max_length=20)),
                ("conversation_id", models.BigIntegerField()),
                ("at", models.BigIntegerField()),
                ("target", models.BigIntegerField()),
                ("actor", models.BigIntegerField()),
                ("emoji", models.CharField(blank=True, max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("sent", "Sent"),
                            ("skipped", "Not the bot's to see any more"),
                            ("dead", "Given up"),
                        ],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("next_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_error", models.CharField(blank=True, max_length=160)),
                ("done_at", models.DateTimeField(null=True)),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="deliveries", to="hooks.endpoint"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "deliveries",
                "indexes": [
                    models.Index(fields=["endpoint", "state", "at"], name="hooks_deliv_endpoin_91b346_idx"),
                    models.Index(fields=["state", "next_at"], name="hooks_deliv_state_ea1b74_idx"),
                    models.Index(fields=["done_at"], name="hooks_deliv_done_at_7c00c8_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("endpoint", "at", "type"), name="one_delivery_per_event")
                ],
            },
        ),
    ]
