"""Tests on a pretend accelerator. PyTorch has to know the device before the first backward pass of the process."""

from __future__ import annotations

import pytest

from tests import pretend_device


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Register the device if a test of it is going to run. No test has run before."""
    if not pretend_device.missing() and any(item.get_closest_marker("device") for item in session.items):
        pretend_device.device()
