"""What the staff writes into the admin pages of compliance: ids as on the wire or user names, and always a reason."""

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import User
from messaging.compliance.audit import MAX_REASON_CHARS
from messaging.compliance.exports import NewExport
from messaging.compliance.holds import NewHold
from messaging.compliance.models import Export, Hold, Jurisdiction, RetentionPolicy
from messaging.domain import ids
from messaging.domain.ids import ConversationId, UserId
from messaging.domain.messages import ConversationType


class ReasonField(forms.CharField):
    """Why somebody does what they do; it goes into the audit log."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=MAX_REASON_CHARS,
            widget=forms.Textarea(attrs={"rows": 3}),
            help_text="Goes into the audit log, with your id.",
            **kwargs,
        )


class UserField(forms.CharField):
    """A user, by id or name; the value is the id, or None. An account that is gone is named by its id."""

    def to_python(self, value: Any) -> Any:
        """Return the id."""
        text = str(value or "").strip()
        if not text:
            return None
        try:
            return ids.parse_user(text)
        except ids.InvalidId:
            user = User.objects.filter(username=text.lower()).first()
        if user is None:
            raise ValidationError("no such user; give a user name, or an id that begins with u_")
        return UserId(user.pk)


class ConversationField(forms.CharField):
    """A conversation, by id; the value is the id, or None."""

    def to_python(self, value: Any) -> Any:
        """Return the id."""
        text = str(value or "").strip()
        try:
            return ids.parse_conversation(text) if text else None
        except ids.InvalidId:
            raise ValidationError("no such conversation; give an id that begins with c_") from None


class _SeveralField(forms.CharField):
    """Several of what ``one`` takes, apart by white space; the value is a list of ids, each once."""

    one: type[UserField | ConversationField]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 3}), **kwargs)

    def to_python(self, value: Any) -> Any:
        """Return the ids."""
        return list(dict.fromkeys(self.one().to_python(word) for word in str(value or "").split()))


class SpreadForm(forms.Form):
    """Which conversation is to be spread, and over how many sub-partitions."""

    conversation = ConversationField()
    k = forms.IntegerField(
        label="Sub-partitions",
        min_value=1,
        max_value=ids.MAX_HOT_K,
        initial=8,
        help_text="Messages then have an order for each sender, no longer one for all. 1 gathers it again.",
    )
    reason = ReasonField()


class LookUpForm(forms.Form):
    """Which conversation is to be shown."""

    conversation = ConversationField(help_text="An id (c_…). Reports, holds, exports and the audit log name it so.")


class LookForm(forms.Form):
    """Whose conversations are to be listed, and why. ``after``: of the page before, where there is one."""

    user = UserField(label="Person", help_text="A user name, or an id (u_…).")
    after = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    reason = ReasonField()


class UsersField(_SeveralField):
    """Users, by id or name."""

    one = UserField


class ConversationsField(_SeveralField):
    """Conversations, by id."""

    one = ConversationField


_SENT: Final = {
    "begins_at": ("Sent from", "What was sent from then on (UTC). Empty: from the beginning."),
    "ends_at": ("Sent until", "What was sent until then (UTC). Empty: also what is yet to be sent."),
}


class _TimedForm(forms.ModelForm):  # type: ignore[type-arg]
    """What has a time that may be open at either end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A page that only shows has none of them.
        for name in {"begins_at", "ends_at"} & self.fields.keys():
            self.fields[name].required = False
            self.fields[name].label, self.fields[name].help_text = _SENT[name]


class ExportForm(_TimedForm):
    """An export to make."""

    users = UsersField(help_text="User names or ids (u_…): every conversation in which one of them is or was.")
    conversations = ConversationsField(help_text="Ids (c_…): these as well.")
    reason = ReasonField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "ends_at" in self.fields:
            self.fields["ends_at"].help_text = "What was sent until then (UTC). Empty: until now."

    class Meta:
        model = Export
        fields = ("case", "users", "conversations", "begins_at", "ends_at", "reason")

    def clean(self) -> dict[str, Any]:
        """Pass one that names something."""
        data = super().clean() or {}
        if not self.errors and not data.get("users") and not data.get("conversations"):
            raise ValidationError("name users or conversations")
        return data

    def new(self) -> NewExport:
        """Return what was asked for; valid forms only."""
        data = self.cleaned_data
        return NewExport(
            data["case"],
            data["reason"],
            tuple(data["users"]),
            tuple(data["conversations"]),
            data["begins_at"],
            data["ends_at"],
        )


class HoldForm(_TimedForm):
    """A hold to place."""

    user = UserField(required=False, help_text="A user name, or an id (u_…).")
    conversation = ConversationField(
        required=False,
        help_text="An id (c_…). Name a user or a conversation; with neither, and both times, everything is held.",
    )
    reason = ReasonField()

    class Meta:
        model = Hold
        fields = ("case", "user", "conversation", "begins_at", "ends_at", "reason")

    def new(self) -> NewHold:
        """Return what was asked for; valid forms only."""
        data = self.cleaned_data
        return NewHold(
            data["case"],
            data["reason"],
            data["user"],
            data["conversation"],
            data["begins_at"],
            data["ends_at"],
        )


class JurisdictionForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whose law holds for a user or conversation."""

    user = UserField(required=False, help_text="A user name, or an id (u_…).")
    conversation = ConversationField(required=False, help_text="An id (c_…). Name one of the two.")
    reason = ReasonField()

    class Meta:
        model = Jurisdiction
        fields = ("user", "conversation", "code", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            # Which it is of does not change: delete it, and add another.
            for name in {"user", "conversation"} & self.fields.keys():
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        """Take over whom it is about."""
        data = super().clean() or {}
        if self.instance.pk is None:
            user: UserId | None = data.get("user")
            conversation: ConversationId | None = data.get("conversation")
            if not self.errors and (user is None) == (conversation is None):
                raise ValidationError("name a user or a conversation")
            self.instance.user_id, self.instance.conversation_id = user, conversation
        return data


#: Kinds of conversations, as the pages call them.
KINDS: Final = {
    ConversationType.DM.value: "direct conversations",
    ConversationType.GROUP_SMALL.value: "small groups",
    ConversationType.GROUP_LARGE.value: "large groups",
}


#: One of each.
ONE_OF: Final = {
    ConversationType.DM.value: "direct conversation",
    ConversationType.GROUP_SMALL.value: "small group",
    ConversationType.GROUP_LARGE.value: "large group",
}


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A retention policy."""

    reason = ReasonField()

    class Meta:
        model = RetentionPolicy
        fields = ("jurisdiction", "conversation_type", "min_days", "max_days", "note", "reason")
        labels = {
            "jurisdiction": "Where",
            "conversation_type": "Kind of conversation",
            "min_days": "Keep for (days)",
            "max_days": "Delete after (days)",
            "note": "Law or rule",
        }
        help_texts = {
            "jurisdiction": "A code: DE, US, US-CA. Empty: everywhere.",
            "conversation_type": "Empty: all of them.",
            "min_days": "At least so long, whoever wants it gone. Empty: there is no duty to keep.",
            "max_days": "At the latest. Empty: never.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = self.fields.get("conversation_type")
        if isinstance(kinds, forms.ChoiceField):
            kinds.choices = [("", "all"), *KINDS.items()]

    def clean(self) -> dict[str, Any]:
        """Pass one that says something."""
        data = super().clean() or {}
        if data.get("min_days") is None and data.get("max_days") is None:
            raise ValidationError("a policy needs a minimum or a maximum")
        if data.get("max_days") == 0:
            raise ValidationError({"max_days": "at least one day"})
        return data


class ReasonForm(forms.Form):
    """Why."""

    reason = ReasonField()
