"""Snoozes and pictures of cards, on both databases."""

from concurrent.futures import ThreadPoolExecutor

from sentinel.snoozes import Snooze
from sentinel.stores.sql.card_pictures import CardPicture

SNOOZE = Snooze(request_id="apr-1", incident_id="inc-1", actor="slack:U0ANN", at=1.0, until=10.0)


def test_a_snooze_is_kept_replaced_and_ends_once(stores):
    stores.cards.want("C1", "inc-1", now=1.0)
    stores.snoozes.add(SNOOZE)
    assert stores.snoozes.get("apr-1") == SNOOZE
    assert stores.snoozes.get("apr-2") is None
    assert stores.cards.get("C1", "inc-1").wanted == 2
    assert stores.snoozes.wake(9.9) == 0
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: stores.snoozes.wake(10.0), range(4))) == 1
    assert stores.cards.get("C1", "inc-1").wanted == 3
    stores.snoozes.add(Snooze(request_id="apr-1", incident_id="inc-1", actor="slack:U0BOB", at=20.0, until=30.0))
    assert stores.snoozes.get("apr-1").actor == "slack:U0BOB"
    assert stores.snoozes.wake(30.0) == 1


def test_a_picture_is_kept_by_destination_and_incident(stores):
    assert stores.pictures.get("C1", "inc-1") == CardPicture()
    one = CardPicture(moment="m", file="F1", upload="F2", attempts=1, settled=True)
    stores.pictures.put("C1", "inc-1", one)
    stores.pictures.put("C2", "inc-1", CardPicture(moment="n"))
    assert stores.pictures.get("C1", "inc-1") == one
    stores.pictures.put("C1", "inc-1", CardPicture(moment="o"))
    assert stores.pictures.get("C1", "inc-1") == CardPicture(moment="o")
