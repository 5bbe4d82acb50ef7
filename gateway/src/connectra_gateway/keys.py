"""The filters that depend on the clients, as files that Envoy reloads when they are replaced.

(Extension config discovery from a folder that Envoy watches.)
"""

from collections.abc import Collection, Iterable, Mapping
from math import ceil
from typing import Any

from connectra_gateway import limits
from connectra_gateway.clients import Client, Right

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
        "forwarding": {"header": "x-client-id", "hide_credentials": True},
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


def rights(
    clients: Iterable[Client],
    methods: Mapping[Right, Collection[str]],
    open_to_all: Collection[str],
    claim: str | None = None,
) -> dict[str, Any]:
    """The check of rights. It comes after the transcoder, where every request has a gRPC path.

    Args:
        clients: all clients.
        methods: for each right, the path prefixes (`/package.Service/`) it opens.
        open_to_all: paths below those prefixes that need no right. Paths elsewhere need none either.
        claim: name of the token claim that lists its rights; None: tokens are off.
    """
    clients, policies = list(clients), {}
    for right, prefixes in methods.items():
        principals = [_client({"exact": client.name}) for client in clients if right in client.rights]
        if claim:
            principals.append({"and_ids": {"ids": [_client({"prefix": TOKEN}), _claimed(claim, right)]}})
        if principals:
            policies[f"{right}"] = {"permissions": [*map(_path, prefixes)], "principals": principals}
    closed = [_path(prefix) for prefixes in methods.values() for prefix in prefixes]
    policies["open"] = {
        "permissions": [{"not_rule": {"or_rules": {"rules": closed}}}, *map(_path, open_to_all)],
        "principals": [{"any": True}],
    }
    return _extension(
        "connectra.rights",
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        {"rules": {"action": "ALLOW", "policies": policies}},
    )


def _client(name: dict[str, str]) -> dict[str, Any]:
    return {"header": {"name": "x-client-id", "string_match": name}}


def _claimed(claim: str, right: Right) -> dict[str, Any]:
    metadata = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "token"}, {"key": claim}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": f"{right}"}}}},
    }
    return {"metadata": metadata}


def _path(prefix: str) -> dict[str, Any]:
    return {"url_path": {"path": {"prefix": prefix}}}


def _extension(name: str, kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    resource = {
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": name,
        "typed_config": {"@type": f"type.googleapis.com/{kind}", **config},
    }
    return {"resources": [resource]}
