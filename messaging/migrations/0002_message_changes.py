"""Changes of messages: their table, what is folded into messages, reactions, and the newest row of a conversation."""

from typing import Any

from django.db import migrations, models
from django.db.models import F


def begin_last_id(apps: Any, schema_editor: Any) -> None:
    """Until there are changes, the newest row of a conversation is its newest message."""
    rows = apps.get_model("messaging", "ConversationRow").objects.using(schema_editor.connection.alias)
    rows.update(last_id=F("last_message_id"))


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="ReactionRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "conversation_id",
                        "target_id",
                        "emoji",
                        "user_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("conversation_id", models.BigIntegerField()),
                ("target_id", models.BigIntegerField()),
                ("emoji", models.CharField(max_length=64)),
                ("user_id", models.BigIntegerField()),
                ("change_id", models.BigIntegerField()),
                ("is_on", models.BooleanField()),
            ],
            options={
                "db_table": "message_reactions",
            },
        ),
        migrations.RemoveField(
            model_name="messagerow",
            name="deleted_at",
        ),
        migrations.RemoveField(
            model_name="messagerow",
            name="edited_at",
        ),
        migrations.AddField(
            model_name="conversationrow",
            name="last_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="messagerow",
            name="delete_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="messagerow",
            name="edit_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="messagerow",
            name="edited_body",
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name="messagerow",
            name="forwarded",
            field=models.BooleanField(db_default=False),
        ),
        migrations.CreateModel(
            name="MessageChangeRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "conversation_id", "change_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("conversation_id", models.BigIntegerField()),
                ("change_id", models.BigIntegerField()),
                ("target_id", models.BigIntegerField()),
                ("actor_id", models.BigIntegerField()),
                ("client_msg_id", models.BinaryField(max_length=16)),
                ("kind", models.CharField(max_length=8)),
                ("body", models.BinaryField()),
                ("emoji", models.CharField(blank=True, max_length=64)),
                ("is_on", models.BooleanField()),
                ("count", models.PositiveIntegerField()),
                ("prev_id", models.BigIntegerField(null=True)),
            ],
            options={
                "db_table": "message_changes",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("conversation_id", "actor_id", "client_msg_id"), name="one_change_per_client_id"
                    )
                ],
            },
        ),
        migrations.RunPython(begin_last_id, migrations.RunPython.noop),
    ]
