from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_bots")]

    operations = [migrations.AddField("user", "picture_id", models.BigIntegerField(editable=False, null=True))]
