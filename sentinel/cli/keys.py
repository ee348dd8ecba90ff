"""`sentinel keys`: make API keys. Only their hashes are ever stored."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

import typer

from sentinel.approvals import Role
from sentinel.cli.output import say

app = typer.Typer(help="API keys.", no_args_is_help=True)


def make_key() -> tuple[str, str]:
    """A new random key (256 bits) and the SHA-256 that goes into the configuration."""
    key = f"snt_{secrets.token_urlsafe(32)}"
    return key, hashlib.sha256(key.encode()).hexdigest()


@app.command("new")
def new_key(
    name: Annotated[str, typer.Argument(help="Whose key it is; this name stands in the audit records.")],
    role: Annotated[Role, typer.Option(help="What the holder may do.")] = Role.VIEWER,
) -> None:
    """Make a key. It is printed once; put the lines with its hash into the configuration."""
    key, sha256 = make_key()
    say(f"The key, shown only now:\n\n  {key}\n\nFor the configuration:\n")
    say(f"api:\n  keys:\n    - name: {name}\n      role: {role}\n      sha256: {sha256}")
