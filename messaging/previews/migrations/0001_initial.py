import django.db.models.deletion
from django.db import migrations, models

import messaging.domain.ids


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="LinkPreview",
            fields=[
                (
                    "id",
                    models.BigIntegerField(
                        default=messaging.domain.ids.new_random_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.CharField(max_length=64)),
                ("url", models.TextField()),
                ("title", models.CharField(blank=True, max_length=200)),
                ("description", models.CharField(blank=True, max_length=300)),
                ("image_key", models.CharField(blank=True, max_length=80)),
                ("width", models.PositiveIntegerField(null=True)),
                ("height", models.PositiveIntegerField(null=True)),
                ("fetched_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["digest", "fetched_at"], name="preview_by_url"),
                    models.Index(fields=["fetched_at"], name="preview_by_age"),
                ],
            },
        ),
        migrations.CreateModel(
            name="PreviewUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("conversation_id", models.BigIntegerField()),
                ("message_id", models.BigIntegerField()),
                ("removed", models.BooleanField(default=False)),
                (
                    "preview",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uses",
                        to="previews.linkpreview",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("conversation_id", "message_id"), name="one_preview")],
            },
        ),
    ]
