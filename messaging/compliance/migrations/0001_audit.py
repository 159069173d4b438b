"""The audit log, and the triggers that keep it append-only."""

from typing import Any

from django.db import migrations, models

from messaging.compliance import guards


def guard(apps: Any, schema_editor: Any) -> None:
    guards.create(schema_editor.connection)


def unguard(apps: Any, schema_editor: Any) -> None:
    guards.drop(schema_editor.connection)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditCheckpoint",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("entry_hash", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                ("key", models.CharField(max_length=16)),
                ("signature", models.CharField(max_length=86)),
            ],
            options={
                "db_table": "audit_checkpoints",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_index=True)),
                ("actor", models.CharField(db_index=True, max_length=32)),
                ("action", models.CharField(db_index=True, max_length=48)),
                ("object", models.CharField(db_index=True, max_length=120)),
                ("reason", models.TextField(blank=True)),
                ("case", models.CharField(blank=True, db_index=True, max_length=120)),
                ("details", models.JSONField(blank=True, default=dict)),
                ("prev_hash", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "db_table": "audit_entries",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="AuditOutlet",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField(default=0)),
                ("checkpoint_seq", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "audit_outlet",
                "default_permissions": (),
            },
        ),
        migrations.RunPython(guard, unguard),
    ]
