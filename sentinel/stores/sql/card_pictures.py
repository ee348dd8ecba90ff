"""The pictures on cards: which one is at the destination, and how often making the wanted one has failed."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sentinel.stores.sql import tables_slack
from sentinel.stores.sql.database import Database

_PICTURES = tables_slack.card_pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPicture:
    """`moment` says which state of the incident it shows; `file` is the destination's id of it, empty where there is none."""

    moment: str = ""
    file: str = ""
    attempts: int = 0


class CardPictureStore:
    """Pictures by destination and incident. Written by the card's sender, who has its lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, destination: str, incident_id: str) -> CardPicture:
        """The picture; an empty one where there is none yet."""
        where = (_PICTURES.c.destination == destination, _PICTURES.c.incident_id == incident_id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(_PICTURES).where(*where)).one_or_none()
        return CardPicture() if row is None else CardPicture(moment=row.moment, file=row.file, attempts=row.attempts)

    def put(self, destination: str, incident_id: str, picture: CardPicture) -> None:
        """Remember it."""
        row = {
            "destination": destination,
            "incident_id": incident_id,
            "moment": picture.moment,
            "file": picture.file,
            "attempts": picture.attempts,
        }
        with self._database.write():
            self._database.insert_or_update(_PICTURES, row, ("destination", "incident_id"))
