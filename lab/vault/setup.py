"""What stands in the lab's Vault: mounts, roles, policies, seeds, as paths and bodies to write over HTTP."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

USER_CA, HOST_CA, KV, APPROLE = "ssh", "ssh-host", "secret", "approle"
CLOUD_ROLE = "reader"  # the one role of the aws/ and azure/ engines that only reads
AZURE_RUN_ROLE = "operator"  # what a run writes to Azure with
SERVICE = "console"  # reads, never signs for runbooks
MAX_CERTIFICATE_TTL = "30m"
LAB_LIFETIME = "720h"  # host certificates outlive any lab

READ_ROLES = {"edge-read": "interlock-read", "probe": "interlock-probe"}  # SSH role -> its only principal
RUN_ROLES = {"edge-run": "interlock-run"}

Write = tuple[str, dict[str, Any]]  # path under /v1/, body

MOUNTS: tuple[Write, ...] = (
    (f"sys/mounts/{USER_CA}", {"type": "ssh"}),
    (f"sys/mounts/{HOST_CA}", {"type": "ssh", "config": {"max_lease_ttl": LAB_LIFETIME}}),
    (f"sys/mounts/{KV}", {"type": "kv", "options": {"version": "2"}}),
    (f"sys/auth/{APPROLE}", {"type": "approle"}),
)


def writes(operators: tuple[str, ...], kv: Mapping[str, Mapping[str, str]]) -> Iterator[Write]:
    """Everything after the mounts and the CAs; the order does not matter."""
    for role, principal in {**READ_ROLES, **RUN_ROLES}.items():
        yield f"{USER_CA}/roles/{role}", _user_role(principal)
    yield f"{HOST_CA}/roles/host", _host_role()
    yield _policy("interlock-read", _reading(kv))
    yield _policy("azure-run", {f"azure/creds/{AZURE_RUN_ROLE}": {"capabilities": ["read"]}})
    for name in (SERVICE, *operators):
        yield _policy(f"ssh-read-{name}", _signing(name, READ_ROLES))
        yield _policy(f"ssh-run-{name}", _signing(name, RUN_ROLES))
        yield f"auth/{APPROLE}/role/{name}", _approle(name, run=name != SERVICE)
    for path, fields in kv.items():
        yield f"{KV}/data/{path}", {"data": dict(fields)}


def _user_role(principal: str) -> dict[str, Any]:
    return {
        "key_type": "ca",
        "allow_user_certificates": True,
        "allowed_users": principal,
        "default_user": principal,
        "ttl": "15m",
        "max_ttl": MAX_CERTIFICATE_TTL,
        "default_extensions": {},  # no permit-pty: commands are executed, no terminal is opened
        "allow_user_key_ids": True,  # the policy below decides which
    }


def _host_role() -> dict[str, Any]:
    return {
        "key_type": "ca",
        "allow_host_certificates": True,
        "allowed_domains": "*",
        "allow_bare_domains": True,
        "allow_subdomains": True,
        "ttl": LAB_LIFETIME,
        "max_ttl": LAB_LIFETIME,
    }


def _approle(name: str, *, run: bool) -> dict[str, Any]:
    policies = ["interlock-read", f"ssh-read-{name}", *([f"ssh-run-{name}", "azure-run"] if run else [])]
    return {
        "token_policies": policies,
        "token_ttl": "30m",
        "token_max_ttl": "8h",
        "secret_id_num_uses": 1,
        "secret_id_ttl": "5m",
    }


def _reading(kv: Mapping[str, Any]) -> dict[str, Any]:
    rules: dict[str, Any] = {f"{KV}/data/{path}": {"capabilities": ["read"]} for path in kv}
    rules[f"azure/creds/{CLOUD_ROLE}"] = {"capabilities": ["read"]}
    rules[f"aws/creds/{CLOUD_ROLE}"] = {"capabilities": ["read"]}
    rules[f"aws/sts/{CLOUD_ROLE}"] = {"capabilities": ["read", "update"]}
    for path in ("sys/leases/revoke", "sys/leases/revoke/*"):
        rules[path] = {"capabilities": ["update"]}
    return rules


def _signing(name: str, roles: Mapping[str, str]) -> dict[str, Any]:
    """A key id names its operator in every router's log: no other operator's name can be signed into it."""
    allowed = {"key_id": [f"interlock-{name}-*"], "*": []}
    rule = {"capabilities": ["update"], "allowed_parameters": allowed}
    return {f"{USER_CA}/sign/{role}": rule for role in roles}


def _policy(name: str, rules: Mapping[str, Any]) -> Write:
    return f"sys/policies/acl/{name}", {"policy": json.dumps({"path": rules})}
