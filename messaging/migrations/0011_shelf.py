from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0010_pins"),
    ]

    operations = [
        migrations.AddField(
            model_name="membershiprow",
            name="archived_id",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="membershiprow",
            name="is_pinned",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="membershiprow",
            name="unread_id",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
    ]
