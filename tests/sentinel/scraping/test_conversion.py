"""Counters to rates and histograms to quantiles, checked against what a real prometheus-client shows."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from sentinel.errors import PermanentError
from sentinel.scraping.conversion import Converter, quantile
from sentinel.scraping.exposition import read_page

PLAIN = "text/plain; version=0.0.4"
FORMATS: dict[str, tuple[Callable[..., bytes], str]] = {
    "text": (generate_latest, PLAIN),
    "openmetrics": (generate_openmetrics, OPENMETRICS),
}


@pytest.fixture(params=FORMATS)
def page(request):
    """A registry, and its families as they come over the wire in one of the formats."""
    registry = CollectorRegistry()
    render, content_type = FORMATS[request.param]
    return registry, lambda: read_page(render(registry).decode(), content_type)


def values(measurements, **labels):
    return {one.name: one.value for one in measurements if labels.items() <= one.labels.items()}


def test_counters_become_rates_and_gauges_stay(page):
    registry, read = page
    requests = Counter("requests", "r", ["code"], registry=registry)
    depth = Gauge("depth", "d", registry=registry)
    Info("build", "b", registry=registry).info({"version": "1"})
    converter = Converter([0.5])
    requests.labels("200").inc(100)
    depth.set(7)
    assert values(converter.convert(read(), 1000.0)) == {"depth": 7.0}
    requests.labels("200").inc(30)
    requests.labels("500").inc(5)
    second = converter.convert(read(), 1010.0)
    assert values(second) == {"depth": 7.0, "requests_total:rate": 3.0}, "a series that is new has no rate yet"
    assert {one.time for one in second} == {1010.0}
    third = converter.convert(read(), 1020.0)
    assert values(third, code="500") == {"requests_total:rate": 0.0}


def test_a_counter_that_began_again_counts_from_zero():
    converter = Converter([])
    page = "# TYPE c counter\nc_total {}\n".format
    converter.convert(read_page(page(1000), PLAIN), 0.0)
    assert values(converter.convert(read_page(page(40), PLAIN), 10.0)) == {"c_total:rate": 4.0}


def test_a_counter_without_a_type_is_known_by_its_name():
    converter = Converter([])
    converter.convert(read_page("c_total 10\nlevel 3\n", PLAIN), 0.0)
    assert values(converter.convert(read_page("c_total 20\nlevel 4\n", PLAIN), 10.0)) == {
        "c_total:rate": 1.0,
        "level": 4.0,
    }


def test_what_vanished_for_a_page_begins_anew():
    converter = Converter([])
    shown, empty = read_page("# TYPE c counter\nc_total 5\n", PLAIN), read_page("# TYPE g gauge\ng 1\n", PLAIN)
    converter.convert(shown, 0.0)
    converter.convert(empty, 10.0)
    assert values(converter.convert(shown, 20.0)) == {}


def test_histograms_show_what_was_observed_since_the_last_page(page):
    registry, read = page
    seconds = Histogram("latency_seconds", "l", ["path"], buckets=[0.1, 0.2, 0.4, 0.8], registry=registry)
    converter = Converter([0.5, 0.99])
    for _ in range(1000):
        seconds.labels("/a").observe(0.7)
    converter.convert(read(), 0.0)
    for _ in range(10):
        seconds.labels("/a").observe(0.15)
    found = values(converter.convert(read(), 10.0), path="/a")
    assert found.pop("latency_seconds:mean") == pytest.approx(0.15)
    assert found == pytest.approx(
        {"latency_seconds:rate": 1.0, "latency_seconds:p50": 0.15, "latency_seconds:p99": 0.199}
    )
    quiet = values(converter.convert(read(), 20.0), path="/a")
    assert quiet == {"latency_seconds:rate": 0.0}, "nothing observed has no latency"


def test_a_histogram_that_began_again_counts_from_zero():
    registry, second = CollectorRegistry(), CollectorRegistry()
    one = Histogram("h", "h", buckets=[1.0, 2.0], registry=registry)
    other = Histogram("h", "h", buckets=[1.0, 2.0], registry=second)
    for _ in range(50):
        one.observe(1.5)
    other.observe(0.5)
    converter = Converter([])
    converter.convert(read_page(generate_latest(registry).decode(), PLAIN), 0.0)
    found = values(converter.convert(read_page(generate_latest(second).decode(), PLAIN), 10.0))
    assert found == pytest.approx({"h:rate": 0.1, "h:mean": 0.5})


def test_summaries_keep_their_quantiles(page):
    registry, read = page
    Summary("s", "s", registry=registry).observe(2.0)
    converter = Converter([])
    converter.convert(read(), 0.0)
    assert values(converter.convert(read(), 10.0)) == {"s:rate": 0.0}
    given = read_page('# TYPE q summary\nq{quantile="0.99",a="b"} 4.5\nq_count 3\nq_sum 9\n', PLAIN)
    assert values(Converter([]).convert(given, 0.0), a="b") == {"q:p99": 4.5}


def test_values_that_are_no_numbers_are_left_out():
    found = Converter([]).convert(read_page('# TYPE g gauge\ng{a="1"} NaN\ng{a="2"} +Inf\ng{a="3"} 1\n', PLAIN), 0.0)
    assert [one.labels["a"] for one in found] == ["3"]


def test_the_time_of_a_sample_counts_only_where_it_is_wanted():
    page = read_page("# TYPE g gauge\ng 1 123000\n", PLAIN)
    assert [one.time for one in Converter([]).convert(page, 999.0)] == [999.0]
    assert [one.time for one in Converter([]).convert(page, 999.0, honor_timestamps=True)] == [123.0]


def test_a_rate_needs_time_between_its_pages():
    converter = Converter([])
    for value in (1, 2):
        page = read_page(f"# TYPE c counter\nc_total {value} 5000\n", PLAIN)
        assert converter.convert(page, 1.0, honor_timestamps=True) == []


@pytest.mark.parametrize("text", ["}{", 'a{b="c} 1', "a one\n", "<html></html>"])
def test_what_is_no_page_is_refused_whole(text):
    with pytest.raises(PermanentError, match="cannot be read"):
        read_page(f"good 1\n{text}\n", PLAIN)


@pytest.mark.parametrize(
    ("q", "bounds", "cumulative", "expected"),
    [
        (0.5, (1.0, 2.0, math.inf), (10.0, 20.0, 20.0), 1.0),
        (0.75, (1.0, 2.0, math.inf), (10.0, 20.0, 20.0), 1.5),
        (0.25, (1.0, 2.0, math.inf), (10.0, 20.0, 20.0), 0.5),
        (0.99, (1.0, 2.0, math.inf), (10.0, 20.0, 40.0), 2.0),
        (0.1, (-1.0, 2.0, math.inf), (10.0, 20.0, 20.0), -1.0),
    ],
)
def test_quantiles_are_those_of_promql(q, bounds, cumulative, expected):
    assert quantile(q, bounds, cumulative) == pytest.approx(expected)


def test_no_finite_bucket_has_no_quantile():
    assert math.isnan(quantile(0.5, (math.inf,), (3.0,)))
