"""The YAML in docs/remediation.md and docs/approvals.md is YAML that works."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from remediation.quorums import quorum_of
from remediation.runbooks import Runbook
from remediation.settings import PolicySettings
from sentinel.config_files import parse_text, validate
from tests.remediation.test_policy import action
from tests.remediation.test_quorums import plan
from tests.remediation.world import CATALOGUE

DOCS = Path(__file__).parents[2] / "docs"
MODELS: dict[str, type[BaseModel]] = {"policy": PolicySettings, "runbook": Runbook}


def blocks(page):
    return re.findall(r"```yaml (\w+)\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize(("page", "kinds"), [("remediation.md", {"policy", "runbook"}), ("approvals.md", {"policy"})])
def test_the_examples_of_the_page_are_valid(page, kinds):
    found = blocks(page)
    assert {kind for kind, _ in found} == kinds
    for kind, text in found:
        validate(parse_text(text, DOCS / page, {}), MODELS[kind])


def test_the_example_asks_as_many_people_as_the_page_says():
    (_, text) = blocks("approvals.md")[0]
    policy = validate(parse_text(text, DOCS / "approvals.md", {}), PolicySettings)
    wanted = {"restart": 1, "rollback": 2}
    for kind, approvers in wanted.items():
        quorum = quorum_of(plan(action(kind)), policy.approvers, policy.people, CATALOGUE)
        assert quorum.approvers == approvers
    assert quorum.person("slack:U0ANN") == "ann"
