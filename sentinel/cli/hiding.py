"""What a configuration shows without its secrets: what is checked or audited gets into logs."""

from __future__ import annotations

import re
from typing import Any

_HIDDEN = "***"
_SECRET = re.compile(r"password|secret|token|\.pem$", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^:/@]*:).*@")


def without_secrets(value: Any) -> Any:
    """A plain value with passwords in URLs and values of keys that sound secret replaced: what is checked gets into logs."""
    if isinstance(value, dict):
        secret = {key for key, item in value.items() if isinstance(item, str) and _SECRET.search(key)}
        return {key: _HIDDEN if key in secret else without_secrets(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return _PASSWORD.sub(rf"\1{_HIDDEN}@", value) if isinstance(value, str) else value
