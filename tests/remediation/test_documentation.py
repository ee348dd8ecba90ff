"""The YAML in docs/remediation.md is YAML that works."""

import re
from pathlib import Path

from remediation.runbooks import Runbook
from remediation.settings import PolicySettings
from sentinel.config_files import parse_text, validate

PAGE = Path(__file__).parents[2] / "docs" / "remediation.md"


def test_the_examples_of_the_page_are_valid():
    blocks = re.findall(r"```yaml (\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (first, policy), (second, runbook) = blocks
    assert (first, second) == ("policy", "runbook")
    validate(parse_text(policy, PAGE, {}), PolicySettings)
    validate(parse_text(runbook, PAGE, {}), Runbook)
