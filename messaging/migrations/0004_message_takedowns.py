"""Messages that moderators withhold."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0003_device_marks"),
    ]

    operations = [
        migrations.AddField(
            model_name="messagerow",
            name="takedown_id",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="messagerow",
            name="withheld",
            field=models.BooleanField(db_default=False),
        ),
    ]
