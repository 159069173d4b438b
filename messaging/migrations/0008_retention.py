from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0007_encrypted_conversations"),
    ]

    operations = [
        migrations.AddField(
            model_name="conversationrow",
            name="expired_id",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="conversationrow",
            name="timer_s",
            field=models.PositiveIntegerField(null=True),
        ),
    ]
