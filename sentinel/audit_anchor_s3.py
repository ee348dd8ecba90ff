"""Signed heads of the audit in an S3 bucket with object lock: nobody can change or delete them before their time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sentinel.audit_heads import SignedHead
from sentinel.audit_settings import S3AnchorSettings
from sentinel.canonical import canonical_json
from sentinel.errors import PermanentError, TransientError

_DENIED = {"AccessDenied", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidRequest"}


class S3Anchor:
    """One locked object for each head, `PREFIX/DAY/NUMBER.json`; see `HeadAnchor`. `now` is wall time in seconds.

    Credentials are found by AWS's usual rules at the first use. A lock keeps a version, not the name: what a writer puts
    over it later is another version, and `read` takes the first one.
    """

    def __init__(self, settings: S3AnchorSettings, now: Callable[[], float]) -> None:
        self.name = settings.name
        self._settings = settings
        self._now = now
        self._made: Any = None

    def put(self, head: SignedHead) -> None:
        """Store it under its lock."""
        settings = self._settings
        until = datetime.fromtimestamp(self._now(), UTC) + timedelta(days=settings.retain_days)
        self._call(
            "put_object",
            Bucket=settings.bucket,
            Key=f"{settings.prefix}{head.day}/{head.number:012d}.json",
            Body=canonical_json(head),
            ContentType="application/json",
            ChecksumAlgorithm="SHA256",
            ObjectLockMode=settings.mode,
            ObjectLockRetainUntilDate=until,
        )

    def read(self) -> list[SignedHead]:
        """Every head in the bucket, in their order; of an object with several versions the first."""
        first: dict[str, tuple[datetime, str]] = {}
        marker: dict[str, str] = {}
        while True:
            page = self._call(
                "list_object_versions", Bucket=self._settings.bucket, Prefix=self._settings.prefix, **marker
            )
            for one in page.get("Versions", ()):
                known = first.get(one["Key"])
                if known is None or one["LastModified"] <= known[0]:
                    # The list gives the newest version first: of two in the same second the later in the list is older.
                    first[one["Key"]] = (one["LastModified"], one["VersionId"])
            if not page.get("IsTruncated"):
                break
            marker = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        heads = [self._get(key, version) for key, (_, version) in first.items()]
        return sorted(heads, key=lambda head: head.number)

    def _get(self, key: str, version: str) -> SignedHead:
        answer = self._call("get_object", Bucket=self._settings.bucket, Key=key, VersionId=version)
        try:
            return msgspec.json.decode(answer["Body"].read(), type=SignedHead)
        except msgspec.MsgspecError as error:
            raise PermanentError(f"s3://{self._settings.bucket}/{key}: not a signed head: {error}") from error

    def _call(self, operation: str, **arguments: Any) -> Any:
        place = f"s3://{self._settings.bucket}"
        try:
            return getattr(self._client(), operation)(**arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            kind = PermanentError if code in _DENIED else TransientError
            raise kind(f"{place}: {error}") from error
        except BotoCoreError as error:
            raise TransientError(f"{place}: {error}") from error

    def _client(self) -> Any:
        if self._made is None:
            self._made = boto3.session.Session().client(
                "s3",
                region_name=self._settings.region or None,
                endpoint_url=self._settings.endpoint or None,
                config=Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard", "max_attempts": 3}),
            )
        return self._made
