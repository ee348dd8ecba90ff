"""The generated documents under moto's own access control: they suffice, and what they leave out is refused.

moto looks at actions and signatures only: not at resources and conditions, which are therefore left out here.
"""

import json
import time

import boto3.session
import httpx
import pytest

from remediation.aws_settings import AwsAccount
from remediation.executors.aws.rights import policy_documents
from remediation.settings import AllowRule
from sentinel.errors import RefusedError
from tests.remediation.aws.world import ACCOUNT, REGION, ROLE, AwsWorld, Clock, deed
from tests.services.aws_double import serve_aws, serve_moto


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A moto of its own that checks rights; the allow-list has scaling of the service of ECS alone."""
    with serve_moto(tmp_path_factory.mktemp("guarded")) as port, serve_aws(port) as double:
        world = AwsWorld(double, Clock(time.time()))
        rules = (AllowRule(actions=("ecs_scale",), backend="aws", name="*"),)
        accounts = {ACCOUNT: AwsAccount(role=ROLE, regions=(REGION,))}
        documents = policy_documents(accounts, rules, (world.cart, world.batch, world.web))
        iam = world.client("iam")
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
        iam.create_role(RoleName="sentinel", AssumeRolePolicyDocument=plain({"Statement": [trust]}))
        iam.put_role_policy(RoleName="sentinel", PolicyName="p", PolicyDocument=plain(documents[ACCOUNT]))
        iam.create_user(UserName="sentinel")
        iam.put_user_policy(UserName="sentinel", PolicyName="p", PolicyDocument=plain(documents["sentinel"]))
        key = iam.create_access_key(UserName="sentinel")["AccessKey"]
        httpx.post(f"{double.behind}/moto-api/reset-auth", content=b"0").raise_for_status()
        own = boto3.session.Session(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
        # Not through the proxy: moto checks signatures, and those are made for an address.
        yield world, world.executor(own, endpoint=double.behind)


def plain(document):
    kept = [{**one, "Resource": "*"} if "Resource" in one else one for one in document["Statement"]]
    bare = [{key: value for key, value in one.items() if key != "Condition"} for one in kept]
    return json.dumps({"Version": "2012-10-17", "Statement": bare})


def test_the_rights_suffice_for_what_is_allowed(guarded):
    world, executor = guarded
    wanted = deed(world.cart, "ecs_scale", desired=5)
    at = executor.observe(world.cart).resource_version
    applied = executor.apply(wanted, at, "enforced")
    assert executor.verify_applied(wanted, applied) == ""


@pytest.mark.parametrize(("target", "kind"), [("batch", "ec2_reboot"), ("batch", "ec2_stop"), ("web", "asg_scale")])
def test_what_the_allow_list_does_not_have_is_refused_by_aws_itself(guarded, target, kind):
    world, executor = guarded
    params = {"capacity": 4} if kind == "asg_scale" else {}
    wanted = deed(getattr(world, target), kind, **params)
    at = executor.observe(wanted.target).resource_version
    with pytest.raises(RefusedError) as refused:
        executor.apply(wanted, at, f"enforced-{kind}")
    assert refused.value.rule == "iam"
    assert executor.observe(wanted.target).resource_version == at
