"""``python -m bench push``: what one worker process gets through, against a server that speaks Apple's protocol.

A backlog of intents is worked off as the job does it: who wants it is read from the database, a row is written for each
push, and all go over one HTTP/2 connection to another process. The database is SQLite, in a directory of its own.
"""

import multiprocessing
import os
import tempfile
import time
from argparse import ArgumentParser, Namespace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

_GROUP: Final = 100
#: Records of one job, as the dispatcher packs them.
_JOB: Final = 100
_TEAM, _KEY, _TOPIC = "TEAM123456", "KEY1234567", "org.example.chat"


class PushReport(msgspec.Struct, frozen=True):
    """What came of it. ``pushes_per_cpu_s``: of the worker's own processor time, what one core would do alone."""

    pushes: int
    sent: int
    seconds: float
    pushes_per_s: float
    cpu_s: float
    pushes_per_cpu_s: float
    connections: int


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the scenario."""
    parser.add_argument("--backlog", type=int, default=10_000, help="pushes to get through")
    # With few, a later message of a group replaces an earlier one that waits with it.
    parser.add_argument("--groups", type=int, default=10, help=f"groups of {_GROUP}, written to in turn")
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
        print(f"{name:20}{value:>12,}")
    if args.json is not None:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return 0 if report.sent == report.pushes else 1


def _serve(folder: str, key: bytes, pipe: Connection) -> None:
    """Be Apple, in a process of its own, until told to end; then say how many connections there were."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from tests.push.servers import ApnsServer

    public = load_pem_public_key(key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    server = ApnsServer(Path(folder), team_id=_TEAM, key_id=_KEY, key=public)
    pipe.send(server.url)
    pipe.recv()
    pipe.send((len(server.got), server.connections))
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
        return sending.Sender({"apns": apns}, container.rate_limiter(), rate_per_s=1e6)

    sending._make = make
    call_command("migrate", verbosity=0)
    intents = _backlog(args.backlog, args.groups)
    # The connection is there, and the code is warm.
    outbox.accept(intents[:1])
    jobs = [intents[start : start + _JOB] for start in range(1, len(intents), _JOB)]
    pushes = sum(len(intent.users) for intent in intents)
    first = len(intents[0].users)
    wall, cpu = time.perf_counter(), time.process_time()
    for job in jobs:
        outbox.accept(job)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sent = Push.objects.filter(state=Push.State.SENT).count()
    sending.stop()
    ours.send(None)
    arrived, connections = ours.recv()
    apple.join(10)
    assert arrived == sent, (arrived, sent)
    return PushReport(
        pushes=pushes,
        sent=sent,
        seconds=round(wall, 2),
        pushes_per_s=round((pushes - first) / wall, 1),
        cpu_s=round(cpu, 2),
        pushes_per_cpu_s=round((pushes - first) / cpu, 1),
        connections=connections,
    )


def _backlog(pushes: int, groups: int) -> list[Any]:
    """Return intents for so many pushes, or a few more; their people, devices and messages are in the database."""
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
        people = User.objects.bulk_create([User(username=f"g{number}u{index}") for index in range(_GROUP)])
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
    for number in range(-(-pushes // (_GROUP - 1))):
        talk, users = talks[number % groups]
        message = ids.message_id_at(ts_ms=int(time.time() * 1000), sub=0, offset=number)
        rows.append(StoredMessage(talk, message, users[0], uuid4().bytes, "Lunch at noon?"))
        intents.append(PushIntent(talk, message, users[0], users=sorted(users[1:])))
    container.message_store().upsert(rows)
    return intents
