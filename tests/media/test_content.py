"""Who gets what of a file, and that nothing in it runs, tells or explodes."""

from collections.abc import Callable
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from messaging.domain import ids
from messaging.media.models import MediaObject, MediaUse, State
from messaging.media.names import MAX_NAME_CHARS, clean_name
from tests.api.conftest import Person, problem
from tests.media.objects import CAMERA, PLACE, Uploads, bomb, bytes_of, jpeg, picture, ready

pytestmark = pytest.mark.django_db
Route = Callable[[], None]


def sent(person: Person, conversation: str, data: bytes, name: str = "x", **more: Any) -> tuple[str, str]:
    """Upload a file and send it; return its reference and the message's."""
    ref = Uploads(person).whole(conversation, data, name, **more)["id"]
    return ref, person.say(conversation, "", media=[ref]).json()["server_id"]


# --- rights ---------------------------------------------------------------------------------------


def test_who_can_read_the_message_has_its_media(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    dm = ann.dm(bob)
    ref, message = sent(ann, dm, picture())
    route()
    for person in (ann, bob):
        for part in ("content", "thumbnail"):
            answer = person.get(f"media/{ref}/{part}", message=message)
            assert answer.status_code == 200
            assert len(bytes_of(answer)) == int(answer["Content-Length"])
        [described] = person.get("media", message=message).json()["results"]
        assert (described["id"], described["kind"], described["width"]) == (ref, "image", 800)
    for part in ("content", "thumbnail"):
        problem(cat.get(f"media/{ref}/{part}", message=message), 404, "not_found")
        problem(bob.get(f"media/{ref}/{part}"), 404, "not_found")
    assert cat.get("media", message=message).json() == {"results": []}


def test_a_message_gives_its_own_media_only(ann: Person, bob: Person, route: Route) -> None:
    """A message that one can read is no key to a file that it does not refer to."""
    dm = ann.dm(bob)
    ref, message = sent(ann, dm, b"12345")
    secret = Uploads(ann).whole(dm, b"secret")["id"]
    other = ann.say(dm, "no media").json()["server_id"]
    route()
    problem(bob.get(f"media/{secret}/content", message=message), 404, "not_found")
    problem(bob.get(f"media/{ref}/content", message=other), 404, "not_found")
    for wrong in ("m_x", "", ids.server_id(5, 5)):
        assert bob.get(f"media/{ref}/content", message=wrong).status_code in (400, 404)
    problem(bob.get("media/f_x/content", message=message), 404, "not_found")


def test_media_of_a_deleted_message_are_gone_for_everybody(ann: Person, bob: Person, route: Route) -> None:
    dm = ann.dm(bob)
    ref, message = sent(ann, dm, picture())
    route()
    assert ann.delete(f"messages/{message}").status_code == 204
    route()
    for person in (ann, bob):
        problem(person.get(f"media/{ref}/content", message=message), 404, "not_found")
        problem(person.get(f"media/{ref}/content"), 404, "not_found")
        assert person.get("media", message=message).json() == {"results": []}


def test_who_left_and_who_came_later_get_nothing(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    group = ann.group(bob)
    ref, message = sent(ann, group, b"12345")
    route()
    assert ann.post(f"conversations/{group}/members", {"members": [cat.ref]}).status_code == 200
    assert bob.delete(f"conversations/{group}/members/{bob.ref}").status_code == 204
    route()
    for person in (bob, cat):
        problem(person.get(f"media/{ref}/content", message=message), 404, "not_found")


def test_a_forward_grants_and_its_origins_deletion_takes_nothing_from_it(
    ann: Person, bob: Person, cat: Person, route: Route
) -> None:
    dm, other = ann.dm(bob), bob.dm(cat)
    ref, message = sent(ann, dm, b"12345")
    route()
    forwarded = bob.say(other, "", media=[ref], forwarded_from=message).json()["server_id"]
    route()
    assert ann.delete(f"messages/{message}").status_code == 204
    route()
    assert bytes_of(cat.get(f"media/{ref}/content", message=forwarded)) == b"12345"
    problem(ann.get(f"media/{ref}/content", message=forwarded), 404, "not_found")


def test_others_media_cannot_be_sent(ann: Person, bob: Person, cat: Person, route: Route) -> None:
    dm, other = ann.dm(bob), bob.dm(cat)
    ref, message = sent(ann, dm, b"12345")
    unsent = ready(ann.id)
    plain = ann.say(dm, "nothing in it").json()["server_id"]
    route()
    problem(bob.say(other, media=[ref]), 404, "not_found")
    problem(bob.say(other, media=[unsent], forwarded_from=message), 404, "not_found")
    problem(bob.say(other, media=[ref], forwarded_from=plain), 404, "not_found")
    problem(cat.say(other, media=[ref], forwarded_from=message), 404, "not_found")
    assert set(MediaUse.objects.values_list("sender_id", flat=True)) == {ann.id}


@pytest.mark.parametrize("state", [State.UPLOADING, State.PROCESSING, State.REFUSED])
def test_what_is_not_ready_is_in_no_message(ann: Person, bob: Person, state: State) -> None:
    ref = ready(ann.id, state=state)
    problem(ann.say(ann.dm(bob), media=[ref]), 404, "not_found")
    problem(ann.get(f"media/{ref}/content"), 404, "not_found")


def test_a_resend_passes_whatever_became_of_the_media(ann: Person, bob: Person, route: Route) -> None:
    dm, msg_id = ann.dm(bob), str(uuid4())
    ref = ready(ann.id)
    first = ann.say(dm, media=[ref], msg_id=msg_id)
    route()
    MediaObject.objects.update(state=State.REFUSED)
    again = ann.say(dm, media=[ref], msg_id=msg_id)
    assert (again.status_code, again.json()["server_id"]) == (200, first.json()["server_id"])
    problem(ann.say(dm, media=[ref, ref]), 400, "invalid")


# --- bytes ----------------------------------------------------------------------------------------


def test_ranges_and_what_is_held_already(ann: Person, bob: Person) -> None:
    data = bytes(range(256)) * 1000
    ref = Uploads(ann).whole(ann.dm(bob), data)["id"]
    path = f"/v1/media/{ref}/content"
    whole = ann.client.get(path)
    assert (whole.status_code, whole["Accept-Ranges"], bytes_of(whole)) == (200, "bytes", data)
    for asked, start, end in (
        ("0-9", 0, 10),
        ("100000-", 100_000, 256_000),
        ("-5", 255_995, 256_000),
        ("9-999999", 9, 256_000),
    ):
        part = ann.client.get(path, HTTP_RANGE=f"bytes={asked}")
        assert (part.status_code, part["Content-Range"]) == (206, f"bytes {start}-{end - 1}/256000"), asked
        assert bytes_of(part) == data[start:end]
    for asked in ("256000-", "9-5", "-0"):
        assert ann.client.get(path, HTTP_RANGE=f"bytes={asked}").status_code == 416
    # What is not understood is not obeyed.
    for asked in ("bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=x-y", "bytes=" + "9" * 40 + "-"):
        assert bytes_of(ann.client.get(path, HTTP_RANGE=asked)) == data
    assert ann.client.get(path, HTTP_IF_NONE_MATCH=whole["ETag"]).status_code == 304
    assert ann.client.get(path, HTTP_RANGE="bytes=0-9", HTTP_IF_RANGE='"another"').status_code == 200
    assert "private" in whole["Cache-Control"]
    assert {"Authorization", "Cookie"} <= {it.strip() for it in whole["Vary"].split(",")}


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(document.domain)</script></svg>'
PAGE = b"<!doctype html><script>alert(document.domain)</script>"
PDF = b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>"


@pytest.mark.parametrize(
    ("data", "name", "declared"),
    [
        (SVG, "drawing.svg", "image/svg+xml"),
        (SVG, "drawing.png", "image/png"),
        (PAGE, "page.html", "text/html"),
        (PAGE, "film.mp4", "video/mp4"),
        (PDF, "form.pdf", "application/pdf"),
        (b"PK\x03\x04" + bytes(50), "zip.jpg", "image/jpeg"),
        (b"GIF", "short.gif", "image/gif"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(50), "photo.heic", "image/heic"),
    ],
)
def test_what_might_run_is_saved_and_not_shown(ann: Person, bob: Person, data: bytes, name: str, declared: str) -> None:
    told = Uploads(ann).whole(ann.dm(bob), data, name, type=declared)
    assert (told["state"], told["kind"], told["type"]) == ("ready", "file", "application/octet-stream")
    answer = ann.get(f"media/{told['id']}/content")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox; frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert "script-src" not in answer["Content-Security-Policy"]
    problem(ann.get(f"media/{told['id']}/thumbnail"), 404, "not_found")


def test_a_picture_tells_nothing_of_where_it_was_taken(ann: Person, bob: Person) -> None:
    data = jpeg(800, 600, orientation=6)
    assert PLACE.encode() in data
    assert CAMERA.encode() in data
    told = Uploads(ann).whole(ann.dm(bob), data, "photo.jpg")
    for part in ("content", "thumbnail"):
        written = bytes_of(ann.get(f"media/{told['id']}/{part}"))
        assert PLACE.encode() not in written
        assert CAMERA.encode() not in written
        image = Image.open(BytesIO(written))
        assert not image.getexif()
        assert "comment" not in image.info
    # Its orientation was in what is gone, so it was turned: the bright corner is at the right now.
    assert (told["width"], told["height"]) == (600, 800)
    image = Image.open(BytesIO(bytes_of(ann.get(f"media/{told['id']}/content"))))
    assert image.getpixel((590, 10))[0] > 200  # type: ignore[index]
    assert image.getpixel((10, 10))[0] < 100  # type: ignore[index]


@pytest.mark.parametrize("kind", ["GIF", "PNG", "JPEG", "WEBP"])
def test_what_hides_behind_a_picture_is_gone(ann: Person, bob: Person, kind: str) -> None:
    """A picture that is a script or an archive as well."""
    hidden = b"*/=1;alert(document.domain)//PK\x03\x04"
    told = Uploads(ann).whole(ann.dm(bob), picture(kind=kind) + hidden, f"both.{kind.lower()}")
    assert (told["state"], told["kind"]) == ("ready", "image")
    answer = ann.get(f"media/{told['id']}/content")
    assert answer["Content-Type"] == f"image/{kind.lower()}"
    assert answer["Content-Disposition"].startswith("inline;")
    assert b"alert" not in bytes_of(answer)


def test_a_gif_whose_head_is_a_script_is_no_script_any_more(ann: Person, bob: Person) -> None:
    """The classic: a comment opens in the header's width, and closes behind the picture."""
    data = bytearray(picture(kind="GIF"))
    data[6:8] = b"/*"
    told = Uploads(ann).whole(ann.dm(bob), bytes(data) + b"*/=1;alert(1)", "x.gif")
    if told["state"] == "ready":
        assert b"alert" not in bytes_of(ann.get(f"media/{told['id']}/content"))


def test_a_moving_picture_moves_on(ann: Person, bob: Person) -> None:
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("red", "green", "blue")]
    written = BytesIO()
    frames[0].save(
        written, "GIF", save_all=True, append_images=frames[1:], duration=[50, 70, 90], comment=PLACE.encode()
    )
    told = Uploads(ann).whole(ann.dm(bob), written.getvalue(), "x.gif")
    data = bytes_of(ann.get(f"media/{told['id']}/content"))
    assert PLACE.encode() not in data
    image: Any = Image.open(BytesIO(data))
    assert image.n_frames == 3
    assert [(image.seek(at), image.info["duration"])[1] for at in range(3)] == [50, 70, 90]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (bomb(), "the picture has too many pixels"),
        (bomb(9_000, 9_000), "the picture has too many pixels"),
        (picture()[:-200], "the picture is damaged"),
        (jpeg()[:2_000], "the picture is damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "the picture is damaged"),
        (b"GIF89a" + b"\xff" * 500, "the picture is damaged"),
        (b"\xff\xd8\xff" + b"\x00" * 500, "the picture is damaged"),
        (b"RIFF\x00\x01\x00\x00WEBPVP8 " + bytes(300), "the picture is damaged"),
    ],
    ids=["bomb", "small bomb", "cut PNG", "cut JPEG", "no PNG", "no GIF", "no JPEG", "no WebP"],
)
def test_bombs_and_wrecks_are_refused(ann: Person, bob: Person, data: bytes, reason: str) -> None:
    told = Uploads(ann).whole(ann.dm(bob), data, "x.png")
    assert (told["state"], told["reason"]) == ("refused", reason)
    problem(ann.get(f"media/{told['id']}/content"), 404, "not_found")
    problem(ann.say(ann.dm(bob), media=[told["id"]]), 404, "not_found")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/", "file"),
        ("..", "file"),
        ("", "file"),
        ("a\x00b\r\nSet-Cookie: x=1.png", "abSet-Cookie: x=1.png"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("  Ferien  2026\t.jpg ", "Ferien 2026.jpg"),
        ("größe 📷.png", "größe 📷.png"),
        ("\ud800x", "x"),
        ("x" * 500 + ".tar.gz", "x" * (MAX_NAME_CHARS - 3) + ".gz"),
    ],
)
def test_names_are_names(name: str, clean: str) -> None:
    assert clean_name(name) == clean


def test_a_name_cannot_write_headers_or_paths(ann: Person, bob: Person) -> None:
    told = Uploads(ann).whole(ann.dm(bob), b"12345", '../../"; filename=evil.exe\r\nX-Evil: 1')
    answer = ann.get(f"media/{told['id']}/content")
    assert "X-Evil" not in answer
    assert answer["Content-Disposition"] == 'attachment; filename="\\"; filename=evil.exeX-Evil: 1"'
    assert "evil" not in MediaObject.objects.get().content_key
