"""Which candidate revisions are published."""

from dataclasses import replace

from operators.incident_facts import FactFinder
from operators.incident_group import GroupEvent, GroupVerdict
from operators.incident_record import IncidentRecord
from operators.incident_revisions import RevisionBook, RevisionVerdict
from sentinel.incidents import Change, Incident, IncidentStatus
from tests.operators.incident_samples import SETTINGS, SHOP, Clock, DictMemory, ListHistory, group, message

PUBLISHED, UNCHANGED, MERGED = RevisionVerdict.PUBLISHED, RevisionVerdict.UNCHANGED, RevisionVerdict.MERGED


def incident() -> Incident:
    finder = FactFinder(ListHistory(), DictMemory(), SHOP, SETTINGS, Clock())
    of = group(message("payments"))
    opened = GroupEvent(group=of, verdict=GroupVerdict.OPENED, reason="", alert_id="alr", service="payments", at=0.0)
    return IncidentRecord(finder, SHOP, SETTINGS).on_group(opened)


def test_only_what_says_something_new_is_published():
    book, first = RevisionBook(), incident()
    assert book.judge(first)[0] is PUBLISHED
    assert book.judge(replace(first, revision=3, updated_at=999.0))[0] is UNCHANGED
    stronger = replace(first.alerts[0], score=99.0, last_window_end=999.0)
    assert book.judge(replace(first, revision=3, alerts=(stronger,)))[0] is UNCHANGED
    quiet = replace(first.alerts[0], firing=False)
    assert book.judge(replace(first, revision=5, alerts=(quiet,)))[0] is PUBLISHED
    change = Change(at=1.0, service="payments", kind="change.deploy", labels={})
    context = replace(first.context, changes=(change,))
    assert book.judge(replace(first, revision=6, alerts=(quiet,), context=context))[0] is PUBLISHED


def test_a_number_is_never_used_twice():
    book, first = RevisionBook(), incident()
    book.judge(first)
    assert book.judge(replace(first, title="other"))[0] is UNCHANGED
    assert book.judge(replace(first, title="other", revision=2))[0] is PUBLISHED


def test_a_second_incident_under_an_open_fingerprint_is_merged():
    book, first = RevisionBook(), incident()
    book.judge(first)
    verdict, reason = book.judge(replace(first, id="inc-2"))
    assert verdict is MERGED
    assert "inc-1" in reason


def test_after_the_end_the_fingerprint_is_free_again():
    book, first = RevisionBook(), incident()
    book.judge(first)
    assert book.judge(replace(first, revision=3, status=IncidentStatus.RESOLVED))[0] is PUBLISHED
    assert book.empty
    assert RevisionBook(book.snapshot()).judge(replace(first, id="inc-2"))[0] is PUBLISHED


def test_a_snapshot_goes_on():
    book, first = RevisionBook(), incident()
    book.judge(first)
    assert RevisionBook(book.snapshot()).judge(replace(first, revision=3))[0] is UNCHANGED
