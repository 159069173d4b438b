from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_language"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="show_previews",
            field=models.BooleanField(default=True),
        ),
    ]
