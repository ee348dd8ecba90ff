"""Templates of webhooks: values and nothing else, every mistake with its line before anything is sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.notifiers.queue_events import make_event
from remediation.notifiers.webhook_template import NAMES, load_template, standard_body, values_of
from sentinel.canonical import canonical_json
from sentinel.errors import ConfigError
from sentinel.notifications import DeliveryState, Notification
from tests.contracts.sql import samples
from tests.remediation.notif_world import notice
from tests.remediation.world import CATALOGUE, bad_deploy


def values(title="errors at checkout", request=None):
    one = notice(kind="asked", request=request)
    event = make_event(one, bad_deploy(title=title), CATALOGUE, 1_700_000_000.0)
    return values_of(
        Notification(
            seq=1, id="ntf-1", destination="webhook-ops", event=event, state=DeliveryState.WAITING, attempts=1, takes=1,
            due_at=0.0, created_at=0.0, finished_at=0.0, last_error="",
        ),
        "https://sentinel.example",
    )  # fmt: skip


def load(folder, text, env=None):
    file = folder / "body.yaml"
    file.write_text(text)
    return load_template(file, env or {})


def test_values_keep_their_types_alone_and_are_spelled_out_within_a_text(tmp_path):
    body = load(
        tmp_path,
        """
title: "{{ incident.title }} ({{incident.severity}})"
services: "{{ incident.services }}"
said: "{{ incident.services }}: {{ approval.asked }}, {{ final }}"
nested: [1, null, true, {tier: "{{ incident.tier }}"}]
approval: "{{ approval }}"
link: "{{ incident.url }}"
""",
    )
    made = json.loads(canonical_json(body(values())))
    assert made == {
        "title": "errors at checkout (error)",
        "services": ["checkout"],
        "said": "checkout: , true",
        "nested": [1, None, True, {"tier": 1}],
        "approval": None,
        "link": "https://sentinel.example/api/v1/incidents/inc-1",
    }
    asked = body(values(request=samples.request()))
    assert asked["said"] == "checkout: 1, true"
    assert asked["approval"]["risk"] == "medium"


def test_json_is_a_template_too(tmp_path):
    assert load(tmp_path, '{\n  "text": "{{ text }}"\n}')(values()) == {"text": "asked it"}


def test_every_name_has_a_value_in_the_standard_body_and_none_is_missing():
    found = values(request=samples.request())
    flat = set(found) | {f"{part}.{name}" for part in ("incident", "approval") for name in found[part]}
    assert flat == NAMES
    assert json.loads(canonical_json(standard_body(found)))["incident"]["tier"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('a: 1\ntext: "{{ incident.titel }}"', "body.yaml:2: there is no value 'incident.titel'; did you mean 'incident.title'"),
        ('list:\n  - x\n  - "{{ zzzz }}"', "body.yaml:3: there is no value 'zzzz'"),
        ('a:\n  b:\n    c: "{{ incident.title | upper }}"', "body.yaml:3: '{{ incident.title | upper }}' is no placeholder"),
        ('t: "{{ incident.__class__ }}"', "body.yaml:1: there is no value 'incident.__class__'"),
        ('t: "{{ 7*7 }}"', "body.yaml:1: '{{ 7*7 }}' is no placeholder"),
        ('t: "{{ incident.title"', "body.yaml:1: '{{ incident.title' is no placeholder"),
        ('t: "{% for x in y %}{{ text.format }}"', "there is no value 'text.format'"),
        ('\n"{{ kind }}": 1', "body.yaml:2: the key '{{ kind }}' must be a text"),
        ("1: x", "body.yaml:1: the key 1 must be a text"),
        ("a: .nan", "body.yaml:1: nan is no JSON value"),
        ("a: 2020-01-01", "is no JSON value; put it in quotes"),
        ("b: 1\na: {{ kind }}", "body.yaml:2: a key must be a plain text"),
        ("a: [", "not valid YAML"),
        ("a: ${NOT_SET}", "body.yaml:1: the environment variable NOT_SET is not set"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path, text, said):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert said in str(error.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as error:
        load(tmp_path, 'a: "{{ x }}"\nb: "{{ y }}"')
    assert len(str(error.value).splitlines()) == 2


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_template(tmp_path / "none.yaml", {})


@given(
    title=st.text(max_size=80)
    | st.sampled_from(["{{ id }}", '", "admin": true, "x": "', "{{ approval.digest }}\n", "${HOME}"])
)
def test_no_title_becomes_anything_but_a_text(tmp_path_factory, title):
    """Not a key, not another value, not the end of the JSON."""
    text = 'alone: "{{ incident.title }}"\nwithin: "<{{ incident.title }}|{{ id }}>"'
    body = load(tmp_path_factory.getbasetemp(), text)
    if "\ud800" <= max(title, default="") <= "\udfff":
        return
    made = json.loads(canonical_json(body(values(title))))
    assert made == {"alone": title, "within": f"<{title}|ntf-1>"}
