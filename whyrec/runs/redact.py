"""Keys and passwords never reach a file: what looks like one is cut out of errors, commands and model names."""

from __future__ import annotations

import re

_SECRETS = (
    (re.compile(r"://[^/\s:@]+:[^/\s@]+@"), "://[secret]@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w\-.~+/=]{6,}"), r"\1 [secret]"),
    (
        re.compile(r"(?i)\b([\w-]*(?:api[_-]?key|token|secret|password))([\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]{4,}"),
        r"\1\2[secret]",
    ),
    (re.compile(r"\b(?:sk|pk|hf|gsk|xai|ghp)[-_][\w-]{8,}"), "[secret]"),
)


def redact(text: str) -> str:
    """The text without passwords in URLs, authorisation headers, `api_key=...` and well-known key shapes."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
