"""Where things live and what is used when nothing is said: explicit argument > WHYREC_* > whyrec.toml > default."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from whyrec.errors import UsageError
from whyrec.precision import Precision
from whyrec.redaction import KNOWN

_PREFIX: Final = "WHYREC_"
_FILE: Final = Path("whyrec.toml")
_OTHERS: Final = frozenset({"debug", "langsmith"})  # read elsewhere, before there are settings


class Settings(BaseModel):
    """Read once at the front door and passed down; nothing in whyrec keeps a global copy.

    Attributes:
        home: folder for runs, the call cache and vectors (`$WHYREC_HOME`).
        data: folders searched for data sets, first hit wins (`$WHYREC_DATA`, separated like PATH).
        llm: the model used where none is named.
        ask_above: a job that may make more model calls than this asks before it starts (`--yes` answers).
        concurrency: examples in flight at once.
        keep_going: whether runs go on though most of their first answers are of no use (`--keep-going`).
        precision: of what is trained and of local models: the fastest here ("auto"), or one by name.
        quiet: say nothing on the side, such as that a local model is being loaded.
        plugins: Python files with graphs, tables and so on of one's own (`$WHYREC_PLUGINS`, separated like PATH).
        prompts: folder of prompts that stand before those of the house; `home/prompts` where it is not given.
    """

    model_config = ConfigDict(extra="forbid", validate_default=True)

    home: Path = Path("~/.whyrec")
    data: tuple[Path, ...] = (Path("data"),)
    llm: str = "extractive"
    ask_above: int = Field(default=10_000, ge=0)
    concurrency: int = Field(default=64, ge=1, le=4096)
    keep_going: bool = False
    precision: Precision = "auto"
    quiet: bool = False
    plugins: tuple[str, ...] = ()
    prompts: Path | None = None

    @field_validator("plugins", mode="before")
    @classmethod
    def _split_plugins(cls, value: Any) -> Any:
        return tuple(part for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("prompts")
    @classmethod
    def _expand_prompts(cls, value: Path | None) -> Path | None:
        return None if value is None else _nameable(_expanded(value).absolute())

    @field_validator("data", mode="before")
    @classmethod
    def _split_path(cls, value: Any) -> Any:
        return tuple(Path(p) for p in value.split(os.pathsep) if p) if isinstance(value, str) else value

    @field_validator("data")
    @classmethod
    def _expand_each(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(_expanded(path) for path in value)

    @field_validator("home")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return _nameable(_expanded(value).absolute())

    @field_validator("ask_above", "concurrency", mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"it is {str(value).lower()}, and a whole number is wanted")
        return value

    @field_validator("llm")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("it has characters in it that cannot be printed")
        KNOWN.learn_text(value, "a key in the setting llm")
        return value

    @property
    def prompt_folder(self) -> Path:
        """Where prompts of one's own are looked for."""
        return self.prompts or self.home / "prompts"

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """Every folder searched for data sets, `get`'s own download folder last."""
        return (*self.data, self.home / "data")


def _expanded(path: Path) -> Path:
    try:
        return _nameable(path.expanduser())
    except RuntimeError as error:
        raise ValueError(f"{path} names nobody's folder ({str(error).rstrip('.')})") from None


def _nameable(path: Path) -> Path:
    """A path that can be written down, in a run's record and on a terminal."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ValueError(f"the folder's name {str(path)!a} is not UTF-8 text; rename it or take another") from None
    if any(ord(c) < 32 or ord(c) == 127 for c in str(path)):
        raise ValueError(f"the folder's name {str(path)!a} has control characters in it")
    return path


def read_settings(**explicit: Any) -> Settings:
    """Settings with the given values on top; None means not given.

    Raises:
        UsageError: a WHYREC_* variable or a line of whyrec.toml has a wrong name or value, or the file is no TOML.
    """
    given = {name: (value, "the command") for name, value in explicit.items() if value is not None}
    said = _from_file() | _from_environment() | given
    try:
        return Settings(**{name: value for name, (value, _) in said.items()})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        where = said[name][1] if name in said else "whyrec's own default"
        raise UsageError(_complaint(name, where, first["msg"].removeprefix("Value error, "))) from None


def _from_environment() -> dict[str, tuple[Any, str]]:
    """Name -> (value, where it stands), of the variables that begin like ours and hold something."""
    ours = {key: key[len(_PREFIX) :].lower() for key, value in os.environ.items() if value and key.startswith(_PREFIX)}
    return {name: (os.environ[key], f"the variable {key}") for key, name in ours.items() if name not in _OTHERS}


def _from_file() -> dict[str, tuple[Any, str]]:
    """Name -> (value, where it stands), of whyrec.toml in the working directory."""
    if not _FILE.is_file():
        return {}
    import tomllib

    try:
        read = tomllib.loads(_FILE.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise UsageError(f"{_FILE.absolute()} is nested too deeply. Mend it, or move it away.") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of thousands of digits
        raise UsageError(f"{_FILE.absolute()} is not valid TOML: {error}. Mend it, or move it away.") from None
    return {name: (value, str(_FILE.absolute())) for name, value in read.items()}


def _complaint(name: str, where: str, why: str) -> str:
    if name in Settings.model_fields:
        return f"The setting {name!r} from {where} is not usable: {why}."
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no setting {name!r} (from {where}).{meant} Settings are: {', '.join(Settings.model_fields)}."
