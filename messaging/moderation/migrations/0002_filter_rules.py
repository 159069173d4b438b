"""Rules for texts, and what they brought to the moderators."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import messaging.moderation.models


class Migration(migrations.Migration):
    dependencies = [
        ("moderation", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="FilterRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80, unique=True)),
                ("kind", models.CharField(choices=messaging.moderation.models.rule_kinds, max_length=32)),
                (
                    "config",
                    models.TextField(
                        help_text="Words or domains: one a line, # begins a remark. A flood: times in seconds, as in 5 in 60.",
                        verbose_name="what it means",
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[("flag", "send it, and bring it to the moderators"), ("refuse", "refuse it")],
                        max_length=8,
                    ),
                ),
                ("enabled", models.BooleanField(default=True)),
                ("changed_at", models.DateTimeField(auto_now=True)),
            ],
        ),
        migrations.CreateModel(
            name="Flag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="flags", to="moderation.case"
                    ),
                ),
                (
                    "rule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="flags", to="moderation.filterrule"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("case", "rule"), name="one_flag_per_case_and_rule")],
            },
        ),
    ]
