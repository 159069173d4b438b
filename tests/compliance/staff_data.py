"""What the pages of the staff have to show: one of everything. Run by ``manage.py shell`` beside the server.

Before it stand ``password``, ``group`` and ``message`` (a group, and a message in it by ``ben``), ``ann``
and ``ben`` (user names), and ``staff`` (user name -> role).
"""

WRITE = """
import json
from datetime import timedelta
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.utils import timezone
from django_celery_results.models import TaskResult
from accounts.models import Block, Device, User
from messaging.compliance import audit, exports, holds
from messaging.compliance.exports import NewExport
from messaging.compliance.holds import NewHold
from messaging.compliance.models import Export, Jurisdiction, RetentionPolicy, Sweep
from messaging.domain.ids import UserId, parse_conversation, parse_server_id
from messaging.moderation.models import Case, FilterRule
from messaging.moderation.services import decisions, reports
from messaging.moderation.services.decisions import Decision, NewLimit
from messaging.rights import erasures
from messaging.rights.models import Erasure
from messaging.services.hot import set_hot
from push.models import Push, PushSettings, Subscription

now = timezone.now()
people = {}
for name, role in staff.items():
    user = User.objects.create_user(name, password=password, is_staff=True, is_superuser=role == "superuser")
    if role != "superuser":
        user.groups.add(Group.objects.get(name=role))
    people[role] = user
ann_user, ben_user = User.objects.get(username=ann), User.objects.get(username=ben)
conversation, number = parse_server_id(message)
mona = people["moderator"]
olga, otto = UserId(people["compliance officer"].pk), UserId(people["superuser"].pk)

# Moderation: an open case, one that was decided, an appeal, a warning, a limit, rules, a block.
reports.report_user(reporter=ann_user, user_id=UserId(ben_user.pk), category="spam", text="Again and again")
first = reports.report_message(
    reporter=ann_user, conversation_id=conversation, message_id=number, category="harassment", text="He means it"
)
decisions.claim(case_id=first.case_id, moderator=mona, reason="To judge this report")
decisions.decide(
    case_id=first.case_id,
    moderator=mona,
    decision=Decision(Case.Outcome.WITHHELD, "Rule 3", "Insults are against rule 3."),
)
reports.appeal(author=ben_user, conversation_id=conversation, message_id=number, text="It was a joke")
reports.report_conversation(reporter=ann_user, conversation_id=conversation, category="other", text="")
decisions.warn(ben_user, moderator=mona, reason="Rule 2", told="Please do not advertise here.")
decisions.suspend(
    ben_user, moderator=mona, reason="Rule 2", told="Advertising, again and again.", until=now + timedelta(days=7)
)
decisions.reinstate(ben_user, moderator=mona, reason="They are sorry")
decisions.limit(ben_user, NewLimit(60, 5, now + timedelta(days=7)), moderator=mona, reason="Looks like spam")
FilterRule.objects.create(name="Insults", kind="words", config="potato", outcome="flag", enabled=False)
Block.objects.create(owner=ann_user, target=ben_user)

# Holds, policies, jurisdictions, sweeps, exports, erasures.
held = holds.place_hold(actor=olga, new=NewHold("2026-17", "Letter of the court", conversation=conversation))
asked = holds.place_hold(actor=otto, new=NewHold("2026-18", "Letter of the court", user=UserId(ben_user.pk)))
holds.request_release(actor=otto, hold_id=asked.pk, reason="The case is closed")
over = holds.place_hold(
    actor=olga, new=NewHold("2025-3", "An inquiry", begins_at=now - timedelta(days=90), ends_at=now)
)
holds.request_release(actor=olga, hold_id=over.pk, reason="It is over")
holds.approve_release(actor=otto, hold_id=over.pk, reason="It is over")
RetentionPolicy.objects.create(jurisdiction="DE", max_days=365, note="Works agreement, section 4")
RetentionPolicy.objects.create(conversation_type="dm", min_days=30, note="Rule of the house")
Jurisdiction.objects.create(user_id=ann_user.pk, code="DE")
Jurisdiction.objects.create(conversation_id=conversation, code="US-CA")
Sweep.objects.create(finished_at=now, conversations=12, due=40, deleted=31, held=9, failed=0)
made = exports.request_export(
    actor=olga, new=NewExport("2026-17", "For the court", (UserId(ann_user.pk),), (conversation,))
)
exports.make(made.pk)
exports.request_export(actor=olga, new=NewExport("2026-18", "For counsel", (), (conversation,)))
Export.objects.create(
    case="2025-3", reason="For counsel", users=[], conversations=[group], requested_by=olga,
    state="failed", error="It failed; the worker's log has incident 1a2b3c4d.",
)
gone = User.objects.create_user(f"g-{ann}"[:30], password=password, display_name="Gustav Gone")
erasures.request_confirmed(user=gone)
Erasure.objects.create(user=User.objects.create_user(f"w-{ann}"[:30]), state="held", due_at=now, asked_by=olga)

# What an operator looks after.
device = Device.objects.create(user=ben_user, kind="token", name="Ben's telephone", token_digest=f"d-{ann}")
Subscription.objects.create(
    user=ben_user, device=device, provider="webpush", address=f"https://push.example/{ann}", address_digest=f"a-{ann}"
)
PushSettings.objects.create(user=ben_user)
for place, (state, reason) in enumerate((("waiting", ""), ("dead", "410 Gone"), ("sent", ""))):
    Push.objects.create(
        conversation_id=conversation, message_id=number + place, sender_id=ann_user.pk, user_id=ben_user.pk,
        device=device, state=state, reason=reason,
    )
for task, status in (("push.tasks.send_push", "FAILURE"), ("messaging.compliance.tasks.begin_sweep", "SUCCESS")):
    TaskResult.objects.create(
        task_id=f"{task}-{ann}", task_name=task, status=status, worker="worker-1", meta=json.dumps({"attempts": 3}),
        result=json.dumps({"exc_type": "ConnectionError"}), traceback="Traceback (most recent call last): …",
    )
set_hot(conversation_id=conversation, k=4)
Authenticator.objects.create(user=ben_user, type="totp", data={"secret": "x"})
audit.make_checkpoint()
"""
