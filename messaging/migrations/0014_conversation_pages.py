"""Who may open the staff's pages of conversations."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0013_hot_list")]

    operations = [
        migrations.CreateModel(
            name="ConversationRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ],
            options={
                "verbose_name": "conversation",
                "permissions": [
                    ("view_members", "Can see, with a reason, who is in a conversation and in which somebody is")
                ],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    ]
