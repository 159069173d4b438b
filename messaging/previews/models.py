"""What links lead to, and which messages show it. Conversations and messages are bare ids: they may live elsewhere."""

from django.db import models

from messaging.domain.ids import new_random_id


class LinkPreview(models.Model):
    """What was found at an address, at one time. Messages that bring it within a day share it; later ones get another.

    One that found nothing to show has no title: it says that there was a look.
    """

    id = models.BigIntegerField(primary_key=True, default=new_random_id, editable=False)
    #: SHA-256 of the address, by which it is found.
    digest = models.CharField(max_length=64)
    url = models.TextField()
    title = models.CharField(max_length=200, blank=True)
    description = models.CharField(max_length=300, blank=True)
    #: Where the thumbnail is, in the media store; empty for none.
    image_key = models.CharField(max_length=80, blank=True)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    fetched_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["digest", "fetched_at"], name="preview_by_url"),
            models.Index(fields=["fetched_at"], name="preview_by_age"),
        ]

    def __str__(self) -> str:
        return f"preview {self.pk}"


class PreviewUse(models.Model):
    """A message with a link, and what is shown of it. ``removed``: by its author, for good."""

    conversation_id = models.BigIntegerField()
    message_id = models.BigIntegerField()
    preview = models.ForeignKey(LinkPreview, on_delete=models.CASCADE, null=True, related_name="uses")
    removed = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["conversation_id", "message_id"], name="one_preview")]
