"""Why a moderator took a case."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("moderation", "0003_send_limits")]

    operations = [
        migrations.AddField(
            model_name="case",
            name="taken_for",
            field=models.CharField(blank=True, max_length=300),
        ),
    ]
