"""`sentinel aws-policy`: the IAM policy documents that a configuration needs, and no right more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sentinel.cli.output import exit_codes, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("aws-policy")(aws_policy)


@exit_codes
def aws_policy(
    file: Annotated[Path, typer.Argument(help="The configuration file.", exists=True, dir_okay=False)],
    document: Annotated[
        str, typer.Option("--document", help="Only this document: an account's number, or `sentinel`. Default all.")
    ] = "",
) -> None:
    """Print the IAM policy documents for the roles that Sentinel assumes, from its accounts, services and allow-list.

    One document for each account's role, and one for Sentinel's own identity.
    """
    from remediation.evidence import target_of
    from remediation.executors.aws.rights import policy_documents
    from sentinel.cli.settings import load_settings
    from sentinel.errors import ConfigError

    settings = load_settings(file)
    targets = [target_of(name, entry) for name, entry in settings.services.services.items()]
    accounts = settings.remediation.executor.aws.accounts
    documents = policy_documents(accounts, settings.remediation.policy.allow, targets)
    if document and document not in documents:
        raise ConfigError(f"{file}: there is no document {document!r}; there are {', '.join(documents)}")
    print_json(documents[document] if document else documents)
