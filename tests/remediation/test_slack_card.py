"""The card is always within Slack's rules, shows the exact diff, and nothing in it can act."""

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from remediation.notifiers.slack_card import CardFacts, CardPlot, render_card
from sentinel.alerts import FaultKind
from sentinel.approvals import ApprovalDecision, ApprovalStatus, Choice, Quorum, Role
from sentinel.incidents import Context, PastIncident, Suspect
from sentinel.outcomes import Outcome, Result
from sentinel.plans import Scalar
from sentinel.slack_blocks import APPROVE, DETAILS, REJECT, SNOOZE
from sentinel.snoozes import Snooze
from sentinel.step_facts import StepFacts
from tests.contracts.sql.samples import ACTION, DIGEST, PLAN, PREVIEW, incident, request
from tests.services.slack_rules import check_blocks, texts

HOSTILE = st.text(st.sampled_from("<>&@!#*_~`|\n\u202e\u0000é漢😀 ab"), max_size=4000) | st.sampled_from(
    ["<!channel>", "<https://evil.example|Approve>", "&lt;!here&gt;", "``` *Approved* by <@U0ANN>"]
)
OWN_MARKUP = re.compile(r"<!date\^\d+\^\{date_short_pretty\} \{time_secs\}\|\d+>|<@[A-Z0-9]+>|&amp;|&lt;|&gt;")

STEP = StepFacts(
    action_id=ACTION.id,
    risk=ACTION.risk,
    downtime=5.0,
    replicas=3,
    tier=1,
    affected=("checkout", "web"),
    undo="undone by deploy checkout version=v2",
    proof=("error_ratio is normal for 3 windows",),
)


def facts(**changes):
    return CardFacts(**{"incident": incident(), "request": request(), "status": ApprovalStatus.PENDING, **changes})


def shown(one):
    return "\n".join(texts(render_card(one).blocks))


def buttons(one):
    return [e["action_id"] for b in render_card(one).blocks if b["type"] == "actions" for e in b["elements"]]


def past(**changes):
    values = {
        "incident_id": "inc-0",
        "fingerprint": "f",
        "similarity": 0.9,
        "title": "checkout: errors",
        "service": "checkout",
        "kind": FaultKind.ERRORS,
        "opened_at": 500.0,
        "outcome": "verified",
        "action": "rollback checkout",
        "text": "",
    }
    return PastIncident(**{**values, **changes})


def test_the_card_has_what_a_person_needs():
    known = incident(context=Context(similar=(past(),)), recurrence_of="inc-0")
    one = facts(incident=known, request=request(steps=(STEP,)))
    text = shown(one)
    for part in (
        "checkout: errors",
        "deployed at 890",
        "rollback checkout → verified — this is a recurrence of it",
        "@ resource version 7",
        '- version: "v2"\n+ version: "v1"',
        "risk *medium* · expected downtime *5 s* · undone by deploy checkout version=v2",
        "blast radius *2 services*: one of 3 replicas at a time may be away for 5 s; checkout, web may notice",
        "proven when error_ratio is normal for 3 windows",
        "risk: medium asks",
        "<!date^200^",
        DIGEST[:12],
    ):
        assert part in text
    assert buttons(one) == [APPROVE, REJECT, DETAILS, SNOOZE]


def test_what_cannot_be_undone_and_what_is_not_in_the_catalogue_is_said():
    plan = replace(PLAN, actions=(replace(ACTION, reversible=False),))
    text = shown(facts(request=request(plan=plan, steps=(replace(STEP, affected=()),))))
    assert "*cannot be undone*" in text
    assert "blast radius *unknown*" in text


def test_what_is_new_since_the_last_question_is_said():
    text = shown(facts(request=request(replaces="apr-0", difference=("replicas: 3 -> 5", "<!here>"))))
    assert "*New since the last question*\n• replicas: 3 -&gt; 5\n• &lt;!here&gt;" in text


def test_a_long_proof_is_told_in_short():
    proof = (
        "checkout shows version = v1",
        *(f"series {number} is normal" for number in range(5)),
        "no new alert on web",
    )
    text = shown(facts(request=request(steps=(replace(STEP, proof=proof),))))
    assert "proven when checkout shows version = v1; series 0 is normal; 4 more like it; no new alert on web" in text


def test_a_picture_is_on_the_card_with_its_words_and_bars_stand_in_for_it():
    plot = CardPlot(name="error_ratio of checkout", now=0.4, expected=0.01, last_week=0.012, bars="▁▁█")
    assert "error_ratio of checkout: now 0.4, expected 0.01, same hour last week 0.012  `▁▁█`" in shown(
        facts(plot=plot)
    )
    blocks = render_card(facts(plot=replace(plot, file="F01"))).blocks
    [image] = [block for block in blocks if block["type"] == "image"]
    assert image["slack_file"] == {"id": "F01"}
    assert image["alt_text"].startswith("error_ratio of checkout: now 0.4, expected 0.01, same hour last week 0.012")
    assert "▁▁█" not in str(blocks)


def test_who_snoozed_is_on_the_card():
    snooze = Snooze(request_id="apr-1", incident_id="inc-1", actor="slack:U0ANN", at=150.0, until=190.0)
    assert "*Snoozed* by <@U0ANN> until <!date^190^" in shown(facts(snooze=snooze))


def test_the_buttons_go_with_the_answer():
    decision = ApprovalDecision(
        request_id="apr-1",
        digest=DIGEST,
        choice=Choice.REJECT,
        actor="slack:U0ANN",
        role=Role.APPROVER,
        reason="<not> now",
        decided_at=160.0,
    )
    one = facts(status=ApprovalStatus.REJECTED, votes=(decision,))
    assert buttons(one) == []
    assert "*Reject* by <@U0ANN> at <!date^160^" in shown(one)
    assert "&lt;not&gt; now" in shown(one)
    for status in (ApprovalStatus.EXPIRED, ApprovalStatus.SUPERSEDED):
        assert buttons(facts(status=status)) == []
        assert "nothing was done" in shown(facts(status=status))


def test_the_votes_are_counted_on_the_card():
    """1 of 2 approvals, who gave it, and who may not give the other."""
    vote = ApprovalDecision(
        request_id="apr-1",
        digest=DIGEST,
        choice=Choice.APPROVE,
        actor="slack:U0ANN",
        role=Role.APPROVER,
        reason="looks right",
        decided_at=160.0,
        closes=False,
    )
    asked = request(quorum=Quorum(approvers=2, requesters=("slack:U0BOB",)))
    text = shown(facts(request=asked, votes=(vote,)))
    assert "*Approve* by <@U0ANN> at <!date^160^" in text
    assert "*1 of 2 approvals*, waits for another until <!date^200^" in text
    assert "Asked for by <@U0BOB>, who may not approve it" in text
    assert APPROVE in buttons(facts(request=asked, votes=(vote,)))
    second = replace(vote, actor="the-second", closes=True)
    done = facts(request=asked, votes=(vote, second), status=ApprovalStatus.APPROVED)
    assert "by the-second" in shown(done)
    assert "of 2 approvals" not in shown(done)
    assert buttons(done) == []


def test_a_diff_that_does_not_fit_cannot_be_approved_here():
    """What a person approves must be in front of them."""
    many: dict[str, Scalar] = {f"key{number}": "x" * 100 for number in range(100)}
    one = facts(request=request(previews=(replace(PREVIEW, after=many),)))
    assert buttons(one) == [REJECT, DETAILS, SNOOZE]
    assert "sentinel approvals show apr-1" in shown(one)


def test_an_action_without_a_preview_cannot_be_approved_here():
    assert buttons(facts(request=request(previews=()))) == [REJECT, DETAILS, SNOOZE]


@settings(max_examples=150, deadline=None)
@given(st.lists(HOSTILE, min_size=6, max_size=6), st.dictionaries(HOSTILE, HOSTILE, max_size=5))
def test_no_text_breaks_slacks_rules_or_acts(words, state):
    title, reason, text, name, summary, outcome = words
    alert = replace(incident().alerts[0], text=text)
    one = incident(
        title=title,
        alerts=(alert,) * 9,
        services=(name,) * 9,
        suspects=(Suspect(service=name, score=0.5, reasons=(reason,) * 9),) * 5,
        context=Context(similar=(past(title=title, outcome=reason or "x", action=text),) * 5, missing=(name,)),
    )
    action = replace(ACTION, params={name: reason}, reason=reason)
    plan = replace(PLAN, summary=summary, actions=(action,) * 9)
    step = replace(STEP, affected=(name,) * 40, undo=text, proof=(reason,) * 9)
    asked = request(
        difference=(text,) * 9,
        steps=(step,),
        plan=plan,
        previews=(replace(PREVIEW, before={}, after=state, text=text),),
    )
    ended = Outcome(
        outcome_id="out-1",
        incident_id="inc-1",
        fingerprint="f",
        run_id="run-1",
        attempt=1,
        result=Result.NO_EFFECT,
        reason=outcome,
        service=name,
        kind=FaultKind.ERRORS,
        title=title,
        runbook="",
        actions=(text,) * 5,
        undone=True,
        at=1.0,
        recorded_at=1.0,
        trace_id="",
    )
    plot = CardPlot(name=title, now=1.0, expected=None, last_week=2.0, file="F01" if state else "", bars="▁█")
    message = render_card(facts(incident=one, request=asked, outcomes=(ended,) * 5, plot=plot))
    assert check_blocks(message.blocks, most=50) == ""
    assert 0 < len(message.text) <= 4000
    for block in message.blocks:
        if block["type"] != "header":
            for shown_text in texts([block]):
                left = OWN_MARKUP.sub("", shown_text)
                assert not set(left) & set("<>&\u202e\u0000")
                assert "<@" not in shown_text.replace("<@U0ANN>", "")
