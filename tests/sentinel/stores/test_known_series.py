"""The bounded memory of series that the store has described."""

from __future__ import annotations

from sentinel.series import Series
from sentinel.stores.history.known_series import KnownSeries

ONE, TWO, THREE = (Series.of(name, {"service": "cart"}) for name in ("one", "two", "three"))


def test_gives_every_row_its_id_and_each_new_series_once() -> None:
    ids, new = KnownSeries(10).ids([ONE, TWO, ONE])
    assert ids.tolist() == [ONE.hash, TWO.hash, ONE.hash]
    assert new == {ONE: ONE.hash, TWO: TWO.hash}


def test_is_not_known_before_it_was_added() -> None:
    known = KnownSeries(10)
    known.ids([ONE])
    assert known.ids([ONE])[1] == {ONE: ONE.hash}
    known.add([(ONE, ONE.hash)])
    assert known.ids([ONE, TWO])[1] == {TWO: TWO.hash}


def test_forgets_the_oldest_beyond_its_limit() -> None:
    known = KnownSeries(2)
    known.add([(one, one.hash) for one in (ONE, TWO, THREE)])
    assert len(known) == 2
    ids, new = known.ids([ONE, TWO, THREE])
    assert new == {ONE: ONE.hash}
    assert ids.tolist() == [ONE.hash, TWO.hash, THREE.hash]
