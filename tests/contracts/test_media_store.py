"""What every MediaStore promises. Another adapter plugs in by one more entry in FACTORIES."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Thread
from uuid import uuid4

import httpx
import pytest

from messaging.adapters.embedded.media import FileMediaStore
from messaging.adapters.s3.media import S3MediaStore, S3Settings
from messaging.ports import MediaMissing, MediaStore, MediaUnavailable
from tests.servers.s3 import s3_server


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Settings]:
    with s3_server() as settings:
        yield settings


FACTORIES: dict[str, Callable[[pytest.FixtureRequest], MediaStore]] = {
    "files": lambda request: FileMediaStore(request.getfixturevalue("tmp_path")),
    "s3": lambda request: S3MediaStore(request.getfixturevalue("s3")),
}


@pytest.fixture(params=FACTORIES)
def store(request: pytest.FixtureRequest) -> MediaStore:
    return FACTORIES[request.param](request)


@pytest.fixture
def key() -> str:
    return f"ab/{uuid4()}/original"


def whole(store: MediaStore, key: str) -> bytes:
    return b"".join(store.read(key))


def send(store: MediaStore, key: str, upload: str, number: int, data: bytes) -> None:
    """Send a part as a client would: to the address that the store gives away, or through us."""
    url = store.part_url(key, upload, number, size=len(data))
    if url is None:
        store.put_part(key, upload, number, data)
    else:
        httpx.put(url, content=data).raise_for_status()


def test_parts_in_any_order_make_an_object(store: MediaStore, key: str) -> None:
    first, last = b"a" * store.part_bytes, b"the end"
    upload = store.begin(key)
    assert store.parts(key, upload) == {}
    send(store, key, upload, 2, last)
    assert store.parts(key, upload) == {2: len(last)}
    send(store, key, upload, 1, first)
    assert store.parts(key, upload) == {1: len(first), 2: len(last)}
    store.finish(key, upload)
    assert store.size(key) == len(first) + len(last)
    assert whole(store, key) == first + last
    with pytest.raises(MediaMissing):
        store.parts(key, upload)


def test_of_two_parts_with_one_number_the_later_stands(store: MediaStore, key: str) -> None:
    upload = store.begin(key)
    for data in (b"first try, longer", b"second try"):
        store.put_part(key, upload, 1, data)
    store.finish(key, upload)
    assert whole(store, key) == b"second try"


def test_what_is_not_finished_is_not_there(store: MediaStore, key: str) -> None:
    upload = store.begin(key)
    store.put_part(key, upload, 1, b"x")
    with pytest.raises(MediaMissing):
        store.size(key)
    with pytest.raises(MediaMissing):
        store.read(key)


def test_finishing_again_changes_nothing(store: MediaStore, key: str) -> None:
    upload = store.begin(key)
    store.put_part(key, upload, 1, b"x")
    store.finish(key, upload)
    store.finish(key, upload)
    assert whole(store, key) == b"x"


def test_two_may_finish_at_once(store: MediaStore, key: str) -> None:
    upload = store.begin(key)
    store.put_part(key, upload, 1, b"x" * 1000)
    together, failed = Barrier(2), []

    def finish() -> None:
        together.wait()
        try:
            store.finish(key, upload)
        except Exception as error:
            failed.append(error)

    threads = [Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert whole(store, key) == b"x" * 1000


def test_an_upload_that_was_aborted_is_gone(store: MediaStore, key: str) -> None:
    upload = store.begin(key)
    store.put_part(key, upload, 1, b"x")
    store.abort(key, upload)
    store.abort(key, upload)
    # moto answers 500 to a part of no upload, where S3 answers NoSuchUpload.
    if isinstance(store, FileMediaStore):
        with pytest.raises(MediaMissing):
            store.put_part(key, upload, 2, b"y")
    with pytest.raises(MediaMissing):
        store.finish(key, upload)
    with pytest.raises(MediaMissing):
        store.parts(key, upload)


def test_ranges(store: MediaStore, key: str) -> None:
    data = bytes(range(256)) * 1024
    store.put(key, data)
    assert b"".join(store.read(key, start=70_000)) == data[70_000:]
    assert b"".join(store.read(key, start=5, end=200_000)) == data[5:200_000]
    assert b"".join(store.read(key, start=5, end=5)) == b""
    given_up = store.read(key)
    assert data.startswith(next(given_up))
    given_up.close()  # type: ignore[attr-defined]


def test_an_object_can_be_put_again_and_deleted(store: MediaStore, key: str) -> None:
    store.put(key, b"old and long")
    store.put(key, b"new")
    assert (store.size(key), whole(store, key)) == (3, b"new")
    store.delete([key, f"{key}-of-nobody"])
    with pytest.raises(MediaMissing):
        store.size(key)
    with pytest.raises(MediaMissing):
        store.read(key)


def test_an_address_gives_the_object_with_the_headers_that_were_asked_for(store: MediaStore, key: str) -> None:
    store.put(key, b"<script>")
    url = store.url(key, content_type="application/octet-stream", disposition='attachment; filename="a.html"')
    if url is None:
        # It is read through us, and the headers are ours.
        assert isinstance(store, FileMediaStore)
        return
    answer = httpx.get(url)
    assert answer.content == b"<script>"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a.html"'


# --- of one adapter -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x", "a//b", "", "A", "a\x00b", "a/"])
def test_a_key_leads_nowhere_else(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        FileMediaStore(tmp_path).put(key, b"x")


def test_the_name_of_an_upload_leads_nowhere_else(tmp_path: Path) -> None:
    store = FileMediaStore(tmp_path)
    for upload in ("../objects", "", ".", "/tmp"):
        with pytest.raises(MediaMissing):
            store.put_part("a", upload, 1, b"x")


def test_a_directory_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    store = FileMediaStore(tmp_path)
    (tmp_path / "objects" / "a").write_text("a file where a folder should be")
    with pytest.raises(MediaUnavailable):
        store.put("a/b", b"x")


def test_a_bucket_that_is_not_there_is_unavailable(s3: S3Settings) -> None:
    with pytest.raises(MediaUnavailable, match="NoSuchBucket"):
        S3MediaStore(replace(s3, bucket="nobodys")).put("a", b"x")
    # Nobody listens there.
    with pytest.raises(MediaUnavailable, match="cannot be reached"):
        S3MediaStore(replace(s3, endpoint="http://127.0.0.1:9")).begin("a")


def test_an_address_is_signed_and_ends(s3: S3Settings) -> None:
    url = httpx.URL(S3MediaStore(s3).part_url("a/b", "upload", 3, size=10))
    assert (url.params["X-Amz-Expires"], url.params["partNumber"]) == ("300", "3")
    assert "content-length" in url.params["X-Amz-SignedHeaders"]
    assert s3.secret_key not in str(url)
