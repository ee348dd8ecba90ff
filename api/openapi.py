"""The OpenAPI document of the API as text: `python -m api.openapi` prints what `api/openapi.json` has to be."""

from __future__ import annotations

import json
import sys

from api.app import create_app
from api.parts import ApiParts
from api.settings import ApiSettings
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.stores import SqlStores


def document() -> str:
    """The document, with sorted keys and a final line end. Opens no database: the routes alone matter."""
    unused = SqlStores.over(Database("sqlite:///unused.db"))
    app = create_app(ApiSettings(), ApiParts(stores=unused, now=lambda: 0.0))
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
