"""Clients of AWS: one assumed role per account, calls with a deadline, and retries for reading only."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3.session
from botocore.config import Config

from remediation.aws_settings import AwsSettings
from remediation.executors.aws.errors import told
from sentinel.errors import RefusedError

_READ_ATTEMPTS = 3
"""Attempts of a call that changes nothing, the first included."""

_RENEW = 300.0
"""Seconds before their end at which a role's credentials are fetched anew."""

_SESSION_NAME = "aiops-sentinel"
"""How Sentinel shows in CloudTrail."""


@dataclass
class _Role:
    """Credentials of one account's role until `ends` (wall seconds), and the clients made with them."""

    credentials: dict[str, str]
    ends: float
    clients: dict[tuple[str, str, bool], Any] = field(default_factory=dict)


class AwsClients:
    """Makes clients when they are first needed; safe for several threads."""

    def __init__(
        self, settings: AwsSettings, now: Callable[[], float], session: boto3.session.Session | None = None
    ) -> None:
        """Connect to nothing yet. `now` is wall time.

        `session` finds Sentinel's own credentials, by default as AWS's tools do: environment, profile, the machine's
        role.
        """
        self._settings = settings
        self._now = now
        self._session = session
        self._roles: dict[str, _Role] = {}
        self._lock = threading.Lock()

    def reading(self, account: str, region: str, service: str) -> Any:
        """A client for calls that change nothing: throttled or unanswered ones are tried again, at most twice."""
        return self._client(account, region, service, writes=False)

    def writing(self, account: str, region: str, service: str) -> Any:
        """A client for calls that act: each is sent once, whatever comes back."""
        return self._client(account, region, service, writes=True)

    def forget(self, account: str) -> None:
        """Drop an account's credentials, so that the next call fetches new ones."""
        with self._lock:
            self._roles.pop(account, None)

    def close(self) -> None:
        """Close the connections of every client."""
        with self._lock:
            for role in self._roles.values():
                for client in role.clients.values():
                    client.close()
            self._roles.clear()

    def _client(self, account: str, region: str, service: str, *, writes: bool) -> Any:
        allowed = self._settings.accounts.get(account)
        if allowed is None or region not in allowed.regions:
            raise RefusedError(
                "allow-list", f"{region} of account {account} is not in remediation.executor.aws.accounts"
            )
        with self._lock:
            role = self._roles.get(account)
            if role is None or role.ends - _RENEW <= self._now():
                role = self._roles[account] = self._assume(account, region)
            key = (service, region, writes)
            if key not in role.clients:
                attempts = 1 if writes else _READ_ATTEMPTS
                role.clients[key] = self._make(service, region, attempts, **role.credentials)
            return role.clients[key]

    def _assume(self, account: str, region: str) -> _Role:
        settings = self._settings.accounts[account]
        request = {"RoleArn": settings.role, "RoleSessionName": _SESSION_NAME}
        if settings.external_id:
            request["ExternalId"] = settings.external_id
        with told(f"AssumeRole {settings.role}"):
            sts = self._make("sts", region, _READ_ATTEMPTS)
            try:
                answer = sts.assume_role(**request)["Credentials"]
            finally:
                sts.close()
        credentials = {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }
        return _Role(credentials, answer["Expiration"].timestamp())

    def _make(self, service: str, region: str, attempts: int, **credentials: str) -> Any:
        if self._session is None:
            self._session = boto3.session.Session()
        config = Config(
            connect_timeout=self._settings.deadline,
            read_timeout=self._settings.deadline,
            retries={"mode": "standard", "total_max_attempts": attempts},
            user_agent_extra=_SESSION_NAME,
        )
        endpoint = self._settings.endpoint or None
        return self._session.client(service, region_name=region, endpoint_url=endpoint, config=config, **credentials)
