"""Accounts that are to be erased, and how far that is."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rights", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("asked", "asked for"),
                            ("erasing", "under way"),
                            ("held", "waits: some is kept"),
                            ("done", "done"),
                            ("cancelled", "taken back"),
                        ],
                        default="asked",
                        max_length=10,
                    ),
                ),
                ("asked_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("asked_by", models.BigIntegerField(null=True)),
                ("due_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("after", models.BigIntegerField(default=0)),
                ("message_after", models.BigIntegerField(default=0)),
                ("walked", models.BooleanField(default=False)),
                ("conversations", models.PositiveIntegerField(default=0)),
                ("messages", models.PositiveBigIntegerField(default=0)),
                ("told", models.BooleanField(default=False)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="erasures",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "permissions": [("order_erasure", "Can have an account erased")],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="ErasureRest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("conversation_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField()),
                ("ranges", models.JSONField(default=list)),
                ("at", models.BigIntegerField(default=0)),
                ("still", models.BigIntegerField(null=True)),
                ("looked", models.BooleanField(default=False)),
                (
                    "erasure",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="rests", to="rights.erasure"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="erasure",
            index=models.Index(fields=["state", "next_at"], name="erasures_due"),
        ),
        migrations.AddConstraint(
            model_name="erasure",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["asked", "erasing", "held"])),
                fields=("user",),
                name="one_erasure_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="erasurerest",
            constraint=models.UniqueConstraint(fields=("erasure", "conversation_id"), name="one_rest_per_conversation"),
        ),
    ]
