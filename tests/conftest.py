"""No skip goes unseen: with CI=true every skipped or expectedly failing test is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _fail_if_skipped(report: Report) -> Report:
    if os.environ.get("CI") == "true" and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"CI may not skip {report.nodeid}: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    return _fail_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, pytest.CollectReport]:
    return _fail_if_skipped((yield))
