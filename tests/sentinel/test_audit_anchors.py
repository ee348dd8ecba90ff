"""Places outside for signed heads: a file that only grows, a webhook, a bucket with object lock."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from sentinel.audit_anchor import HeadFile
from sentinel.audit_anchor_s3 import S3Anchor
from sentinel.audit_anchor_webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookAnchor, sign_body
from sentinel.audit_heads import check_heads, read_heads
from sentinel.audit_settings import AuditSettings, S3AnchorSettings, WebhookAnchorSettings
from sentinel.errors import PermanentError, TransientError
from tests.sentinel.test_audit_export import TRUST, heads

ONE, TWO = heads(2, 6)
NOW = 1_700_000_000.0


def test_the_file_keeps_every_head_and_a_torn_line_is_replaced(tmp_path):
    file = HeadFile("file", tmp_path / "deep" / "heads.jsonl")
    assert file.read() == []
    file.put(ONE)
    with file.path.open("ab") as out:
        out.write(b'{"number":')
    assert file.read() == [ONE]
    file.put(TWO)
    assert file.read() == [ONE, TWO]
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path):
    with pytest.raises(TransientError, match="directory"):
        HeadFile("file", tmp_path).put(ONE)


def test_a_damaged_file_is_named_by_its_line():
    with pytest.raises(PermanentError, match="heads:1"):
        read_heads(b"nonsense\n", "heads")


class Receiver:
    """An endpoint that keeps what is posted, and answers as it is told to."""

    def __init__(self):
        receiver = self
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.status = 204

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append((dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, format, *args):  # noqa: A002 the name that the library asks for
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/heads"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def webhook(url, **settings):
    return WebhookAnchor(WebhookAnchorSettings.model_validate({"kind": "webhook", "url": url, **settings}), lambda: NOW)


def test_a_webhook_gets_the_signed_head_and_knows_who_posted_it(receiver):
    webhook(receiver.url, secret="hush").put(ONE)
    [(headers, body)] = receiver.posts
    assert json.loads(body)["signature"] == ONE.signature
    assert headers[TIMESTAMP_HEADER] == "1700000000"
    assert headers[SIGNATURE_HEADER] == sign_body("hush", body, NOW)[SIGNATURE_HEADER]
    assert headers[SIGNATURE_HEADER] != sign_body("else", body, NOW)[SIGNATURE_HEADER]
    assert headers[SIGNATURE_HEADER] != sign_body("hush", body, NOW + 1)[SIGNATURE_HEADER]
    assert headers["Idempotency-Key"] == f"{ONE.key}-1"
    assert check_heads(read_heads(body + b"\n", "post"), TRUST)[1] is None


@pytest.mark.parametrize(
    ("status", "kind"), [(500, TransientError), (429, TransientError), (401, PermanentError), (302, PermanentError)]
)
def test_a_webhook_that_does_not_take_it_is_an_error(receiver, status, kind):
    receiver.status = status
    with pytest.raises(kind, match=str(status)):
        webhook(receiver.url).put(ONE)
    assert len(receiver.posts) == 1


def test_a_webhook_that_is_away_is_tried_again():
    with pytest.raises(TransientError):
        webhook("http://127.0.0.1:9/", timeout=0.5).put(ONE)


@pytest.fixture(scope="module")
def aws():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(aws, request, monkeypatch):
    """A bucket with object lock, and the settings of the place in it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    name = f"audit-{abs(hash(request.node.name))}"
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=aws)
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    settings = {"kind": "s3", "bucket": name, "region": "us-east-1", "endpoint": aws, "retain_days": 30}
    return client, S3AnchorSettings.model_validate(settings)


def test_a_bucket_keeps_every_head_under_lock(bucket):
    client, settings = bucket
    anchor = S3Anchor(settings, lambda: 4_000_000_000.0)
    for head in (ONE, TWO):
        anchor.put(head)
    assert anchor.read() == [ONE, TWO]
    key = f"sentinel-audit/{ONE.day}/000000000001.json"
    found = client.get_object(Bucket=settings.bucket, Key=key)
    assert found["ObjectLockMode"] == "COMPLIANCE"
    assert found["ObjectLockRetainUntilDate"].timestamp() == 4_000_000_000.0 + 30 * 86_400
    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=settings.bucket, Key=key, VersionId=found["VersionId"])


def test_what_is_put_over_a_head_later_does_not_count(bucket):
    client, settings = bucket
    anchor = S3Anchor(settings, lambda: 4_000_000_000.0)
    anchor.put(ONE)
    key = f"sentinel-audit/{ONE.day}/000000000001.json"
    client.put_object(Bucket=settings.bucket, Key=key, Body=b'{"forged": true}')
    client.delete_object(Bucket=settings.bucket, Key=key)
    assert anchor.read() == [ONE]


def test_a_bucket_that_is_not_there_or_away_is_an_error(bucket):
    _, settings = bucket
    with pytest.raises(PermanentError, match="NoSuchBucket"):
        S3Anchor(settings.model_copy(update={"bucket": "gone"}), lambda: NOW).put(ONE)
    with pytest.raises(TransientError):
        S3Anchor(settings.model_copy(update={"endpoint": "http://127.0.0.1:9"}), lambda: NOW).put(ONE)


def test_places_have_names_of_their_own_and_need_a_key():
    hook = {"kind": "webhook", "url": "http://x"}
    AuditSettings.model_validate({"key": "env:K", "anchors": [hook, {**hook, "name": "other"}, {"kind": "file"}]})
    with pytest.raises(ValueError, match="two places have the name webhook"):
        AuditSettings.model_validate({"key": "env:K", "anchors": [hook, hook]})
    with pytest.raises(ValueError, match=r"without audit\.key"):
        AuditSettings.model_validate({"anchors": [hook]})
