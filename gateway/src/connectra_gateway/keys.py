"""The filters that depend on the clients, as files that Envoy reloads when they are replaced.

(Extension config discovery from a folder that Envoy watches.)
"""

from collections.abc import Iterable, Mapping
from typing import Any

from connectra_common import call
from connectra_common.rights import ALIASES, OPEN, Right, header

from connectra_gateway import limits
from connectra_gateway.clients import Client

# Set by the token check.
SUBJECT = "x-token-subject"
# Precedes the subject in `x-client-id`; names of clients contain no colon.
TOKEN = "token:"  # noqa: S105

_RATE_LIMIT = "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_MATCHED = "envoy.extensions.common.matching.v3.ExtensionWithMatcher"
_SKIP = {
    "action": {
        "name": "skip",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter",
        },
    }
}


def api_keys(clients: Iterable[Client]) -> dict[str, Any]:
    """The key check: the client's name goes to the services as `x-client-id`, its key does not. A valid token replaces a key."""
    name, kind = "envoy.filters.http.api_key_auth", "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth"
    check = {
        "@type": f"type.googleapis.com/{kind}",
        "credentials": [{"key": key.key, "client": client.name} for client in clients for key in client.keys],
        "key_sources": [{"header": "x-api-key"}],
        "forwarding": {"header": call.CLIENT, "hide_credentials": True},
    }
    return extension(name, _MATCHED, _unless(check, name, _with_token()))


def unknown_keys(clients: Iterable[Client], per_minute: int, per_address: int) -> dict[str, Any]:
    """The rate limit for calls with neither a key of these clients nor a valid token; it does not see other calls.

    Args:
        clients: all clients.
        per_minute: how many such calls are let through to the key check, which refuses them.
        per_address: how many of them from one address.
    """
    limit = {
        **_limit("unknown_keys"),
        "token_bucket": limits.per_minute(per_minute),
        # An entry without a value makes a bucket for every value seen.
        "rate_limits": [{"actions": [{"remote_address": {}}]}],
        "descriptors": [
            {
                "entries": [{"key": "remote_address"}],
                "token_bucket": limits.per_minute(min(per_address, per_minute)),
            }
        ],
        "max_dynamic_descriptors": 10_000,
    }
    # As the key check reads the header: a key, also with "Bearer " before it.
    known = [f"{scheme}{key.key}" for client in clients for key in client.keys for scheme in ("", "Bearer ")]
    matcher = _with_token()
    if known:
        matcher = {
            "matcher_tree": {"input": _header("x-api-key"), "exact_match_map": {"map": dict.fromkeys(known, _SKIP)}},
            "on_no_match": {"matcher": matcher},
        }
    name = "connectra.unknown_keys"
    return extension(name, _MATCHED, _unless(limit, name, matcher))


def rate_limit(clients: Iterable[Client], per_client: int, overall: int) -> dict[str, Any]:
    """The rate limits of clients, after the key check.

    Args:
        clients: all clients with a key; some have limits of their own.
        per_client: requests per minute of the others, and of every token's subject.
        overall: requests per minute of all. A client whose own bucket is empty takes nothing from it.
    """
    own = [(client.name, client.requests_per_minute) for client in clients if client.requests_per_minute]
    return extension(
        "connectra.rate_limit",
        _RATE_LIMIT,
        {
            **_limit("rate_limit"),
            "token_bucket": limits.per_minute(overall),
            "rate_limits": [
                {"actions": [{"request_headers": {"header_name": call.CLIENT, "descriptor_key": "client"}}]}
            ],
            "descriptors": [
                *(
                    {"entries": [{"key": "client", "value": name}], "token_bucket": limits.per_minute(requests)}
                    for name, requests in own
                ),
                # An entry without a value makes a bucket for every value seen.
                {"entries": [{"key": "client"}], "token_bucket": limits.per_minute(per_client)},
            ],
            "max_dynamic_descriptors": 1000,
        },
    )


def _limit(name: str) -> dict[str, Any]:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "@type": f"type.googleapis.com/{_RATE_LIMIT}",
        "stat_prefix": name,
        "filter_enabled": always,
        "filter_enforced": always,
        "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        "enable_retry_after_header": True,
        "rate_limited_as_resource_exhausted": True,
    }


def _unless(filter_config: Mapping[str, Any], name: str, matcher: Mapping[str, Any]) -> dict[str, Any]:
    """A filter that calls pass by for which the matcher says so."""
    return {"extension_config": {"name": name, "typed_config": filter_config}, "xds_matcher": matcher}


def _with_token() -> dict[str, Any]:
    return {"matcher_tree": {"input": _header(SUBJECT), "prefix_match_map": {"map": {"": _SKIP}}}}


def _header(name: str) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
    return {"name": name, "typed_config": {"@type": kind, "header_name": name}}


def client_rights(clients: Iterable[Client]) -> dict[str, Any]:
    """The rights of the clients with a key, which go to the check of rights and to the services as `x-client-rights`.

    A client that is not listed gets none. Names and rights are made of characters that Lua reads as they are.
    """
    table = "".join(f'  ["{client.name}"] = "{header(client.rights)}",\n' for client in clients)
    source = f"""
local rights = {{
{table}}}
function envoy_on_request(handle)
  local headers = handle:headers()
  local found = rights[headers:get("{call.CLIENT}")]
  if found then headers:replace("{call.RIGHTS}", found) end
end
"""
    return extension(
        "connectra.client_rights",
        "envoy.extensions.filters.http.lua.v3.Lua",
        {"default_source_code": {"inline_string": source}},
    )


def claimable() -> dict[str, str]:
    """What each name of a right in a token's claim gives, as in `x-client-rights`."""
    return {**{str(right): header([right]) for right in Right}, **{name: header(of) for name, of in ALIASES.items()}}


def policies(opened: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """The check of rights: a path that none opens is denied. It comes after the transcoder, where every request has a gRPC path.

    Args:
        opened: for each right the paths that it opens, and under `OPEN` those that need none.
    """
    return {
        name: {
            "permissions": [{"url_path": {"path": {"exact": path}}} for path in paths],
            # No right is part of another's name.
            "principals": [
                {"any": True} if name == OPEN else {"header": {"name": call.RIGHTS, "string_match": {"contains": name}}}
            ],
        }
        for name, paths in opened.items()
    }


def extension(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The file of a filter."""
    resource = {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": {**config, "@type": f"type.googleapis.com/{kind}"},
    }
    return {"resources": [resource]}
