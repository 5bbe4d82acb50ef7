"""The filters that know the clients, as files that Envoy reads anew when they are replaced.

(Extension config discovery from a folder that Envoy watches.)
"""

from collections.abc import Collection, Iterable, Mapping
from math import ceil
from typing import Any

from connectra_gateway import limits
from connectra_gateway.clients import Client, Right

_ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def api_keys(clients: Iterable[Client]) -> dict[str, Any]:
    """The key check: a client's name goes to the services as `x-client-id`, its key does not. Who has a good token needs no key."""
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


# The header that the token check sets.
SUBJECT = "x-token-subject"
# What stands before the subject in `x-client-id`; no name of a client has a colon.
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
    """The rate limit for calls that have none of these keys and no good token; good calls pass without cost."""
    bucket = limits.per_minute(per_minute)
    # One action a key; the descriptor comes about only if every action yields its entry, so if no key matches.
    entry = {"key": "header_match", "value": "unknown"}
    actions = [
        {
            "header_value_match": {
                "descriptor_key": entry["key"],
                "descriptor_value": entry["value"],
                "expect_match": False,
                "headers": [{"name": "x-api-key", "string_match": {"exact": key}}],
            }
        }
        for key in keys
    ]
    subject = {"name": SUBJECT, "present_match": True}
    actions.append({"header_value_match": {**actions[0]["header_value_match"], "headers": [subject]}})
    # For calls without descriptor; Envoy demands it, so it is one that never runs empty.
    endless = limits.Bucket(2**32 - 1, 2**32 - 1, bucket.fill_nanoseconds)
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
            "descriptors": [{"entries": [entry] * len(actions), "token_bucket": bucket.config}],
            "enable_retry_after_header": True,
            # Envoy's own X-RateLimit headers would show the endless bucket to the good calls.
            "response_headers_to_add": [
                {"header": {"key": "x-ratelimit-limit", "value": str(per_minute)}},
                {"header": {"key": "x-ratelimit-remaining", "value": "0"}},
                {"header": {"key": "x-ratelimit-reset", "value": str(ceil(bucket.fill_nanoseconds / 10**9))}},
            ],
        },
    )


def rights(
    clients: Iterable[Client],
    methods: Mapping[Right, Collection[str]],
    open_to_all: Collection[str],
    claim: str | None = None,
) -> dict[str, Any]:
    """The check of rights, behind the transcoder, where every request has a gRPC path.

    Args:
        methods: for each right, the path prefixes (`/package.Service/`) it opens.
        open_to_all: paths below them that need no right. So do paths elsewhere.
        claim: of a token, the list of its rights; None: there are no tokens.
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
