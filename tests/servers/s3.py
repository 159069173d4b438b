"""A server that speaks S3, in a thread of the tests: moto's, with one bucket. It does not check signatures."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from threading import Lock, Thread
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wsgi import ClosingIterator

from messaging.adapters.s3.media import S3Settings


class _OneByOne:
    """Lets one request in at a time: moto's state has no locks, and two at once find what no S3 would show them."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock, closing(ClosingIterator(self._app(environ, start_response))) as answer:
            return list(answer)


@contextmanager
def s3_server() -> Iterator[S3Settings]:
    """Run it on a free port of 127.0.0.1 and give what an adapter needs."""
    app = _OneByOne(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever, name="s3")
    thread.start()
    try:
        settings = S3Settings("media", "eu-west-1", f"http://127.0.0.1:{server.port}", "access", "secret")
        client = boto3.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
        )
        client.create_bucket(Bucket=settings.bucket, CreateBucketConfiguration={"LocationConstraint": settings.region})
        client.close()
        yield settings
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
