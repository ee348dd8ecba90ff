"""Rules that nothing can reach, and rules that watch nothing."""

import pytest

from operators.rule_checks import unreachable, watching_nothing
from operators.rules import BUILT_IN_RULES, Match, Rule
from sentinel.series import Series


def rule(*names, **labels):
    return Rule(match=Match(names=names or ("*",), labels=labels))


@pytest.mark.parametrize(
    ("earlier", "later", "takes"),
    [
        (rule("*"), rule("error*"), True),
        (rule("*error*"), rule("http_error*"), True),
        (rule("*error*"), rule("http_*"), False),
        (rule("a*", "b*"), rule("bc", "ab*"), True),
        (rule("a*", "b*"), rule("bc", "c*"), False),
        (rule("*", service="cart"), rule("errors"), False),
        (rule("*", service="cart"), rule("errors", service="cart"), True),
        (rule("*", service="c*"), rule("errors", service="cart", env="prod"), True),
        (rule("*", service="*"), rule("errors"), True),
        (rule("error?"), rule("error*"), False),
        (rule("error?"), rule("error?"), True),
        (rule("error?"), rule("errors"), True),
        (rule("[ab]*"), rule("a*"), False),
        (rule("*"), rule("[ab]*"), False),
    ],
)
def test_only_what_is_certain_is_called_unreachable(earlier, later, takes):
    assert unreachable({"one": earlier, "two": later}) == ({"two": "one"} if takes else {})


def test_the_shipped_rules_can_all_be_reached():
    assert unreachable(BUILT_IN_RULES) == {}


def test_rules_without_a_series_are_named_with_the_reason():
    cart, web = (Series.of("errors", {"service": service}) for service in ("cart", "web"))
    rules = {"errors": rule("error*"), "cart": rule("*", service="cart"), "depth": rule("depth")}
    assert watching_nothing(rules, [cart, web]) == {"cart": [(cart, "errors")], "depth": []}
