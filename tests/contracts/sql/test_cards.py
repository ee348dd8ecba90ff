"""Cards as a durable queue, and requests that count once, on both databases."""

from concurrent.futures import ThreadPoolExecutor


def test_a_wish_is_kept_until_it_is_shown(stores):
    stores.cards.want("C1", "inc-1", now=1.0)
    stores.cards.want("C1", "inc-1", now=2.0)
    card = stores.cards.take("C1", now=3.0, lease=10.0)
    assert (card.incident_id, card.wanted, card.behind) == ("inc-1", 2, True)
    stores.cards.update(card, shown=card.wanted, told=card.wanted, message="1.1", steps=("a", "b"), lease_until=0.0)
    assert stores.cards.take("C1", now=3.0, lease=10.0) is None
    stores.cards.touch("inc-1")
    again = stores.cards.take("C1", now=5.0, lease=10.0)
    assert (again.message, again.steps, again.wanted, again.shown) == ("1.1", ("a", "b"), 3, 2)


def test_a_wish_during_the_work_is_not_lost(stores):
    stores.cards.want("C1", "inc-1", now=1.0)
    card = stores.cards.take("C1", now=2.0, lease=10.0)
    stores.cards.touch("inc-1")
    stores.cards.update(card, shown=card.wanted, told=card.wanted, lease_until=0.0)
    assert stores.cards.take("C1", now=4.0, lease=10.0).behind


def test_touching_makes_no_card(stores):
    stores.cards.touch("inc-1")
    assert stores.cards.get("C1", "inc-1") is None


def test_urgent_cards_first_then_cards_then_threads(stores):
    for name in ("inc-a", "inc-b"):
        stores.cards.want("C1", name, now=1.0)
    stores.cards.update(stores.cards.get("C1", "inc-a"), shown=1)
    stores.cards.want("C1", "inc-c", now=9.0, urgent=True)
    order = [stores.cards.take("C1", now=10.0, lease=5.0).incident_id for _ in range(3)]
    assert order == ["inc-c", "inc-b", "inc-a"]


def test_destinations_are_apart_and_a_later_due_time_waits(stores):
    stores.cards.want("C1", "inc-1", now=1.0)
    stores.cards.want("C2", "inc-1", now=1.0)
    stores.cards.update(stores.cards.get("C1", "inc-1"), due_at=50.0)
    assert stores.cards.take("C1", now=10.0, lease=5.0) is None
    assert stores.cards.take("C2", now=10.0, lease=5.0) is not None
    assert stores.cards.take("C1", now=50.0, lease=5.0) is not None


def test_a_card_has_one_worker_until_its_lease_ends(stores):
    stores.cards.want("C1", "inc-1", now=1.0)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: stores.cards.take("C1", now=2.0, lease=10.0), range(8)))
    assert sum(card is not None for card in taken) == 1
    assert stores.cards.take("C1", now=11.9, lease=10.0) is None
    assert stores.cards.take("C1", now=12.0, lease=10.0) is not None


def test_a_request_counts_once_and_is_forgotten_after_an_hour(stores):
    with ThreadPoolExecutor(8) as pool:
        first = list(pool.map(lambda _: stores.seen.add("v0=abc", now=100.0), range(8)))
    assert sum(first) == 1
    assert stores.seen.has("v0=abc")
    assert not stores.seen.has("v0=other")
    assert stores.seen.add("v0=other", now=4000.0)
    assert not stores.seen.has("v0=abc")
