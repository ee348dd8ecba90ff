"""The YAML in docs/remediation.md is YAML that works."""

import re
from pathlib import Path

from pydantic import BaseModel

from remediation.runbooks import Runbook
from remediation.settings import PolicySettings
from sentinel.config_files import parse_text, validate

PAGE = Path(__file__).parents[2] / "docs" / "remediation.md"
MODELS: dict[str, type[BaseModel]] = {"policy": PolicySettings, "runbook": Runbook}


def test_the_examples_of_the_page_are_valid():
    blocks = re.findall(r"```yaml (\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert {kind for kind, _ in blocks} == set(MODELS)
    for kind, text in blocks:
        validate(parse_text(text, PAGE, {}), MODELS[kind])
