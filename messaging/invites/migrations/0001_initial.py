import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import messaging.invites.models


class Migration(migrations.Migration):
    initial = True

    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.CreateModel(
            name="Invite",
            fields=[
                (
                    "token",
                    models.CharField(
                        default=messaging.invites.models.new_token,
                        editable=False,
                        max_length=32,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("conversation_id", models.BigIntegerField(db_index=True)),
                ("created_by", models.BigIntegerField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField(null=True)),
                ("max_uses", models.PositiveIntegerField(null=True)),
                ("uses", models.PositiveIntegerField(default=0)),
                ("approval", models.BooleanField(default=False)),
                ("revoked_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="JoinRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("conversation_id", models.BigIntegerField()),
                ("user_id", models.BigIntegerField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("declined_at", models.DateTimeField(null=True)),
                (
                    "invite",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="invites.invite"),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("conversation_id", "user_id"), name="one_join_request")
                ],
            },
        ),
    ]
