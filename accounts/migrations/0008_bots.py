"""Accounts of programs, with tokens of their own."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_identity"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="is_bot",
            field=models.BooleanField(default=False, editable=False),
        ),
        migrations.AddField(
            model_name="device",
            name="conversations",
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name="device",
            name="scopes",
            field=models.JSONField(null=True),
        ),
        migrations.AlterField(
            model_name="device",
            name="kind",
            field=models.CharField(
                choices=[("token", "Token"), ("web", "Web"), ("bot", "Bot"), ("hook", "Hook")], max_length=8
            ),
        ),
        migrations.CreateModel(
            name="Bot",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="bot",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("description", models.CharField(blank=True, max_length=300)),
                (
                    "direct",
                    models.CharField(
                        choices=[("everyone", "Everybody"), ("owner", "Its owner only")],
                        default="everyone",
                        max_length=8,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "owner",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="bots",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]
