"""The complaints of Prometheus' own linter (`promtool check metrics`), as far as they can concern us."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

NAME = re.compile(r"[a-z_:][a-z0-9_:]*")
ABBREVIATED = re.compile(r"_(s|ms|us|ns|sec|b|kb|mb|gb|m|h|d)(_|$)")
NOT_BASE_UNITS = re.compile(r"_(milliseconds|microseconds|minutes|hours|days|kilobytes|megabytes|bits|percent)(_|$)")
RESERVED = ("_count", "_sum", "_bucket", "_created", "_info")


def faults(text: str) -> list[str]:
    """List the faults of an exposition in Prometheus' text format. Raises ``ValueError`` for any other text."""
    families = list(text_string_to_metric_families(text))
    names = [f"{family.name}_total" if family.type == "counter" else family.name for family in families]
    found = [f"{name}: told twice" for name in {name for name in names if names.count(name) > 1}]
    return found + [f"{family.name}: {what}" for family in families for what in _of(family)]


def _of(family: Metric) -> Iterator[str]:
    if not family.documentation:
        yield "no help"
    if family.type == "unknown":
        yield "no type"
    if not NAME.fullmatch(family.name):
        yield "not in small letters"
    if family.type != "counter" and family.name.endswith("_total"):
        yield "only counters end with _total"
    if family.type == "counter" and any(not sample.name.endswith("_total") for sample in family.samples):
        yield "counters end with _total"
    if family.name.endswith(RESERVED):
        yield "ends as parts of histograms and summaries do"
    if family.type in family.name.split("_"):
        yield "its type is in its name"
    if ABBREVIATED.search(family.name) or NOT_BASE_UNITS.search(family.name):
        yield "not in a base unit by its whole name"
    labels = [(sample.name, *sorted(sample.labels.items())) for sample in family.samples]
    if len(labels) != len(set(labels)):
        yield "two samples of the same labels"
    if any(not re.fullmatch("[a-z_][a-z0-9_]*", label) for sample in family.samples for label in sample.labels):
        yield "a label not in small letters"
