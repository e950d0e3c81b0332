"""Where things live and what is used when nothing is said: explicit argument > WHYREC_* > whyrec.toml > default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from whyrec.errors import UsageError


class Settings(BaseSettings):
    """Read once at the front door and passed down; nothing in whyrec keeps a global copy.

    Attributes:
        home: folder for runs, the call cache and vectors (`$WHYREC_HOME`).
        data: folders searched for data sets, first hit wins (`$WHYREC_DATA`, separated like PATH).
        llm: the model used where none is named.
        ask_above: a job that may make more model calls than this asks before it starts (`--yes` answers).
        concurrency: examples in flight at once.
    """

    model_config = SettingsConfigDict(env_prefix="WHYREC_", toml_file="whyrec.toml", extra="forbid")

    home: Path = Field(default_factory=lambda: Path.home() / ".whyrec")
    data: Annotated[tuple[Path, ...], NoDecode] = (Path("data"),)
    llm: str = "extractive"
    ask_above: int = Field(default=10_000, ge=0)
    concurrency: int = Field(default=64, ge=1, le=4096)

    @field_validator("data", mode="before")
    @classmethod
    def _split_path(cls, value: Any) -> Any:
        return tuple(Path(p) for p in value.split(os.pathsep) if p) if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Argument, then environment, then whyrec.toml in the working directory."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @property
    def data_folders(self) -> tuple[Path, ...]:
        """Every folder searched for data sets, `get`'s own download folder last."""
        return (*self.data, self.home / "data")


def read_settings(**explicit: Any) -> Settings:
    """Settings with the given values on top; None means not given.

    Raises:
        UsageError: a WHYREC_* variable or a line of whyrec.toml has a wrong name or value.
    """
    try:
        return Settings(**{k: v for k, v in explicit.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "settings"
        raise UsageError(
            f"The setting {where!r} (from WHYREC_{where.upper()} or whyrec.toml) is not usable: {first['msg']}. "
            f"Settings are: {', '.join(Settings.model_fields)}."
        ) from None
