"""The root of the configuration: one YAML file, one section for each component, composed here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from api.settings import ApiSettings
from dataflows.running import FlowSettings
from operators.incident_settings import IncidentSettings
from operators.rules import DetectionSettings
from remediation.notifiers.delivery_settings import NotificationSettings
from remediation.settings import RemediationSettings
from sentinel.archive import ArchiveSettings
from sentinel.audit_settings import AuditSettings
from sentinel.catalogue import ServiceCatalogue
from sentinel.config import KafkaSettings, Section, StoreSettings
from sentinel.config_files import load_file
from sentinel.errors import ConfigError
from sentinel.fleet.settings import FleetSettings
from sentinel.scraping.settings import ScrapeSettings
from sentinel.slack_settings import SlackSettings
from sentinel.stores.history.settings import HistorySettings
from sentinel.telemetry import TelemetrySettings

_INSTALLED = Path(__file__).parents[1] / "shipped"
"""Where a wheel holds `config/`, so that it does not put a folder of that name beside everybody's packages."""

SHIPPED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "config"
"""The example configurations, runbooks and the service catalogue that come with Sentinel."""

DEMO_STATE = Path(".sentinel/demo")
"""Where `sentinel demo` leaves its state and its configuration, relative to the working directory."""


class LogSettings(Section):
    """What the processes write to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Lines below it are left out. Default `info`."""
    pretty: bool = False
    """Print for a person at a terminal instead of JSON. Default JSON."""


class Settings(Section):
    """The whole configuration. An empty file is valid: it detects on the local broker and never acts."""

    version: Literal[1] = 1
    """Version of the format. Default 1, the only one."""
    state_dir: str = ".sentinel/state"
    """Folder of everything that this Sentinel keeps on disk; relative to the working directory."""
    kafka: KafkaSettings = KafkaSettings()
    """The broker and the topics."""
    stores: StoreSettings = StoreSettings()
    """Which stores are used."""
    history: HistorySettings = HistorySettings()
    """How long the series history keeps what."""
    archive: ArchiveSettings = ArchiveSettings()
    """How telemetry and decisions are copied into the history."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Limits of a telemetry message."""
    scrape: ScrapeSettings = ScrapeSettings()
    """Prometheus endpoints that `sentinel scrape` polls."""
    catalogue_file: str = ""
    """A YAML file with the service catalogue, relative to this file, instead of `services` here. Default none."""
    services: ServiceCatalogue = ServiceCatalogue()
    """The services and who calls whom."""
    detection: DetectionSettings = DetectionSettings()
    """Detectors and rules."""
    incidents: IncidentSettings = IncidentSettings()
    """Grouping, suspects and context."""
    remediation: RemediationSettings = RemediationSettings()
    """Policy, approvals, verification, executors."""
    api: ApiSettings = ApiSettings()
    """The HTTP API and its keys."""
    slack: SlackSettings = SlackSettings()
    """Approval cards in Slack."""
    notifications: NotificationSettings = NotificationSettings()
    """Pages and webhooks."""
    flow: FlowSettings = FlowSettings()
    """How the Bytewax flows run."""
    fleet: FleetSettings = FleetSettings()
    """The simulated fleet."""
    audit: AuditSettings = AuditSettings()
    """How the audit is signed and anchored outside."""
    logs: LogSettings = LogSettings()
    """What is logged."""

    @model_validator(mode="after")
    def _a_fix_can_be_verified(self) -> Settings:
        """An alert that clears gives no more windows: it must give more than verification wants.

        More, because the window in which the fix takes effect may be normal already, and does not count.
        """
        wanted = self.remediation.verification.normal_windows
        for name, rule in self.detection.rules.items():
            if rule.clear_for <= wanted and not rule.shadow:
                raise ValueError(
                    f"detection.rules.{name}.clear_for is {rule.clear_for}, and remediation.verification.normal_windows is "
                    f"{wanted}: alerts of this rule may clear before a fix can be verified; clear_for must be the larger one"
                )
        return self

    @property
    def state(self) -> Path:
        """`state_dir` as an absolute path."""
        return Path(self.state_dir).absolute()


def find_file(given: Path | None, env: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration file to use: `--config`, `$SENTINEL_CONFIG`, `./sentinel.yaml`, what the last demo left, or none."""
    if given is not None:
        return given
    if env.get("SENTINEL_CONFIG"):
        return Path(env["SENTINEL_CONFIG"])
    usual = (Path("sentinel.yaml"), DEMO_STATE / "sentinel.yaml")
    return next((path for path in usual if path.exists()), None)


def load_settings(path: Path | None, env: Mapping[str, str] = os.environ) -> Settings:
    """Load one file (defaults when None) with the files it names; paths inside are relative to the file.

    Raises `ConfigError` with `file:line` for every mistake.
    """
    if path is None:
        return _with_runbooks(Settings(), SHIPPED / "runbooks")
    settings = load_file(path, Settings, env)
    if settings.catalogue_file:
        if settings.services.services:
            raise ConfigError(f"{path}:1: give `services` or `catalogue_file`, not both")
        catalogue = load_file(_beside(path, settings.catalogue_file), ServiceCatalogue, env)
        settings = settings.model_copy(update={"services": catalogue})
    named = settings.remediation.runbooks
    settings = _with_templates(settings, path)
    return _with_runbooks(settings, _beside(path, named) if named else SHIPPED / "runbooks")


def _with_templates(settings: Settings, path: Path) -> Settings:
    told = settings.notifications
    webhooks = {
        name: one.model_copy(update={"template": str(_beside(path, one.template))}) if one.template else one
        for name, one in told.webhooks.items()
    }
    return settings.model_copy(update={"notifications": told.model_copy(update={"webhooks": webhooks})})


def _with_runbooks(settings: Settings, folder: Path) -> Settings:
    remediation = settings.remediation.model_copy(update={"runbooks": str(folder)})
    return settings.model_copy(update={"remediation": remediation})


def _beside(path: Path, value: str) -> Path:
    """A path that the file names, seen from the file's own folder."""
    named = Path(value).expanduser()
    return named if named.is_absolute() else path.parent.absolute() / named
