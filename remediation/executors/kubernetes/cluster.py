"""The API server of one cluster, through the official client: the home of the library `kubernetes`.

Objects go in and out as the JSON that the API server speaks: what this client's models do not know is not lost on the
way back. Every call has a deadline, nothing is repeated here, and every failure becomes one of Sentinel's errors.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from kubernetes.client import ApiClient, AppsV1Api, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config, new_client_from_config
from kubernetes.watch import Watch

from remediation.executors.kubernetes.states import Object
from remediation.kubernetes_settings import KubernetesSettings
from sentinel.errors import ConfigError, PermanentError, RefusedError, TransientError

FIELD_MANAGER = "aiops-sentinel"
"""Who `managedFields` say has changed something."""

_AGAIN = frozenset({408, 409, 410, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same call may succeed."""


_CONFLICT, _NOT_FOUND = 409, 404


class NotFoundError(PermanentError):
    """There is no such object."""


class ConflictError(TransientError):
    """The object has changed since it was read: read it again."""


@dataclass(frozen=True, slots=True)
class _Place:
    prefix: str
    plural: str
    namespaced: bool = True


_PLACES: Mapping[str, _Place] = {
    "deployment": _Place("/apis/apps/v1", "deployments"),
    "replicaset": _Place("/apis/apps/v1", "replicasets"),
    "pod": _Place("/api/v1", "pods"),
    "configmap": _Place("/api/v1", "configmaps"),
    "node": _Place("/api/v1", "nodes", namespaced=False),
    "autoscaler": _Place("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "budget": _Place("/apis/policy/v1", "poddisruptionbudgets"),
}


class Cluster:
    """One API server; safe for several threads."""

    def __init__(self, settings: KubernetesSettings) -> None:
        """Read the credentials and connect to nothing yet. Raises `ConfigError` when they cannot be read."""
        self._deadline = settings.deadline
        self._client = _client(settings)
        self._apps = AppsV1Api(self._client)

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object as it is now."""
        found: Object = self._call("GET", kind, namespace, name)
        return found

    def list(self, kind: str, namespace: str, selector: Mapping[str, str] | None = None) -> list[Object]:
        """The objects of a kind, those that carry all labels of `selector` where it is given."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in selector.items())} if selector else {}
        found: list[Object] = self._call("GET", kind, namespace, "", query=query)["items"]
        return found

    def replace(self, kind: str, namespace: str, thing: Object, *, dry_run: bool) -> Object:
        """Write an object that was read before, and answer it as it is then.

        Raises `ConflictError` when it has changed meanwhile (its `resourceVersion` is the precondition). With `dry_run`
        the API server does everything (defaults, admission, checks) but keep it.
        """
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        written: Object = self._call("PUT", kind, namespace, thing["metadata"]["name"], query=query, body=thing)
        return written

    def evict(self, namespace: str, pod: str, uid: str, *, dry_run: bool) -> None:
        """Evict exactly this pod. Raises `RefusedError` (rule `disruption_budget`) when a budget does not allow it now."""
        options: Object = {"preconditions": {"uid": uid}}
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": options | ({"dryRun": ["All"]} if dry_run else {}),
        }
        self._call("POST", "pod", namespace, pod, "/eviction", body=body)

    def watch_deployment(self, namespace: str, thing: Object, seconds: float) -> Iterator[Object]:
        """A Deployment each time it changes from now on, for about so many seconds."""
        metadata = thing["metadata"]
        try:
            for event in Watch(return_type=object).stream(
                self._apps.list_namespaced_deployment,
                namespace,
                field_selector=f"metadata.name={metadata['name']}",
                resource_version=metadata["resourceVersion"],
                timeout_seconds=max(1, round(seconds)),
                _request_timeout=seconds + self._deadline,
            ):
                yield event["raw_object"]
        except ApiException as error:
            raise _error(f"watch {metadata['name']}", int(error.status or 0), str(error.reason), {}) from error
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"kubernetes: watch {metadata['name']}: {error}") from error

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _call(
        self,
        method: str,
        kind: str,
        namespace: str,
        name: str,
        below: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
    ) -> Any:
        place = _PLACES[kind]
        path = f"{place.prefix}/namespaces/{{namespace}}" if place.namespaced else place.prefix
        path = f"{path}/{place.plural}" + ("/{name}" if name else "") + below
        what = f"{method} {kind} {namespace}/{name}".rstrip("/")
        until = time.monotonic() + self._deadline
        request = self._client.param_serialize(
            method,
            path,
            path_params={"namespace": namespace, "name": name},
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*request, _request_timeout=self._deadline)
            data = _read(response.response, until)
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(f"kubernetes: {what}: {error}") from error
        except ApiException as error:
            raise PermanentError(f"kubernetes: {what}: {error.reason}") from error
        answer = _json(data)
        if not 200 <= response.status <= 299:
            raise _error(what, response.status, str(answer.get("message") or data[:200]), answer)
        if not answer:
            raise TransientError(f"kubernetes: {what}: the answer is no JSON: {data[:200]!r}")
        return answer


def _read(response: urllib3.BaseHTTPResponse, until: float) -> bytes:
    """The whole body; a server that sends a byte now and then does not outlast the deadline."""
    parts = []
    while part := response.read1(65_536):
        parts.append(part)
        if time.monotonic() > until:
            response.close()
            raise urllib3.exceptions.TimeoutError("the answer did not end within the deadline")
    response.release_conn()
    return b"".join(parts)


def _json(data: bytes) -> Object:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(what: str, status: int, message: str, answer: Object) -> Exception:
    text = f"kubernetes: {what}: {status} {message}"
    causes: Sequence[Mapping[str, str]] = answer.get("details", {}).get("causes", ())
    if any(cause.get("reason") == "DisruptionBudget" for cause in causes):
        told = "; ".join(cause.get("message", "") for cause in causes)
        return RefusedError("disruption_budget", f"{message} {told}".strip())
    if status == _CONFLICT:
        return ConflictError(text)
    if status == _NOT_FOUND:
        return NotFoundError(text)
    return TransientError(text) if status in _AGAIN else PermanentError(text)


def _client(settings: KubernetesSettings) -> ApiClient:
    configuration = Configuration()
    # Here nothing is repeated: the worker decides, and knows the key.
    configuration.retries = False
    try:
        if not settings.kubeconfig:
            load_incluster_config(client_configuration=configuration)
            return ApiClient(configuration)
        client: ApiClient = new_client_from_config(
            config_file=str(Path(settings.kubeconfig).expanduser()),
            context=settings.context or None,
            persist_config=False,
            client_configuration=configuration,
        )
        return client
    except (ConfigException, OSError) as error:
        where = settings.kubeconfig or "the pod's service account"
        raise ConfigError(f"remediation.executor.kubernetes: {where} cannot be used: {error}") from error
