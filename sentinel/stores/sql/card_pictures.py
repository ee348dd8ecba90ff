"""The pictures on cards: which one is there, and how far the next one is."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sentinel.stores.sql import tables_slack
from sentinel.stores.sql.database import Database

_PICTURES = tables_slack.card_pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPicture:
    """The ids of files at the destination, empty where there is none: `file` is on the card, `upload` shall be.

    `moment` names the state of the incident that is wanted; `settled`: there is nothing more to do for it, because the
    picture is on the card or because `attempts` failed.
    """

    moment: str = ""
    file: str = ""
    upload: str = ""
    attempts: int = 0
    settled: bool = False


class CardPictureStore:
    """Pictures by destination and incident. Written by the card's sender, who has its lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, destination: str, incident_id: str) -> CardPicture:
        """The picture; an empty one where there is none yet."""
        where = (_PICTURES.c.destination == destination, _PICTURES.c.incident_id == incident_id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(_PICTURES).where(*where)).one_or_none()
        if row is None:
            return CardPicture()
        return CardPicture(
            moment=row.moment, file=row.file, upload=row.upload, attempts=row.attempts, settled=bool(row.settled)
        )

    def put(self, destination: str, incident_id: str, picture: CardPicture) -> None:
        """Remember it."""
        row = {
            "destination": destination,
            "incident_id": incident_id,
            "moment": picture.moment,
            "file": picture.file,
            "upload": picture.upload,
            "attempts": picture.attempts,
            "settled": int(picture.settled),
        }
        with self._database.write():
            self._database.insert_or_update(_PICTURES, row, ("destination", "incident_id"))
