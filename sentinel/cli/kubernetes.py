"""`sentinel kubernetes-rights`: the Roles that a configuration needs on its cluster, and no right more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.output import exit_codes, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("kubernetes-rights")(kubernetes_rights)


@exit_codes
def kubernetes_rights(
    file: Annotated[Path, typer.Argument(help="The configuration file.", exists=True, dir_okay=False)],
    account: Annotated[str, typer.Option("--account", help="Name of Sentinel's service account.")] = "sentinel",
    home: Annotated[str, typer.Option("--home", help="Namespace of that service account.")] = "sentinel",
) -> None:
    """Print the Roles and bindings for Sentinel's service account, from its namespaces, nodes and allow-list.

    A list that `kubectl apply -f -` takes. An allow-list without an entry for Kubernetes gives an empty one.
    """
    from remediation.executors.kubernetes.rights import manifests
    from sentinel.cli.settings import load_settings

    remediation = load_settings(file).remediation
    items = manifests(remediation.executor.kubernetes, remediation.policy.allow, account, home)
    print_json({"apiVersion": "v1", "kind": "List", "items": items})
