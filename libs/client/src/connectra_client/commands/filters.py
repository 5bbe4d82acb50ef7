"""`connectra filters`: what users are offered to narrow a search by, and the values to choose from."""

from typing import Annotated

import typer

from connectra_client.commands.options import ApiKey, Entity, Profile, Url, connect
from connectra_client.output import AsJson, Format, Output, format_of, show_records


def filters(
    entity: Annotated[Entity, typer.Argument(help="Whose filters.")],
    key: Annotated[str | None, typer.Argument(help="Of the filter whose values are wanted.", metavar="KEY")] = None,
    text: Annotated[str | None, typer.Argument(help="Only values that contain it.", metavar="TEXT")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Maximum number of values.", min=1, max=100)] = 25,
    page: Annotated[int, typer.Option("--page", help="Which page of values.", min=1)] = 1,
    output: Output = Format.TABLE,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    profile: Profile = None,
) -> None:
    """List the filters of contacts or companies, or the values of one.

    Examples:
        connectra filters contacts
        connectra filters contacts country
        connectra filters companies industries soft -o name
    """
    format = format_of(output, as_json)
    with connect(url, api_key, profile) as client:
        if key is None:
            show_records(client.filters(entity), ["key", "filter_type", "display_name"], format, name="key")
        else:
            values = client.filter_values(entity, key, text, limit, page)
            show_records(values, ["value", "display_value"], format, name="value")
