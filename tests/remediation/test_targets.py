"""What is acted on when something is done to a service: the service itself, or a resource of another name."""

import pytest
from pydantic import ValidationError

from remediation.catalogue import Step, make_action
from remediation.evidence import target_of
from remediation.limits import Deed, Per, RateLimit, exceeded
from remediation.policy import blast_radius
from sentinel.catalogue import ServiceCatalogue
from sentinel.plans import Target

SERVICES = ServiceCatalogue.model_validate(
    {
        "services": {
            "web": {"calls": ["checkout"]},
            "checkout": {"backend": "kubernetes", "resource": "shop/deployment/checkout-v2", "tier": 0},
            "worker": {"backend": "kubernetes", "resource": "/node/worker-1"},
        }
    }
)


def target(service):
    return target_of(service, SERVICES.services[service])


def action(service, kind="restart"):
    step = Step(type=kind, service=service, params={}, reason="test")
    return make_action(f"act-{service}", step, target(service))


def test_a_resource_is_namespace_kind_and_name():
    found = target("checkout")
    assert found == Target(
        backend="kubernetes", namespace="shop", kind="deployment", name="checkout-v2", service="checkout"
    )
    assert found.key == "kubernetes/shop/deployment/checkout-v2"
    assert target("worker").key == "kubernetes//node/worker-1"
    assert target("web") == Target(backend="fleet", kind="service", name="web")


@pytest.mark.parametrize("resource", ["checkout", "shop/checkout", "shop//checkout", "shop/deployment/", "a/b/c d"])
def test_another_form_is_refused(resource):
    with pytest.raises(ValidationError, match="resource"):
        ServiceCatalogue.model_validate({"services": {"checkout": {"resource": resource}}})


def test_the_service_counts_for_blast_radius_and_rate_limits():
    assert blast_radius(action("checkout"), SERVICES) == {"checkout", "web"}
    limit = RateLimit(per=Per.SERVICE, count=1, seconds=60)
    assert exceeded(action("checkout"), (), [Deed(at=90.0, action=action("checkout"))], [limit], 100.0)
    assert not exceeded(action("checkout"), (), [Deed(at=90.0, action=action("web"))], [limit], 100.0)
