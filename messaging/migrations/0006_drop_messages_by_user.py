"""The index of messages by user, which had no reader (docs/decisions/0034)."""

from django.db import migrations


class Migration(migrations.Migration):
    """Drops a table."""

    dependencies = [("messaging", "0005_mentions")]

    operations = [migrations.DeleteModel(name="MessageByUserRow")]
