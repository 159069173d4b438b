import django.core.validators
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("compliance", "0002_legal_holds"),
    ]

    operations = [
        migrations.CreateModel(
            name="Sweep",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("finished_at", models.DateTimeField(null=True)),
                ("position", models.BigIntegerField(null=True)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("conversations", models.BigIntegerField(default=0)),
                ("due", models.BigIntegerField(default=0)),
                ("deleted", models.BigIntegerField(default=0)),
                ("held", models.BigIntegerField(default=0)),
                ("failed", models.BigIntegerField(default=0)),
            ],
            options={
                "db_table": "retention_sweeps",
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Jurisdiction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("user_id", models.BigIntegerField(null=True, unique=True)),
                ("conversation_id", models.BigIntegerField(null=True, unique=True)),
                (
                    "code",
                    models.CharField(
                        max_length=6,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{2}(-[A-Z0-9]{1,3})?\\Z", "A code as in ISO 3166: DE, US, US-CA."
                            )
                        ],
                    ),
                ),
            ],
            options={
                "db_table": "jurisdictions",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("conversation_id__isnull", False), ("user_id", None)),
                            models.Q(("conversation_id", None), ("user_id__isnull", False)),
                            _connector="OR",
                        ),
                        name="jurisdiction_of_one_thing",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RetentionPolicy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "jurisdiction",
                    models.CharField(
                        blank=True,
                        help_text="Empty: any.",
                        max_length=6,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{2}(-[A-Z0-9]{1,3})?\\Z", "A code as in ISO 3166: DE, US, US-CA."
                            )
                        ],
                    ),
                ),
                (
                    "conversation_type",
                    models.CharField(
                        blank=True,
                        choices=[("dm", "dm"), ("group_small", "group_small"), ("group_large", "group_large")],
                        help_text="Empty: any.",
                        max_length=12,
                    ),
                ),
                (
                    "min_days",
                    models.PositiveIntegerField(
                        blank=True, help_text="Kept at least so long. Empty: no duty.", null=True
                    ),
                ),
                (
                    "max_days",
                    models.PositiveIntegerField(blank=True, help_text="Gone after so long. Empty: never.", null=True),
                ),
                ("note", models.CharField(help_text="Which law or rule says so.", max_length=200)),
            ],
            options={
                "verbose_name_plural": "retention policies",
                "db_table": "retention_policies",
                "constraints": [
                    models.UniqueConstraint(fields=("jurisdiction", "conversation_type"), name="one_policy_for_each"),
                    models.CheckConstraint(
                        condition=models.Q(("min_days__isnull", False), ("max_days__gte", 1), _connector="OR"),
                        name="a_policy_says_something",
                    ),
                ],
            },
        ),
    ]
