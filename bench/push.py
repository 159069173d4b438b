"""``python -m bench push``: what one worker process gets through, against a server that speaks Apple's protocol.

Intents are worked off as the job does it: who wants it is read from the database, a row is written for each
push, and all go over one HTTP/2 connection to another process. The database is SQLite, in a directory of its own.

- as it is: a backlog, as fast as it goes;
- ``--outage``: the same backlog comes while the provider answers 503, and is worked off once it is back; with a
  number, its messages are dated over as many seconds before that, so that some are too late for a push;
- ``--offered``: so many intents a second, each due at a fixed time, from which the time to the provider counts;
- ``--limit``: the bucket that holds all workers of an installation to a rate.
"""

import json
import multiprocessing
import os
import tempfile
import time
from argparse import ArgumentParser, Namespace
from base64 import b64decode
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

_GROUP: Final = 100
#: Records of one job, as the dispatcher packs them.
_JOB: Final = 100
_TEAM, _KEY, _TOPIC = "TEAM123456", "KEY1234567", "org.example.chat"


class PushReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it. ``pushes_per_cpu_s``: of the worker's own processor time, what one core would do alone.

    ``replaced``: by a later push of the same conversation to the same device. ``provider_ms``: from when an intent was
    due to when the provider had it (percentiles). ``most_in_1_s``: that arrived in any second but the first, which has
    what the bucket held in the beginning.

    Of an outage: ``taken_in_s``, how long it took to take the backlog in meanwhile; ``late``, what was too old for a
    push by the end; ``mails`` to people about them, which speak of ``mailed`` messages together; ``repeated``, what
    was pushed or mailed once more, or pushed as well as mailed, when the whole backlog came a second time.
    """

    pushes: int
    sent: int
    seconds: float
    pushes_per_s: float
    cpu_s: float
    pushes_per_cpu_s: float
    connections: int
    lost: int
    repeated: int
    replaced: int = 0
    provider_ms: dict[str, float] = {}
    most_in_1_s: int = 0
    taken_in_s: float = 0.0
    late: int = 0
    mails: int = 0
    mailed: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, and nothing told twice."""
        return not self.lost and not self.repeated and self.mailed == self.late


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the scenario."""
    parser.add_argument("--backlog", type=int, default=10_000, help="pushes to get through")
    # With few, a later message of a group replaces an earlier one that waits with it.
    parser.add_argument("--groups", type=int, default=10, help=f"groups of {_GROUP}, written to in turn")
    parser.add_argument(
        "--outage",
        type=int,
        nargs="?",
        const=1,
        default=0,
        metavar="SECONDS",
        help="let the provider be out while the backlog comes; date its messages over so long before the end",
    )
    parser.add_argument("--offered", type=int, default=0, help="intents a second, in place of a backlog")
    parser.add_argument("--seconds", type=int, default=30, help="for how long they are offered")
    parser.add_argument("--limit", type=int, default=0, help="pushes a second that the bucket lets through; 0: any")
    parser.add_argument("--json", type=Path, help="write the report there, too")


def run(args: Namespace) -> int:
    """Measure, print and return the exit code: 1 where a push was lost."""
    with tempfile.TemporaryDirectory(prefix="bench-push-") as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "chatproject.settings",
            "CHAT_DATA_DIR": f"{folder}/data",
            "CHAT_LOG_LEVEL": "WARNING",
        }
        report = _measure(Path(folder), args)
    for name, value in msgspec.to_builtins(report).items():
        text = " ".join(f"{key} {one:,}" for key, one in value.items()) if isinstance(value, dict) else f"{value:,}"
        print(f"{name:20}{text:>12}")
    if args.json is not None:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return 0 if report.is_clean else 1


def _serve(folder: str, key: bytes, pipe: Connection) -> None:
    """Be Apple, in a process of its own.

    Told ``out`` or ``back``, it answers so from then on; told to end, it says which pushes were taken, as token,
    message and time, and how many connections there were.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from tests.push.servers import Answer, ApnsServer

    public = load_pem_public_key(key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    server = ApnsServer(Path(folder), team_id=_TEAM, key_id=_KEY, key=public)
    pipe.send(server.url)
    refused = 0
    while (told := pipe.recv()) != "end":
        server.always = Answer(503, "ServiceUnavailable") if told == "out" else None
        refused = len(server.got)
        pipe.send(told)
    pipe.send(([(got.token, got.body["server_id"], got.at) for got in server.got[refused:]], server.connections))
    server.close()


def _measure(folder: Path, args: Namespace) -> PushReport:
    import django

    django.setup()
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from django.core.management import call_command

    from chatproject import container
    from push import outbox, sending
    from push.config import ApnsConfig
    from push.models import Push
    from push.providers.apns import Apns
    from push.providers.http2 import tls_context
    from tests.push.servers import ec_pem

    pem, public = ec_pem()
    ours, theirs = multiprocessing.Pipe()
    spawned = multiprocessing.get_context("spawn")
    public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    apple = spawned.Process(target=_serve, args=(str(folder), public_pem, theirs), daemon=True)
    apple.start()
    url = ours.recv()

    def make() -> sending.Sender:
        config = ApnsConfig(key=pem, key_id=_KEY, team_id=_TEAM, topics=(_TOPIC,))
        apns = Apns(config, hosts={"production": url}, context=tls_context(str(folder / "cert.pem")))
        return sending.Sender({"apns": apns}, container.rate_limiter(), rate_per_s=args.limit or 1e6)

    sending._make = make
    call_command("migrate", verbosity=0)
    backlog, groups = args.backlog, args.groups
    if args.offered:
        # One for each device, so that its token tells which one it was.
        backlog = args.offered * args.seconds + _GROUP
        groups = -(-backlog // (_GROUP - 1))
    warm, *intents = _backlog(backlog, groups, age_s=args.outage)
    # The connection is there, and the code is warm.
    outbox.accept([warm])
    first = len(warm.users)

    def told(what: str) -> None:
        ours.send(what)
        ours.recv()

    taken_in_s = 0.0
    if args.outage:
        told("out")
        began = time.perf_counter()
        _accept(intents)
        taken_in_s = time.perf_counter() - began
        told("back")
    due: dict[str, float] = {}
    wall, cpu = time.perf_counter(), time.process_time()
    if args.offered:
        due = _offer(intents, args.offered, args.seconds)
    elif not args.outage:
        _accept(intents)
    _drain()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    mails = _mails()
    if args.outage:
        _accept(intents)
        _drain()
    states = Counter(Push.objects.values_list("state", flat=True))
    sent, replaced, late = (states[one] for one in (Push.State.SENT, Push.State.COLLAPSED, Push.State.SPILLED))
    sending.stop()
    ours.send("end")
    arrived, connections = ours.recv()
    apple.join(10)
    pushes = first + (len(due) if args.offered else sum(len(intent.users) for intent in intents))
    told_of = {(token, message) for token, message, _ in arrived}
    taken = sorted(at for *_, at in arrived[0 if args.outage else first :])
    delays = sorted(1000 * (at - due[token]) for token, _, at in arrived if token in due)
    return PushReport(
        pushes=pushes,
        sent=sent,
        seconds=round(wall, 2),
        pushes_per_s=round((pushes - first) / wall, 1),
        cpu_s=round(cpu, 2),
        pushes_per_cpu_s=round((pushes - first) / cpu, 1),
        connections=connections,
        replaced=replaced,
        # What the table says was sent has to have arrived.
        lost=pushes - replaced - late - min(sent, len(told_of) + (first if args.outage else 0)),
        provider_ms={f"p{part}": round(delays[len(delays) * part // 100], 1) for part in (50, 99)} if delays else {},
        most_in_1_s=_most_in_1_s([at for at in taken if at >= taken[0] + 1.0]) if args.limit else 0,
        taken_in_s=round(taken_in_s, 2),
        late=late,
        mails=len(mails),
        mailed=sum(mails),
        repeated=len(arrived) - len(told_of) + len(told_of & _spilled()) + len(_mails()),
    )


def _drain() -> None:
    """Work off what waits, as the job does that comes every minute and where something is due."""
    from django.utils import timezone

    from push import outbox, summary

    while True:
        outbox.send_due()
        now = timezone.now()
        summary.spill(now)
        outbox.measure(now)
        due_s = outbox.next_due_s(now)
        if due_s is None:
            break
        time.sleep(min(due_s, 1.0))
    # What came too late after somebody's mail is in that person's next one.
    while summary.spill(now + summary.EVERY):
        pass


def _mails() -> list[int]:
    """Take the mails that wait to be sent, and return of how many messages each speaks."""
    from django.conf import settings

    found = []
    for file in (Path(settings.JOBS_DIR) / "waiting").glob("*.msg"):
        [subject, *_], *_ = json.loads(b64decode(json.loads(file.read_bytes())["body"]))
        found.append(int(subject.split()[0]))
        file.unlink()
    return found


def _spilled() -> set[tuple[str, str]]:
    """Return what became part of a mail, as token and message."""
    from messaging.domain import ids
    from push.models import Push

    rows = Push.objects.filter(state=Push.State.SPILLED)
    return {
        (token, ids.server_id(conversation, message))
        for token, conversation, message in rows.values_list("device__push__address", "conversation_id", "message_id")
    }


def _accept(intents: Sequence[Any]) -> None:
    from push import outbox

    for start in range(0, len(intents), _JOB):
        outbox.accept(intents[start : start + _JOB])


def _offer(intents: Sequence[Any], per_s: int, seconds: int) -> dict[str, float]:
    """Accept so many intents a second, for one user each, in jobs of what has come meanwhile; return token -> due."""
    import msgspec.structs

    from push import outbox
    from push.models import Subscription

    tokens = dict(Subscription.objects.values_list("user_id", "address"))
    single = [msgspec.structs.replace(intent, users=[user]) for intent in intents for user in intent.users]
    single = single[: per_s * seconds]
    began, done = time.time(), 0
    due: dict[str, float] = {}
    while done < len(single):
        ready = min(len(single), int((time.time() - began) * per_s))
        if ready == done:
            time.sleep(1 / per_s)
            continue
        job = single[done : min(ready, done + _JOB)]
        for number, intent in enumerate(job, start=done):
            due[tokens[intent.users[0]]] = began + number / per_s
        outbox.accept(job)
        done += len(job)
    return due


def _most_in_1_s(times: Sequence[float]) -> int:
    first = most = 0
    for number, at in enumerate(times):
        while times[first] <= at - 1.0:
            first += 1
        most = max(most, number - first + 1)
    return most


def _backlog(pushes: int, groups: int, *, age_s: float = 0) -> list[Any]:
    """Return intents for so many pushes, or a few more; their people, devices and messages are in the database.

    The messages but the first are dated over the last ``age_s`` seconds.
    """
    from accounts.models import Device, User
    from chatproject import container
    from messaging.domain import ids
    from messaging.domain.events import PushIntent
    from messaging.domain.ids import ConversationId, UserId
    from messaging.domain.messages import ConversationType, StoredMessage
    from messaging.ports import NewConversation
    from push.models import Subscription, address_digest

    talks: list[tuple[ConversationId, list[UserId]]] = []
    for number in range(groups):
        people = User.objects.bulk_create(
            [User(username=f"g{number}u{index}", email=f"{index}@g{number}.example") for index in range(_GROUP)]
        )
        devices = Device.objects.bulk_create([Device(user=user, kind=Device.Kind.TOKEN, name="x") for user in people])
        subscriptions = []
        for index, (user, device) in enumerate(zip(people, devices, strict=True)):
            token = f"{number * _GROUP + index:064x}"
            digest = address_digest("apns", token)
            subscriptions.append(
                Subscription(
                    device=device, user=user, provider="apns", address=token, address_digest=digest, topic=_TOPIC
                )
            )
        Subscription.objects.bulk_create(subscriptions)
        users = [UserId(user.pk) for user in people]
        talk = ConversationId(ids.new_random_id())
        new = NewConversation(talk, ConversationType.GROUP_SMALL, users[0], tuple(users), "Group")
        container.conversation_store().create(new)
        talks.append((talk, users))
    intents, rows = [], []
    count, now = -(-pushes // (_GROUP - 1)), time.time()
    for number in range(count):
        talk, users = talks[number % groups]
        ago_s = age_s * (count - number) / count if number else 0.0
        message = ids.message_id_at(ts_ms=int((now - ago_s) * 1000), sub=0, offset=number)
        rows.append(StoredMessage(talk, message, users[0], uuid4().bytes, "Lunch at noon?"))
        intents.append(PushIntent(talk, message, users[0], users=sorted(users[1:])))
    container.message_store().upsert(rows)
    return intents
