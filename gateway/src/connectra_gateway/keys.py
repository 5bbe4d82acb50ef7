"""The filters that depend on the clients, as files that Envoy reloads when they are replaced.

(Extension config discovery from a folder that Envoy watches.)
"""

from collections.abc import Collection, Iterable, Mapping
from math import ceil
from typing import Any

from connectra_common import call
from connectra_common.rights import ALIASES, OPEN, Right, header

from connectra_gateway import limits
from connectra_gateway.clients import Client

_ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
# The rate limit descriptor of calls that nothing identifies.
_UNKNOWN = {"key": "header_match", "value": "unknown"}


def api_keys(clients: Iterable[Client]) -> dict[str, Any]:
    """The key check: the client's name goes to the services as `x-client-id`, its key does not. A valid token replaces a key."""
    name, kind = "envoy.filters.http.api_key_auth", "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth"
    check = {
        "@type": f"type.googleapis.com/{kind}",
        "credentials": [{"key": client.key, "client": client.name} for client in clients],
        "key_sources": [{"header": "x-api-key"}],
        "forwarding": {"header": call.CLIENT, "hide_credentials": True},
    }
    return _extension(
        name,
        "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
        {"extension_config": {"name": name, "typed_config": check}, "xds_matcher": _SKIP_WITH_TOKEN},
    )


# Set by the token check.
SUBJECT = "x-token-subject"
# Precedes the subject in `x-client-id`; names of clients contain no colon.
TOKEN = "token:"  # noqa: S105
_SKIP_WITH_TOKEN = {
    "matcher_tree": {
        "input": {
            "name": "subject",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
                "header_name": SUBJECT,
            },
        },
        "prefix_match_map": {
            "map": {
                "": {
                    "action": {
                        "name": "skip",
                        "typed_config": {
                            "@type": "type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter"
                        },
                    }
                }
            }
        },
    }
}


def unknown_keys(keys: Collection[str], per_minute: int) -> dict[str, Any]:
    """The rate limit for calls with neither one of these keys nor a valid token; other calls consume nothing of it.

    Args:
        keys: the keys of all clients.
        per_minute: how many such calls are let through to the key check, which refuses them.
    """
    bucket = limits.per_minute(per_minute)
    # For calls without a descriptor. Envoy requires a bucket for them, so it is one that never runs empty.
    endless = limits.Bucket(2**32 - 1, 2**32 - 1, bucket.fill_nanoseconds)
    # An action yields its entry if its header does not match, and the descriptor exists only if every action yields one.
    headers: list[dict[str, Any]] = [{"name": "x-api-key", "string_match": {"exact": key}} for key in keys]
    headers.append({"name": SUBJECT, "present_match": True})
    actions = [_unless(header) for header in headers]
    return _extension(
        "connectra.unknown_keys",
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        {
            "stat_prefix": "unknown_keys",
            "filter_enabled": _ALWAYS,
            "filter_enforced": _ALWAYS,
            "rate_limited_as_resource_exhausted": True,
            "token_bucket": endless.config,
            "always_consume_default_token_bucket": False,
            "rate_limits": [{"actions": actions}],
            "descriptors": [{"entries": [_UNKNOWN] * len(actions), "token_bucket": bucket.config}],
            "enable_retry_after_header": True,
            # Envoy's own X-RateLimit headers would show the endless bucket to valid calls.
            "response_headers_to_add": [
                {"header": {"key": "x-ratelimit-limit", "value": str(per_minute)}},
                {"header": {"key": "x-ratelimit-remaining", "value": "0"}},
                {"header": {"key": "x-ratelimit-reset", "value": str(ceil(bucket.fill_nanoseconds / 10**9))}},
            ],
        },
    )


def _unless(header: dict[str, Any]) -> dict[str, Any]:
    match = {"descriptor_key": _UNKNOWN["key"], "descriptor_value": _UNKNOWN["value"], "expect_match": False}
    return {"header_value_match": {**match, "headers": [header]}}


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
    return _extension(
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


def _extension(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    resource = {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": {"@type": f"type.googleapis.com/{kind}", **config},
    }
    return {"resources": [resource]}
