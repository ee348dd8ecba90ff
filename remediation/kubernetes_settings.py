"""Configuration of the Kubernetes executor. As shipped it connects to no cluster."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sentinel.config import Section

Positive = Annotated[float, Field(gt=0)]
"""A duration in seconds."""


class KubernetesSettings(Section):
    """One cluster, and the part of it that may be touched. Credentials stay where they are: only their place is named."""

    kubeconfig: str = ""
    """Path of a kubeconfig file. Default empty: the service account of the pod that Sentinel runs in."""
    context: str = ""
    """Context of that file. Default empty: its current one."""
    namespaces: tuple[str, ...] = ()
    """Namespaces, by their full names, whose objects may be looked at and acted on. Default none: nothing is connected."""
    nodes: tuple[str, ...] = ()
    """Nodes, by their full names, that may be cordoned. Default none, because a node carries other people's pods too."""
    opt_in: str = "aiops-sentinel/remediate"
    """Label that an object must carry with the value `true` before anything is done to it: its owner's consent, beside the
    allow-list. It cannot be switched off."""
    deadline: Positive = 5.0
    """Seconds for one call to the API server. Default 5."""
    wait: Positive = 10.0
    """Seconds that one `apply` watches a roll-out before the worker is asked to call again. Default 10, below the lease of
    a run."""
    give_up: Positive = 300.0
    """Seconds after which a roll-out that is not ready counts as failed. Default 300; a Deployment's own
    `progressDeadlineSeconds` ends it earlier where it is shorter."""

    @property
    def used(self) -> bool:
        """Whether there is anything to connect to a cluster for."""
        return bool(self.namespaces or self.nodes)
