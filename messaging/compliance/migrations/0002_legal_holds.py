import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0001_audit"),
    ]

    operations = [
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("case", models.CharField(db_index=True, max_length=120)),
                ("reason", models.TextField()),
                ("user_id", models.BigIntegerField(db_index=True, null=True)),
                ("conversation_id", models.BigIntegerField(db_index=True, null=True)),
                ("begins_at", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                ("placed_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("placed_by", models.BigIntegerField()),
                ("release_requested_at", models.DateTimeField(null=True)),
                ("release_requested_by", models.BigIntegerField(null=True)),
                ("released_at", models.DateTimeField(db_index=True, null=True)),
                ("released_by", models.BigIntegerField(null=True)),
            ],
            options={
                "verbose_name": "legal hold",
                "db_table": "legal_holds",
                "permissions": [("release_hold", "Can ask for and agree to the release of a legal hold")],
                "default_permissions": ("add", "view"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("user_id", None), ("conversation_id", None), _connector="OR"),
                        name="hold_on_one_thing",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("released_by", None),
                            models.Q(("released_by", models.F("release_requested_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="two_release_a_hold",
                    ),
                ],
            },
        ),
    ]
