from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0009_hot_conversations"),
    ]

    operations = [
        migrations.CreateModel(
            name="PinRow",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "conversation_id", "target_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("conversation_id", models.BigIntegerField()),
                ("target_id", models.BigIntegerField()),
                ("change_id", models.BigIntegerField()),
                ("user_id", models.BigIntegerField()),
                ("is_on", models.BooleanField()),
            ],
            options={
                "db_table": "message_pins",
            },
        ),
    ]
