"""Configuration of the AWS executor: which accounts and regions it may reach, and as whom."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from sentinel.config import Section

AccountId = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
"""The number of an AWS account; in YAML in quotes, because it may begin with 0."""


class AwsAccount(Section):
    """One account that may be reached, and the role that is assumed there."""

    role: str = Field(max_length=600, pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")
    """ARN of the role, best by `${ENV}`. `sentinel aws-policy` prints the rights that it needs."""
    external_id: str = ""
    """External id that the role's trust policy asks for, by `${ENV}`. Default none."""
    regions: tuple[str, ...] = ()
    """Regions that may be reached. Default none: name each."""


class AwsSettings(Section):
    """AWS. As shipped no account and no region: nothing can be reached.

    What a service is in AWS stands in the service catalogue, as its `resource`.
    """

    accounts: dict[AccountId, AwsAccount] = {}
    """Accounts that may be reached, by number. Default none."""
    deadline: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds to connect, and again to wait for an answer, in one call. Default 5."""
    settle: Annotated[float, Field(gt=0)] = 600.0
    """Wall seconds in which what was changed must be running (tasks, instances, status checks); then the action counts as
    not confirmed. Default 600, a long roll-out."""
    endpoint: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """URL that takes all calls, such as a VPC endpoint or a test double. Default AWS's own."""

    @model_validator(mode="after")
    def _own_roles(self) -> AwsSettings:
        for number, account in self.accounts.items():
            if f"::{number}:" not in account.role:
                raise ValueError(f"accounts: the role of {number} belongs to another account: {account.role}")
        return self
