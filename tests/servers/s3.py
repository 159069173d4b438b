"""A server that speaks S3, in a thread of the tests: moto's, with one bucket. It does not check signatures."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto.server import ThreadedMotoServer

from messaging.adapters.s3.media import S3Settings


@contextmanager
def s3_server() -> Iterator[S3Settings]:
    """Run it on a free port of 127.0.0.1 and give what an adapter needs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = S3Settings("media", "eu-west-1", f"http://{host}:{port}", "access", "secret")
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
        server.stop()
