"""A process that delivers one webhook's queue until it is killed: `python -m tests.remediation.notif_process DB URL AHEAD`.

`AHEAD` seconds are added to its clock, so that leases of a process that died are over.
"""

import sys
import time

from remediation.notifiers.delivery_settings import NotificationSettings
from remediation.notifiers.queue import QueueNotifier
from remediation.notifiers.webhook import open_webhooks
from sentinel.catalogue import ServiceCatalogue
from sentinel.stores.sql.database import Database
from sentinel.stores.sql.stores import SqlStores
from tests.services.webhook_double import SECRET


def main():
    database, url, ahead = sys.argv[1], sys.argv[2], float(sys.argv[3])
    hook = {"url": url, "secret_env": "HOOK", "deadline": 20}
    host = url.removeprefix("http://").split("/")[0]
    values = {"webhooks": {"ops": hook}, "allowed_hosts": [host], "queue": {"poll": 0.05}}
    settings = NotificationSettings.model_validate(values)
    destinations = open_webhooks(settings, {"HOOK": SECRET})
    stores = SqlStores.over(Database(database))
    notifier = QueueNotifier(destinations, stores, ServiceCatalogue(), settings, lambda: time.time() + ahead)
    with notifier.sending():
        time.sleep(120)


if __name__ == "__main__":
    main()
