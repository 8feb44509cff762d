"""Addresses without their secrets."""

from __future__ import annotations

import pytest

from affectlab.files.urls import redact


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/a/b?page=2", "https://example.org/a/b?page=2"),
        ("file:///srv/data.zip", "file:///srv/data.zip"),
        ("not an address", "not an address"),
        ("https://ann:s3cret@example.org:8443/v1", "https://***@example.org:8443/v1"),
        ("https://s3cret@example.org/v1", "https://***@example.org/v1"),
        ("https://ann:s3@cret@example.org/v1", "https://***@example.org/v1"),
        (
            "https://example.org/v1?api_key=s3cret&page=2",
            "https://example.org/v1?api_key=***&page=2",
        ),
        (
            "https://example.org/f?X-Amz-Signature=s3cret&X-Amz-Date=1",
            "https://example.org/f?X-Amz-Signature=***&X-Amz-Date=1",
        ),
        ("https://example.org/f#access_token=s3cret", "https://example.org/f"),
        ("https://ann:s3cret@[::1/v1", "https://***@[::1/v1"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert "s3" not in redact(url)
