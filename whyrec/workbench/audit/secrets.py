"""Keys and passwords in what a run left: values of this environment's own secrets, and what is shaped like one.

A finding names the place and the kind, and shows no more than the first four characters.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from whyrec.redaction import SHAPES, Redaction
from whyrec.runs import RunReader
from whyrec.runs.rows import unpack
from whyrec.settings import Settings
from whyrec.sqlite import connect
from whyrec.workbench.audit.findings import Findings
from whyrec.workbench.audit.results import stored_texts

_FAST = ("sk-", "pk-", "rk-", "hf_", "AKIA", "ASIA", "AIza", "gh", "gsk", "xai", "xox", "earer", "EARER", "asic", "://",
         "PRIVATE KEY")  # fmt: skip
_LED_BACK = 200  # secrets whose call is looked for, which reads the calls in order
_TEXT_COLUMNS = ("settings", "blanks", "messages", "answer", "reasoning", "logprobs")
_CALL_COLUMNS = ("model", "answered_by", "error", "example", "user", "item", "node")
Progress = Callable[[int], None]


class Secrets:
    """Looks for secrets in texts.

    Args:
        settings: its model's address may hold one.
        environment: variables whose names end like a key's are secrets; os.environ by default.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        self._known = Redaction()
        self._known.learn_environment(environment)
        for name, value in settings.model_dump().items():
            self._known.learn_text(str(value), f"the password in the setting {name}")

    @property
    def values(self) -> Mapping[str, str]:
        """Secret values, and what each is in words."""
        return self._known.values

    def find(self, text: str) -> Iterator[str]:
        """What is in a text, in words."""
        yield from self._known.find(text)
        if any(sign in text for sign in _FAST):
            for what, shape in SHAPES:
                if match := shape.search(text):
                    yield f"{what} ({match[0][:4]}…)"

    def find_known(self, text: str) -> Iterator[str]:
        """The same without what is only shaped like a secret."""
        yield from self._known.find(text)


def check_secrets(
    run: RunReader, secrets: Secrets, findings: Findings, *, home: Path, progress: Progress | None = None
) -> None:
    """Look through everything the run wrote, the call cache, and the texts that stand in the home itself."""
    findings.count("values of secrets looked for", len(secrets.values))
    findings.count("shapes of secrets looked for", len(SHAPES))
    _texts(run, secrets, findings, progress)
    _rows(run, secrets, findings)
    for path in stored_texts(run.folder):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                findings.count("lines of files")
                for what in secrets.find(line):
                    findings.add("secret", f"{path.relative_to(run.folder)} line {number}", f"holds {what}")
    _replays(run.folder / "replays.sqlite", secrets, findings)
    _cache(home / "cache.sqlite", secrets, findings)
    for path in (*sorted(home.glob("*.*")), *sorted((home / "batches").glob("*"))):
        if path.is_file() and path.suffix in (".json", ".jsonl", ".toml", ".txt"):
            with path.open(encoding="utf-8", errors="replace") as lines:
                for number, line in enumerate(lines, 1):
                    findings.count("lines of files")
                    for what in secrets.find(line):
                        findings.add("secret", f"{path.relative_to(home)} line {number}", f"holds {what}")


def _texts(run: RunReader, secrets: Secrets, findings: Findings, progress: Progress | None) -> None:
    """Every text of the run, once; a hit is led back to the first call that has it."""
    reading = connect(run.path, read_only=True)
    try:
        for done, (digest, size, body) in enumerate(reading.execute("SELECT digest,size,body FROM text"), 1):
            findings.count("stored texts")
            for what in secrets.find(unpack(size, body)):
                led = findings.counts["secrets led back to a call"] < _LED_BACK
                findings.add("secret", _first_call(run, digest) if led else f"text {digest}", f"holds {what}")
                findings.count("secrets led back to a call", int(led))
            if progress is not None and done % 256 == 0:
                progress(done)
    finally:
        reading.close()


def _first_call(run: RunReader, digest: int) -> str:
    reading = connect(run.path, read_only=True)
    try:
        where = " OR ".join(f"{column}=?" for column in _TEXT_COLUMNS)
        row = reading.execute(
            f"SELECT id,{','.join(_TEXT_COLUMNS)} FROM call WHERE {where} ORDER BY id LIMIT 1",
            (digest,) * len(_TEXT_COLUMNS),
        ).fetchone()
    finally:
        reading.close()
    if row is None:
        return f"text {digest}"
    part = next(name for name, value in zip(_TEXT_COLUMNS, row[1:], strict=True) if value == digest)
    return f"call {row[0]} ({part})"


def _rows(run: RunReader, secrets: Secrets, findings: Findings) -> None:
    """Columns that hold text themselves: the manifest, reasons and results, models and errors, prompts, metrics."""
    for name, value in run.info().items():
        _look(secrets, findings, f"run.{name}", str(value))
    for result in run.results():
        text = f"{result.reason}\n{result.payload}"
        _look(secrets, findings, f"result {result.key}", text)
    reading = connect(run.path, read_only=True)
    try:
        for row in reading.execute(
            f"SELECT min(id),{','.join(_CALL_COLUMNS)} FROM call GROUP BY {','.join(_CALL_COLUMNS)}"
        ):
            for name, value in zip(_CALL_COLUMNS, row[1:], strict=True):
                if value:
                    _look(secrets, findings, f"call {row[0]} ({name})", value)
        for name, text in reading.execute("SELECT name,text FROM prompt"):
            _look(secrets, findings, f"prompt {name}", text)
        for name, labels in reading.execute("SELECT name,labels FROM metric"):
            _look(secrets, findings, f"metric {name}", f"{name} {labels}")
    finally:
        reading.close()


def _replays(path: Path, secrets: Secrets, findings: Findings) -> None:
    if not path.exists():
        return
    reading = connect(path, read_only=True)
    try:
        for number, *texts in reading.execute("SELECT id,model,change,messages,said FROM replay"):
            findings.count("replays")
            _look(secrets, findings, f"replay {number}", "\n".join(map(str, texts)))
    finally:
        reading.close()


def _cache(path: Path, secrets: Secrets, findings: Findings) -> None:
    """The cache holds no questions, only digests; names of models may carry addresses, and answers echo a key."""
    if not path.exists():
        return
    reading = connect(path, read_only=True)
    try:
        for (model,) in reading.execute("SELECT DISTINCT model FROM answer"):
            findings.count("names of models in the call cache")
            for what in secrets.find(str(model)):
                findings.add("secret", "call cache, name of a model", f"holds {what}")
        for key, size, body in reading.execute("SELECT key,size,body FROM answer") if secrets.values else ():
            findings.count("answers in the call cache")
            try:
                text = unpack(size, body)
            except (zlib.error, UnicodeDecodeError):  # a damaged answer is asked for again
                continue
            for what in secrets.find_known(text):
                findings.add("secret", f"call cache, answer {key.hex()}", f"holds {what}")
    finally:
        reading.close()


def _look(secrets: Secrets, findings: Findings, where: str, text: str) -> None:
    findings.count("names, errors and results looked through for secrets")
    for what in secrets.find(text):
        findings.add("secret", where, f"holds {what}")
