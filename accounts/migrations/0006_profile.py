from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_show_previews")]

    operations = [
        migrations.AddField("user", "about", models.CharField(blank=True, db_default="", default="", max_length=140)),
        migrations.AddField("user", "presence_public", models.BooleanField(db_default=False, default=False)),
    ]
