"""What the local suite reads for itself; all other variables go on to the parts that read them."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectra_common.settings import Port, problems
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from connectra_local.home import LocalError
from connectra_local.ports import DEFAULT_PORTS, variable


class LocalSettings(BaseModel, title="Local suite"):
    """For the commands that start, stop or look at the suite (`connectra up`, `make test`, …), and for set-up."""

    model_config = ConfigDict(frozen=True)

    home: str = Field(
        ".connectra",
        validation_alias="CONNECTRA_HOME",
        description="Folder of data, logs, keys and downloads; from the real environment only.",
    )
    downloads: str | None = Field(
        None,
        validation_alias="CONNECTRA_DOWNLOADS",
        description="Folder of downloads, to share it between several suites; absent: `downloads` in the suite's own folder. "
        "From the real environment only.",
    )
    env_file: str = Field(
        ".env",
        validation_alias="CONNECTRA_ENV_FILE",
        description="File of variables; empty: none. From the real environment only.",
    )
    free_ports: bool = Field(
        False, validation_alias="CONNECTRA_FREE_PORTS", description="Free ports for everything, as `--free-ports`."
    )
    elasticsearch_heap: str = Field(
        "512m", validation_alias="CONNECTRA_ELASTICSEARCH_HEAP", description="Heap of the embedded Elasticsearch."
    )
    pg_bin: str | None = Field(
        None,
        validation_alias="PG_BIN",
        description="Folder with the programs of another PostgreSQL; absent: the installed wheel's.",
    )
    java_home: str | None = Field(
        None,
        validation_alias="ES_JAVA_HOME",
        description="Another Java, 17 or newer; absent: the installed wheel's. From the real environment only.",
    )
    no_uv: str | None = Field(
        None,
        validation_alias="CONNECTRA_NO_UV",
        description="With any value, set-up uses pip alone. From the real environment only.",
    )

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "LocalSettings":
        """Reads them from variables.

        Raises:
            LocalError: with a line for each value that is not allowed.
        """
        try:
            return cls.model_validate(env)
        except ValidationError as error:
            raise LocalError("\n".join(problems(error))) from None


PortSettings: type[BaseModel] = create_model(  # type: ignore[call-overload]
    "PortSettings",
    __doc__="Ports of the parts, all on 127.0.0.1; no two may be the same.",
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
