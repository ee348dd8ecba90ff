"""Files of cases for `sentinel test`: for the policy, for the rules, or both."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import model_validator

from operators.detect_cases import DetectCase, TriedDetection, try_detection
from operators.rules import DetectionSettings
from remediation.policy_cases import Case, Tried, try_case
from remediation.settings import PolicySettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.cli.settings import load_settings
from sentinel.config import Section
from sentinel.config_files import load_file
from sentinel.errors import ConfigError, RefusedError


class TrialFile(Section):
    """A file of cases, and what they are about: a configuration, or its parts given here."""

    configuration: str = ""
    """Configuration file whose policy, services and rules are tested, relative to this file. Default: those given here."""
    policy: PolicySettings | None = None
    """The policy, instead of a configuration's."""
    services: ServiceCatalogue | None = None
    """The services, instead of a configuration's."""
    detection: DetectionSettings | None = None
    """Detectors and rules, instead of a configuration's; `{}` are the shipped ones."""
    cases: tuple[Case, ...] = ()
    """Cases for the policy, each for itself. Default none."""
    detect: tuple[DetectCase, ...] = ()
    """Cases for the rules, each for itself. Default none."""

    @model_validator(mode="after")
    def _is_about_something(self) -> TrialFile:
        given = (self.policy, self.services, self.detection)
        if not self.cases and not self.detect:
            raise ValueError("give `cases` (for the policy) or `detect` (for the rules)")
        if self.configuration and any(one is not None for one in given):
            raise ValueError("give `configuration`, or `policy`, `services` and `detection`, not both")
        if not self.configuration and self.cases and (self.policy is None or self.services is None):
            raise ValueError("give `configuration`, or `policy` and `services`")
        if not self.configuration and self.detect and self.detection is None:
            raise ValueError("give `configuration`, or `detection`")
        return self


def try_file(file: Path) -> Iterator[Tried | TriedDetection]:
    """Try every case of a file. Raises `ConfigError` for mistakes in it."""
    given = load_file(file, TrialFile, os.environ)
    policy, services, detection = given.policy, given.services, given.detection
    if given.configuration:
        settings = load_settings(file.parent / given.configuration)
        policy, services, detection = settings.remediation.policy, settings.services, settings.detection
    if policy is not None and services is not None:
        for case in given.cases:
            try:
                yield try_case(case, policy, services)
            except RefusedError as error:
                raise ConfigError(f"{file}: {case.name}: {error.reason}") from error
    if detection is not None:
        for detect_case in given.detect:
            yield try_detection(detect_case, detection)
