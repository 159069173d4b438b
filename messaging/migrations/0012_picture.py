from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0011_shelf"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversationrow",
            name="picture_id",
            field=models.BigIntegerField(null=True),
        ),
    ]
