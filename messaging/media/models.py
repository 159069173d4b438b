"""What was uploaded, and which messages refer to it (docs/decisions/0053). The bytes are in the MediaStore."""

from django.db import models
from django.utils import timezone

from messaging.domain.ids import new_random_id


class State(models.TextChoices):
    """The way of an object. Only a ``ready`` one is in messages, or is given to anybody."""

    UPLOADING = "uploading"
    PROCESSING = "processing"
    READY = "ready"
    REFUSED = "refused"


class Kind(models.TextChoices):
    """How it is shown. A ``file`` is offered for download and never shown, whatever it is."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice", "voice note"
    FILE = "file"


class MediaObject(models.Model):
    """One uploaded file. Who wrote it and where are numbers: a store of messages need not be this database."""

    id = models.BigIntegerField(primary_key=True, default=new_random_id, editable=False)
    owner_id = models.BigIntegerField()
    #: For which it was uploaded; it may be used in others as well. 0: for none, to be its owner's own picture.
    conversation_id = models.BigIntegerField()
    state = models.CharField(max_length=10, choices=State, default=State.UPLOADING)
    #: Why it was refused, for its owner to read.
    reason = models.CharField(max_length=120, blank=True)
    name = models.CharField(max_length=200)
    #: Recorded in the page, as its sender says.
    voice = models.BooleanField(default=False)
    kind = models.CharField(max_length=5, choices=Kind, default=Kind.FILE)
    #: What it is by its content; what its sender said only where the content leaves that open (docs/decisions/0054).
    content_type = models.CharField(max_length=60)
    #: Bytes: as announced, and once ready as they are given out.
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    #: As its sender says: for show.
    duration_ms = models.PositiveIntegerField(null=True)
    #: A picture of some twenty pixels as a ``data:`` address, to be blurred until the thumbnail is there.
    preview = models.TextField(blank=True)
    #: Where the bytes are, in the store; empty while there are none.
    content_key = models.CharField(max_length=80, blank=True)
    thumbnail_key = models.CharField(max_length=80, blank=True)
    upload = models.CharField(max_length=255, blank=True)
    part_bytes = models.PositiveIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    #: When its state changed last.
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=["owner_id", "created_at"], name="media_of_owner"),
            models.Index(fields=["state", "changed_at"], name="media_by_state"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"

    def key(self, part: str) -> str:
        """Return where in the store a part of this object belongs: the file as it came, or what was made of it."""
        text = f"{self.pk:016x}"
        return f"{text[-2:]}/{text}/{part}"


class MediaUse(models.Model):
    """A message that refers to an object, written before the message is: an object with none may go (0053).

    The message is named by what makes it the same message, since its id comes from the log only. The picture of a
    group, or of a person (conversation 0), has one as well, with a word in the place of a message's id.
    """

    media = models.ForeignKey(MediaObject, on_delete=models.CASCADE, related_name="uses")
    conversation_id = models.BigIntegerField()
    sender_id = models.BigIntegerField()
    client_msg_id = models.BinaryField(max_length=16)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation_id", "sender_id", "client_msg_id", "media"], name="one_use_per_message"
            )
        ]
