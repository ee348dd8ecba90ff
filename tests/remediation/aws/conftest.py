"""An account of its own for each module of tests."""

import time

import pytest

from tests.remediation.aws.world import AwsWorld, Clock
from tests.services.aws_double import serve_aws


@pytest.fixture(scope="module")
def account(moto_port):
    with serve_aws(moto_port) as double:
        yield AwsWorld(double, Clock(time.time()))


@pytest.fixture
def world(account):
    """The module's account, with everything as it was made and no faults."""
    account.restore()
    return account
