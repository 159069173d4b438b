"""What is shown with messages: to who can read them, of what they say now, and nothing that anybody turned off."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from chatproject import container
from messaging.domain import ids
from messaging.domain.ids import ConversationId, MessageId
from messaging.ports import TOPIC_LINKS, TOPIC_MESSAGES, MediaMissing, Record
from messaging.previews import services
from messaging.previews.models import LinkPreview, PreviewUse
from messaging.previews.retention import PreviewCopy
from messaging.previews.tasks import look_at_links
from messaging.router.apply import Applier
from messaging.services.indexing import append_linked
from tests.api.conftest import Person, problem
from tests.media import objects
from tests.previews.site import PAGE, Site, answering
from tests.topics import unread

pytestmark = pytest.mark.django_db
Settle = Callable[[], list[Record]]


@pytest.fixture
def settle(db: None, site: Site, settings: Any, monkeypatch: Any) -> Settle:
    """Return a function that stores what is in the log and looks at its links, as router, dispatcher and job do.

    Every address of a link leads to ``site``. It returns the records of the topic ``links`` that it worked off.
    """
    settings.LINK_PREVIEW_TEST_ADDRESSES = (site.address,)
    monkeypatch.setattr("messaging.domain.links.PORTS", {"http": int(site.address.rpartition(":")[2]), "https": 443})
    log = container.message_log()
    applier = Applier(messages=container.message_store(), conversations=container.conversation_store())
    read = unread()

    def step() -> list[Record]:
        while records := read(TOPIC_MESSAGES):
            async_to_sync(append_linked)(log, applier.apply(records).linked)
        done: list[Record] = []
        while records := read(TOPIC_LINKS):
            look_at_links(msgspec.to_builtins(records))
            done += records
        return done

    return step


def shown(person: Person, *messages: str) -> dict[str, str]:
    """Return the titles that somebody sees, by message."""
    answer = person.get("previews", message=list(messages))
    assert answer.status_code == 200, answer.json()
    return {one["message"]: one["title"] for one in answer.json()["results"]}


def say(person: Person, conversation: str, text: str) -> str:
    answer = person.say(conversation, text)
    assert answer.status_code == 201, answer.json()
    return str(answer.json()["server_id"])


def test_a_link_has_a_preview_for_who_can_read_it(
    ann: Person, bob: Person, cat: Person, site: Site, settle: Settle
) -> None:
    dm = ann.dm(bob)
    site.pages["/a"] = (
        b'<title>Hello <b></title><meta name=description content="x"><meta property="og:image" content="/p.png">'
    )
    site.pages["/p.png"] = answering(objects.picture(), "image/png")
    said = say(ann, dm, f"look: ({site.url}/a), and {site.url}/b")
    plain = say(ann, dm, "no link here")
    settle()
    for reader in (ann, bob):
        [one] = reader.get("previews", message=[said, plain]).json()["results"]
        assert one == {
            "message": said, "url": f"{site.url}/a", "host": "127.0.0.1", "title": "Hello <b>", "description": "x",
            "image": True, "width": 640, "height": 480,
        }  # fmt: skip
        picture = reader.get(f"messages/{said}/preview/image")
        assert (picture.status_code, picture["Content-Type"]) == (200, "image/webp")
        assert picture.content[:4] == b"RIFF"
    # A stranger finds nothing, and learns nothing of what there is.
    assert shown(cat, said) == {}
    problem(cat.get(f"messages/{said}/preview/image"), 404, "not_found")
    problem(cat.delete(f"messages/{said}/preview"), 404, "not_found")
    problem(ann.get(f"messages/{plain}/preview/image"), 404, "not_found")
    assert site.paths() == ["/a", "/p.png"], "the first link alone, and once"


def test_messages_without_links_are_no_records(ann: Person, bob: Person, settle: Settle) -> None:
    dm = ann.dm(bob)
    ann.say(dm, "hello, http is no link")
    assert settle() == []


def test_one_look_serves_many_messages_and_a_day(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    dm, group = ann.dm(bob), ann.group(bob)
    site.pages["/a"] = PAGE
    said = [say(ann, dm, f"{site.url}/a"), say(bob, group, f"{site.url}/a#part"), say(bob, group, f"{site.url}/none")]
    settle()
    assert shown(ann, *said) == dict.fromkeys(said[:2], "A title")
    say(ann, dm, f"{site.url}/a {site.url}/none")
    say(ann, dm, f"{site.url}/none")
    settle()
    assert sorted(site.paths()) == ["/a", "/none"], "that there is nothing is remembered, too"
    LinkPreview.objects.update(fetched_at=timezone.now() - timedelta(days=2))
    site.pages["/a"] = b"<title>Other</title>"
    later = say(ann, dm, f"{site.url}/a")
    settle()
    assert shown(bob, said[0], later) == {said[0]: "A title", later: "Other"}, "what was shown stays as it was"


def test_it_follows_the_message(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    dm = ann.dm(bob)
    site.pages["/a"], site.pages["/b"] = PAGE, b"<title>B</title>"
    said = say(ann, dm, f"{site.url}/a")
    settle()

    def edit(text: str) -> None:
        assert ann.patch(f"messages/{said}", {"msg_id": str(uuid4()), "body": text}).status_code == 200

    edit(f"{site.url}/b")
    settle()
    assert shown(bob, said) == {said: "B"}
    edit("no link any more")
    settle()
    assert shown(bob, said) == {}
    assert not PreviewUse.objects.exists()
    edit(f"{site.url}/a")
    settle()
    assert shown(bob, said) == {said: "A title"}
    ann.delete(f"messages/{said}")
    settle()
    assert shown(ann, said) == {}
    problem(bob.get(f"messages/{said}/preview/image"), 404, "not_found")
    assert not PreviewUse.objects.exists()


def test_nothing_is_shown_that_is_withheld(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    """At once, whenever the job comes; and it is back with the message."""
    dm = ann.dm(bob)
    site.pages["/a"] = PAGE
    said = say(ann, dm, f"{site.url}/a")
    settle()
    ref = ids.parse_server_id(said)
    store = container.message_store()
    found = store.get([ref])[ref]
    withheld = replace(found, withheld=True)

    class Withholding:
        def get(self, refs: Any) -> Any:
            return {ref: withheld}

        def __getattr__(self, name: str) -> Any:
            return getattr(store, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container, "message_store", Withholding)
        assert shown(bob, said) == {}
        services.look([ref], make=lambda: pytest.fail("nothing is fetched"))
    assert shown(bob, said) == {said: "A title"}


def test_none_of_encrypted_conversations(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    secret = ann.post("conversations", {"type": "dm", "members": [bob.ref], "encrypted": True}).json()["id"]
    site.pages["/a"] = PAGE
    said = say(ann, secret, f"{site.url}/a")
    settle()
    assert shown(bob, said) == {}
    assert site.asked == []


def test_who_wants_none_sees_none_and_has_none_made(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    dm = ann.dm(bob)
    site.pages["/a"], site.pages["/b"] = PAGE, PAGE
    assert bob.patch("me", {"show_previews": False}).json()["show_previews"] is False
    mine, theirs = say(ann, dm, f"{site.url}/a"), say(bob, dm, f"{site.url}/b")
    settle()
    assert site.paths() == ["/a"]
    assert shown(bob, mine, theirs) == {}
    problem(bob.get(f"messages/{mine}/preview/image"), 404, "not_found")
    assert shown(ann, mine, theirs) == {mine: "A title"}


def test_its_author_can_take_it_away_for_good(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    dm = ann.dm(bob)
    site.pages["/a"], site.pages["/b"] = PAGE, PAGE
    said, other = say(ann, dm, f"{site.url}/a"), say(ann, dm, f"{site.url}/b")
    # Also before there is any, unless it is not stored yet.
    problem(ann.delete(f"messages/{other}/preview"), 404, "not_found")
    settle()
    assert ann.delete(f"messages/{other}/preview").status_code == 204
    problem(bob.delete(f"messages/{said}/preview"), 403, "forbidden")
    assert shown(bob, said, other) == {said: "A title"}
    for _ in range(2):
        assert ann.delete(f"messages/{said}/preview").status_code == 204
    assert shown(bob, said) == {}
    ann.patch(f"messages/{said}", {"msg_id": str(uuid4()), "body": f"{site.url}/b now"})
    settle()
    assert shown(bob, said) == {}


def test_many_links_at_once_are_bounded(ann: Person, bob: Person, site: Site, settle: Settle, monkeypatch: Any) -> None:
    dm = ann.dm(bob)
    for number in range(services._HOST_BURST + 3):
        site.pages[f"/{number}"] = PAGE
        say(ann, dm, f"{site.url}/{number}")
    settle()
    assert len(site.asked) == services._HOST_BURST


def test_the_job_may_run_twice(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    dm = ann.dm(bob)
    site.pages["/a"] = PAGE
    said = say(ann, dm, f"{site.url}/a")
    records = settle()
    look_at_links(msgspec.to_builtins(records))
    assert shown(bob, said) == {said: "A title"}
    assert (LinkPreview.objects.count(), PreviewUse.objects.count()) == (1, 1)


@pytest.mark.logs_errors
def test_what_nobody_can_read_holds_up_nothing(ann: Person, bob: Person, site: Site, settle: Settle) -> None:
    dm = ann.dm(bob)
    site.pages["/a"] = PAGE
    said = say(ann, dm, f"{site.url}/a")
    bad = Record(TOPIC_LINKS, 0, 99, 1_800_000_000_000, b"", msgspec.msgpack.encode(["nonsense"]))
    look_at_links(msgspec.to_builtins([bad]))
    settle()
    assert shown(bob, said) == {said: "A title"}


# --- what is kept -------------------------------------------------------------------------------------


def test_it_goes_with_the_message_and_pictures_with_the_last(
    ann: Person, bob: Person, site: Site, settle: Settle
) -> None:
    dm = ann.dm(bob)
    site.pages["/a"] = b'<title>T</title><meta property="og:image" content="/p.png">'
    site.pages["/p.png"] = answering(objects.picture(), "image/png")
    first, held, last = (say(ann, dm, f"{site.url}/a {number}") for number in range(3))
    settle()
    [preview] = LinkPreview.objects.all()
    assert container.media_store().size(preview.image_key) > 0
    numbers = [ids.parse_server_id(it)[1] for it in (first, held, last)]
    conversation = ConversationId(ids.parse_conversation(dm))
    PreviewCopy().forget(conversation, before=numbers[2], keep=[(numbers[1], numbers[1])], media=[])
    assert sorted(PreviewUse.objects.values_list("message_id", flat=True)) == numbers[1:]
    LinkPreview.objects.update(fetched_at=timezone.now() - timedelta(days=2))
    assert services.sweep() == 0, "two messages show it"
    PreviewCopy().forget(conversation, before=MessageId(numbers[2] + 1), keep=[], media=[])
    assert services.sweep() == 1
    assert not LinkPreview.objects.exists()
    with pytest.raises(MediaMissing):
        container.media_store().size(preview.image_key)


def test_retention_asks_it(settings: Any) -> None:
    assert any(isinstance(copy, PreviewCopy) for copy in container.copies())


@pytest.mark.parametrize("messages", [["x"], ["c_AAAAAAAAAAE"], ["m_x"]])
def test_what_is_no_message_is_invalid(ann: Person, messages: list[str]) -> None:
    problem(ann.get("previews", message=messages), 400, "invalid")


def test_no_more_than_a_page(ann: Person) -> None:
    problem(ann.get("previews", message=["m_x"] * 201), 413, "too_large")
    assert ann.get("previews").json() == {"results": []}
