"""Media in a bucket of S3, or of a store that speaks its protocol (docs/decisions/0052).

Bytes do not pass through the gateways: clients put the parts of a multipart upload to, and get objects from, addresses
that are signed here and good for some minutes. The bucket itself is closed to the public.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from messaging.ports import MEDIA_LINK_TTL_S, MediaMissing, MediaUnavailable

#: S3 takes none under 5 MiB but the last.
PART_BYTES: Final = 8 * 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_DELETE_PAGE: Final = 1_000
_MISSING: Final = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where the bucket is. ``endpoint`` and keys may be empty: AWS, and what its own ways of giving keys provide."""

    bucket: str
    region: str
    endpoint: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)


@contextlib.contextmanager
def _missing_or_unavailable() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _MISSING:
            raise MediaMissing("no such object or upload") from None
        # Without its text, in which a store may repeat what it was asked.
        raise MediaUnavailable(f"the bucket answers {code or 'with an error'}") from error
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise MediaUnavailable(f"the bucket cannot be reached: {type(error).__name__}") from error


class S3MediaStore:
    """The port's promises, kept by S3's: a write that was answered is durable, and is read by whoever comes next."""

    part_bytes = PART_BYTES

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.bucket
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=settings.endpoint or None,
            region_name=settings.region,
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            config=Config(
                signature_version="s3v4",
                # Bucket names as host names need a wildcard domain, which stores of one's own seldom have.
                s3={"addressing_style": "path" if settings.endpoint else "virtual"},
                connect_timeout=5,
                read_timeout=30,
                retries={"mode": "standard", "total_max_attempts": 3},
                # Newer checksums, which other stores than AWS do not know.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def begin(self, key: str) -> str:
        """Begin an upload to ``key`` and return its name."""
        with _missing_or_unavailable():
            return str(self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"])

    def part_url(self, key: str, upload: str, number: int, *, size: int) -> str | None:
        """Return a signed address of the part; the signature covers its size."""
        wanted = {
            "Bucket": self._bucket,
            "Key": key,
            "UploadId": upload,
            "PartNumber": number,
            "ContentLength": size,
        }
        return str(self._client.generate_presigned_url("upload_part", Params=wanted, ExpiresIn=MEDIA_LINK_TTL_S))

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> None:
        """Store a part durably. Raises MediaMissing: no such upload."""
        with _missing_or_unavailable():
            self._client.upload_part(Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=data)

    def parts(self, key: str, upload: str) -> dict[int, int]:
        """Return the size of each part, by number. Raises MediaMissing: no such upload."""
        return {int(part["PartNumber"]): int(part["Size"]) for part in self._list(key, upload)}

    def _list(self, key: str, upload: str) -> list[dict[str, Any]]:
        with _missing_or_unavailable():
            pages = self._client.get_paginator("list_parts").paginate(Bucket=self._bucket, Key=key, UploadId=upload)
            return [part for page in pages for part in page.get("Parts", ())]

    def finish(self, key: str, upload: str) -> None:
        """Make the parts the object. Raises MediaMissing: neither such an upload nor the object."""
        try:
            found = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in self._list(key, upload)]
            with _missing_or_unavailable():
                self._client.complete_multipart_upload(
                    Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": found}
                )
        except MediaMissing:
            # Finished before, perhaps.
            self.size(key)

    def abort(self, key: str, upload: str) -> None:
        """Delete an upload with its parts."""
        with contextlib.suppress(MediaMissing), _missing_or_unavailable():
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def put(self, key: str, data: bytes) -> None:
        """Store a whole object durably."""
        with _missing_or_unavailable():
            self._client.put_object(Bucket=self._bucket, Key=key, Body=data)

    def size(self, key: str) -> int:
        """Return an object's size in bytes. Raises MediaMissing."""
        with _missing_or_unavailable():
            return int(self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"])

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to before ``end``. Raises MediaMissing, at the call."""
        size = self.size(key)
        return self._pieces(key, start, size if end is None else min(end, size))

    def _pieces(self, key: str, start: int, end: int) -> Iterator[bytes]:
        if start >= end:
            return
        with _missing_or_unavailable():
            body = self._client.get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{end - 1}")["Body"]
            with contextlib.closing(body):
                yield from body.iter_chunks(_PIECE_BYTES)

    def url(self, key: str, *, content_type: str, disposition: str) -> str | None:
        """Return a signed address of the object, which answers with these headers."""
        wanted = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
        }
        return str(self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=MEDIA_LINK_TTL_S))

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; absent ones are no error."""
        for at in range(0, len(keys), _DELETE_PAGE):
            page = [{"Key": key} for key in keys[at : at + _DELETE_PAGE]]
            with _missing_or_unavailable():
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": page, "Quiet": True})
            if answer.get("Errors"):
                raise MediaUnavailable(f"the bucket kept {len(answer['Errors'])} of {len(page)} objects")
