"""An API server that conflicts, throttles, breaks, hangs or loses its answer: which error, and never a second deed."""

import time

import pytest

from remediation.executors.kubernetes.executor import KubernetesExecutor
from remediation.kubernetes_settings import KubernetesSettings
from sentinel.errors import PermanentError, RefusedError, TransientError
from tests.remediation.kubernetes.api_double import DRIP, GARBAGE, LOST, SLOW, serve_api
from tests.remediation.kubernetes.world import SHOP, action, target, write_kubeconfig

DEED = action("scale", "web", replicas=3)


@pytest.fixture
def api():
    with serve_api() as double:
        yield double


@pytest.fixture
def executor(api, tmp_path):
    path = write_kubeconfig(tmp_path, api.url)
    settings = KubernetesSettings(kubeconfig=path, namespaces=(SHOP,), deadline=0.4, wait=0.5)
    made = KubernetesExecutor(settings, lambda: 1_000.0)
    yield made
    made.close()


def act(executor, key="key"):
    return executor.apply(DEED, "01234567.1", key)


def test_the_double_behaves_when_it_is_not_told_otherwise(api, executor):
    assert executor.dry_run(DEED).after["replicas"] == 3
    applied = act(executor)
    assert (api.writes, applied.after) == (1, executor.observe(target("web")))
    assert executor.verify_applied(DEED, applied) == ""


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_transient_and_the_same_key_finishes_it(api, executor, status):
    api.faults = [status]
    with pytest.raises(TransientError, match=f"{status} as the test wants it"):
        act(executor)
    assert (api.writes, act(executor).changed, api.writes) == (0, True, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 422])
def test_what_will_not_pass_is_permanent(api, executor, status):
    api.faults = [status]
    with pytest.raises(PermanentError, match=str(status)):
        act(executor)
    assert api.writes == 0


@pytest.mark.parametrize("how", [SLOW, DRIP])
def test_every_call_ends_at_its_deadline(api, executor, how):
    api.everything = how
    for attempt in (lambda: executor.observe(target("web")), lambda: executor.dry_run(DEED), lambda: act(executor)):
        began = time.monotonic()
        with pytest.raises(TransientError):
            attempt()
        assert time.monotonic() - began < 0.9
    assert api.writes == 0


@pytest.mark.parametrize("how", [LOST, SLOW])
def test_an_answer_that_got_lost_is_found_again_under_its_key(api, executor, how):
    api.faults = [how]
    with pytest.raises(TransientError):
        act(executor)
    assert api.writes == 1
    applied = act(executor)
    assert (api.writes, applied.changed, applied.after.fields["replicas"]) == (1, True, 3)
    assert executor.verify_applied(DEED, applied) == ""
    with pytest.raises(RefusedError, match="drift"):
        act(executor, "another key")


def test_a_status_that_moves_while_it_is_written_is_read_again(api, executor):
    api.faults = [409, 409]
    assert act(executor).changed
    assert api.writes == 1


def test_an_object_that_never_stands_still_is_left_for_later(api, executor):
    api.faults = [409] * 99
    with pytest.raises(TransientError, match="changes faster"):
        act(executor)
    assert api.writes == 0


def test_a_server_that_is_away_or_talks_nonsense(api, executor, tmp_path):
    api.everything = GARBAGE
    with pytest.raises(TransientError, match="no JSON"):
        executor.observe(target("web"))
    away = KubernetesSettings(kubeconfig=write_kubeconfig(tmp_path, "http://127.0.0.1:9"), namespaces=(SHOP,))
    other = KubernetesExecutor(away, time.time)
    with pytest.raises(TransientError, match="kubernetes: GET deployment shop/web"):
        other.observe(target("web"))
    other.close()


def test_a_roll_out_is_asked_for_again_until_it_is_given_up(api, tmp_path):
    clock = [1_000.0]
    path = write_kubeconfig(tmp_path, api.url)
    settings = KubernetesSettings(kubeconfig=path, namespaces=(SHOP,), wait=0.01, give_up=60)
    executor = KubernetesExecutor(settings, lambda: clock[0])
    api.rolled_out = lambda thing: thing
    for _ in range(2):
        with pytest.raises(TransientError, match="roll-out of web goes on"):
            act(executor)
    clock[0] += 61
    applied = act(executor)
    assert "the controller has not seen the change yet" in executor.verify_applied(DEED, applied)
    assert (api.writes, applied.effective_at) == (1, 1_000.0)
    executor.close()
