"""The manifests as kustomize renders them: valid for Kubernetes, and what this project promises of them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import connectra_common.settings as settings
import connectra_gateway.launcher
import connectra_gateway.settings
import connectra_jobs.settings
import connectra_ops.settings
import connectra_query.settings
import connectra_write.settings
import kubernetes_validate
import pytest
import yaml

from tests.deploy.kustomize import FOLDER, Object, built, criticized, of_kind, render
from tests.deploy.packages import closure
from tests.support.environment import cleared
from tests.support.paths import ROOT

BASES = ("namespace", "migrate", "query", "write", "jobs", "gateway")
OVERLAYS = ("dev", "production")
FOLDERS = (*BASES, *(f"overlays/{o}{part}" for o in OVERLAYS for part in ("/namespace", "/migrate", "")))
OLDEST = "1.30"  # the first with preStop `sleep`; docs/operations.md says so
# Objects of operators, for which Kubernetes has no schemas.
CUSTOM = {"ServiceMonitor", "ScaledObject", "TriggerAuthentication", "Certificate", "Issuer"}
# What an installation adds to production as it likes.
EXTRAS = ("mtls", "pgbouncer", "rate-limit", "tokens", "tracing")

# What each process reads.
CONFIGURATIONS: dict[tuple[str, ...], type] = {
    ("connectra-query",): connectra_query.settings.Settings,
    ("connectra-write",): connectra_write.settings.Settings,
    ("connectra-write-indexer",): connectra_write.settings.IndexerSettings,
    ("connectra-jobs",): connectra_jobs.settings.Settings,
    ("connectra", "jobs", "first_time"): connectra_jobs.settings.RunnerSettings,
    ("connectra", "jobs", "retry"): connectra_jobs.settings.RunnerSettings,
    ("connectra-gateway", "run"): connectra_gateway.settings.Settings,
    ("connectra", "migrate"): connectra_ops.settings.MigrateSettings,
}

# The arrows of the design: from, to, port.
GRPC = {"query": 50051, "write": 50052, "jobs": 50053}
INTERNAL = {"write": 50057}
STORES = {"postgres": 5432, "elasticsearch": 9200, "s3": 443}
USES = {
    "gateway": ("query", "write", "jobs"),
    "query": ("postgres", "elasticsearch", "s3"),
    "write": ("postgres", "elasticsearch"),
    "indexer": ("postgres", "elasticsearch"),
    "migrate": ("postgres", "elasticsearch"),
    "jobs": ("postgres", "s3"),
    "first-time": ("postgres", "s3", "query"),
    "retry": ("postgres", "s3", "query"),
}
WORKERS = ("first-time", "retry")
ARROWS = {(source, goal, (GRPC | STORES)[goal]) for source, goals in USES.items() for goal in goals} | {
    (worker, goal, port) for worker in WORKERS for goal, port in INTERNAL.items()
}


@dataclass(frozen=True)
class Workload:
    """A Deployment or Job of a rendered folder."""

    object: Object
    folder: str

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def template(self) -> Object:
        return dict(self.object["spec"]["template"])

    @property
    def pod(self) -> Object:
        return dict(self.template["spec"])

    @property
    def container(self) -> Object:
        (container,) = self.pod["containers"]
        return dict(container)

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.template["metadata"]["labels"])


def workloads(folder: str, *kinds: str) -> list[Workload]:
    return [Workload(item, folder) for item in of_kind(render(folder), *(kinds or ("Deployment", "Job")))]


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector takes an object with these labels."""
    expressions = selector.get("matchExpressions", [])
    assert {expression["operator"] for expression in expressions} <= {"In"}
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


# ---- schemas


@pytest.mark.parametrize(
    ("overlay", "release"), [("dev", OLDEST), ("production", kubernetes_validate.latest_version())]
)
def test_every_object_fits_the_schemas_of_kubernetes(overlay: str, release: str) -> None:
    for part in ("", "/namespace", "/migrate"):
        for item in render(f"overlays/{overlay}{part}"):
            if item["kind"] not in CUSTOM:
                kubernetes_validate.validate(item, release, strict=True)


@pytest.mark.parametrize("folder", BASES)
def test_a_base_needs_no_operator_in_the_cluster(folder: str) -> None:
    assert of_kind(render(folder), *CUSTOM) == []


# ---- pods


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_pod_is_restricted(folder: str) -> None:
    for workload in workloads(folder):
        pod, container = workload.pod, workload.container
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"USER {pod['securityContext']['runAsUser']}:" in dockerfile(workload)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC", "initContainers"}
        assert {kind for volume in pod["volumes"] for kind in volume.keys() - {"name"}} <= {"emptyDir", "secret"}
        accounts = {item["metadata"]["name"]: item for item in of_kind(render(folder), "ServiceAccount")}
        assert accounts[pod["serviceAccountName"]]["automountServiceAccountToken"] is False
    assert of_kind(render(folder), "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding") == []


@pytest.mark.parametrize("folder", ["overlays/dev/namespace", "overlays/production/namespace"])
def test_the_namespace_enforces_that(folder: str) -> None:
    (namespace,) = of_kind(render(folder), "Namespace")

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    whole = [workload.object["metadata"]["namespace"] for workload in workloads(folder.removesuffix("/namespace"))]
    assert set(whole) == {namespace["metadata"]["name"]}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_container_says_what_it_needs_and_may_use(folder: str) -> None:
    for workload in workloads(folder):
        resources = workload.container["resources"]
        wanted = {"cpu", "memory", "ephemeral-storage"}
        assert resources["requests"].keys() == resources["limits"].keys() == wanted, workload.name
        (tmp,) = [volume["emptyDir"] for volume in workload.pod["volumes"] if volume["name"] == "tmp"]
        # What is on disk, and its logs, must fit; what is in memory counts as the container's.
        kept_in = "memory" if tmp.get("medium") == "Memory" else "ephemeral-storage"
        assert mebibytes(tmp["sizeLimit"]) <= mebibytes(resources["limits"][kept_in]) - 64, workload.name


def mebibytes(quantity: str) -> int:
    number, unit = int(quantity[:-2]), quantity[-2:]
    return number * {"Mi": 1, "Gi": 1024}[unit]


def test_envoy_turns_calls_away_before_the_container_is_out_of_memory() -> None:
    (gateway,) = [workload for workload in workloads("overlays/production") if workload.name == "gateway"]
    heap = int(environment(gateway)["GATEWAY_MAX_HEAP_MIB"])
    assert heap <= 0.75 * mebibytes(gateway.container["resources"]["limits"]["memory"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_images_have_the_version_of_the_project(folder: str) -> None:
    for workload in workloads(folder):
        assert re.fullmatch(
            rf"(\S+/)?connectra/\w+:{re.escape(version('connectra-common'))}", workload.container["image"]
        )


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_image_has_the_command_it_is_started_by(folder: str) -> None:
    scripts = {script.name: script.dist.name for script in entry_points(group="console_scripts") if script.dist}
    commands = {entry.name: entry.dist.name for entry in entry_points(group="connectra.commands") if entry.dist}
    for workload in workloads(folder):
        program, *arguments = workload.container["command"]
        inside = closure(f"connectra-{image(workload)}")
        assert scripts[program] in inside
        if program == "connectra":
            group, *command = arguments
            added = entry_points(group=f"connectra.commands.{group}")
            providers = {entry.name: entry.dist.name for entry in added if entry.dist}
            assert {commands[group], *(providers[name] for name in command)} <= inside


@pytest.mark.parametrize("folder", FOLDERS)
def test_deployments_are_spread_and_lose_one_pod_at_a_time(folder: str) -> None:
    budgets = of_kind(render(folder), "PodDisruptionBudget")
    for workload in workloads(folder, "Deployment"):
        spread = workload.pod["topologySpreadConstraints"]
        assert {one["topologyKey"] for one in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        assert all(selects(one["labelSelector"], workload.labels) for one in spread)
        assert all("app.kubernetes.io/name" in one["matchLabelKeys"] for one in spread)
        own = [budget for budget in budgets if selects(budget["spec"]["selector"], workload.labels)]
        assert [budget["spec"]["maxUnavailable"] for budget in own] == [1], workload.name


@pytest.mark.parametrize("folder", FOLDERS)
def test_deployments_are_probed_by_separate_health_names(folder: str) -> None:
    for workload in workloads(folder, "Deployment"):
        ports = {port["name"]: port["containerPort"] for port in workload.container["ports"]}
        probes = {name: workload.container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
        if workload.name == "gateway":
            # Not the public port, whose limits an outsider may reach, nor what another process answers: it must not restart gateways.
            paths = {name: (probe["httpGet"]["path"], probe["httpGet"]["port"]) for name, probe in probes.items()}
            ready, alive = ("/ready", "envoy-metrics"), ("/stats/prometheus", "envoy-metrics")
            assert paths == {"startup": ready, "liveness": alive, "readiness": ready}
            continue
        asked = {name: probe["grpc"] for name, probe in probes.items()}
        assert {probe["port"] for probe in asked.values()} == {ports["grpc"]}
        assert {name: probe["service"] for name, probe in asked.items()} == {
            "startup": "liveness",
            "liveness": "liveness",
            "readiness": "readiness",
        }


@pytest.mark.parametrize("folder", FOLDERS)
def test_only_one_party_decides_on_the_number_of_pods(folder: str) -> None:
    scalers = of_kind(render(folder), "HorizontalPodAutoscaler", "ScaledObject")
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
    deployments = {workload.name: workload for workload in workloads(folder, "Deployment")}

    assert len(targets) == len(set(targets))
    assert {name for name, workload in deployments.items() if "replicas" not in workload.object["spec"]} == set(targets)


def test_kube_score_finds_nothing_critical_in_production() -> None:
    folders = ("overlays/production/namespace", "overlays/production/migrate", "overlays/production")
    assert criticized("\n---\n".join(built(folder) for folder in folders), OLDEST) == []


# ---- settings


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    return cleared(monkeypatch, tmp_path)


def documented_secrets() -> dict[str, dict[str, str]]:
    """Secrets as docs/operations.md tells to create them, with a value for each key."""
    text = (ROOT / "docs/operations.md").read_text().replace("\\\n", " ")
    found = re.findall(r"create secret generic (\S+)(.*)", text)
    return {
        name: dict.fromkeys(re.findall(r"--from-(?:literal|file)=([\w.]+)", rest), "a-secret-value")
        for name, rest in found
    }


def environment(workload: Workload) -> dict[str, str]:
    """The environment of its container, apart from the image's own variables."""
    objects = render(workload.folder)
    maps = {item["metadata"]["name"]: item["data"] for item in of_kind(objects, "ConfigMap")}
    secrets = documented_secrets()
    found: dict[str, str] = {}
    for source in workload.container["envFrom"]:
        if reference := source.get("configMapRef"):
            found |= maps[reference["name"]]
        else:
            found |= secrets[source["secretRef"]["name"]]
    for variable in workload.container.get("env", []):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            found[variable["name"]] = secrets[reference["name"]][reference["key"]]
    return found


def image(workload: Workload) -> str:
    return str(workload.container["image"]).rpartition(":")[0].rpartition("/")[2]


def dockerfile(workload: Workload) -> str:
    name = image(workload)
    return (ROOT / (name if name == "gateway" else f"services/{name}") / "Dockerfile").read_text()


def known_variables() -> set[str]:
    groups = [group for process in CONFIGURATIONS.values() for group in settings.groups(process).values()]
    return {name for group in groups for field in group.model_fields.values() for name in settings.variables(field)}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_process_finds_all_settings_it_needs_and_no_unknown_one(
    overlay: str, clean_environment: pytest.MonkeyPatch
) -> None:
    for workload in (*workloads(f"overlays/{overlay}"), *workloads(f"overlays/{overlay}/migrate")):
        found = environment(workload)
        assert found.keys() <= known_variables()
        with clean_environment.context() as patch:
            for name, value in found.items():
                patch.setenv(name, value)
            read: Any = settings.load(CONFIGURATIONS[tuple(workload.container["command"])])

        ports = {port["name"]: port["containerPort"] for port in workload.container.get("ports", [])}
        if server := getattr(read, "server", None):
            assert port_of(server.listen) == ports["grpc"]
            assert port_of(server.metrics_listen) == ports["metrics"]
        if workload.name == "gateway":
            assert port_of(read.gateway.listen) == ports["http"]
            assert port_of(read.gateway.metrics_listen) == ports["envoy-metrics"]
            mounts = {mount["name"]: mount["mountPath"] for mount in workload.container["volumeMounts"]}
            assert read.gateway.keys_file == f"{mounts['keys']}/keys.json"
            # Not the mount itself: root owns it, and the gateway must restrict the folder's permissions.
            assert read.gateway.state_dir.startswith(f"{mounts['tmp']}/")
        if peers := getattr(read, "peers", None):
            goals = set(USES[workload.name]) & set(GRPC)
            assert {name: getattr(peers, name) for name in goals} == {name: f"{name}:{GRPC[name]}" for name in goals}
            if workload.name in WORKERS:
                goals = set(INTERNAL)
                wanted = {name: f"{name}:{INTERNAL[name]}" for name in goals}
                assert {name: getattr(peers, f"{name}_internal") for name in goals} == wanted


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_pod_has_the_time_to_drain(folder: str) -> None:
    own_end = connectra_gateway.launcher.STOP_SECONDS
    for workload in workloads(folder, "Deployment"):
        maps = {item["metadata"]["name"]: item["data"] for item in of_kind(render(folder), "ConfigMap")}
        given = [maps.get(s["configMapRef"]["name"], {}) for s in workload.container["envFrom"] if "configMapRef" in s]
        defaults = {
            "DRAIN_SECONDS": settings.ServerSettings.model_fields["drain_seconds"].default,
            "LAME_DUCK_SECONDS": 0,
        }
        ends = defaults | {name: float(one[name]) for one in given for name in defaults.keys() & one.keys()}
        wait = workload.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert workload.pod["terminationGracePeriodSeconds"] >= wait + sum(ends.values()) + own_end, workload.name


@pytest.mark.parametrize("folder", FOLDERS)
def test_secrets_are_named_and_never_held(folder: str) -> None:
    assert of_kind(render(folder), "Secret") == []
    for item in of_kind(render(folder), "ConfigMap"):
        assert [name for name in item["data"] if re.search(r"PASSWORD|SECRET|ACCESS_KEY|API_KEY|USERNAME", name)] == []
    for workload in workloads(folder):
        assert set(secret_names(workload)) <= documented_secrets().keys()


def secret_names(workload: Workload) -> Iterator[str]:
    yield from (source["secretRef"]["name"] for source in workload.container["envFrom"] if "secretRef" in source)
    yield from (volume["secret"]["secretName"] for volume in workload.pod["volumes"] if "secret" in volume)


# ---- network


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_reach_what_the_design_has_an_arrow_to_and_nothing_else(overlay: str) -> None:
    pods = {w.name: w.labels for part in ("", "/migrate") for w in workloads(f"overlays/{overlay}{part}")}
    policies = [
        item["spec"]
        for part in ("", "/migrate")
        for item in of_kind(render(f"overlays/{overlay}{part}"), "NetworkPolicy")
    ]
    stores = {port: name for name, port in STORES.items()}
    closed = {
        name
        for p in policies
        if "Ingress" in p["policyTypes"]
        for name in pods
        if selects(p["podSelector"], pods[name])
    }
    assert closed == pods.keys()

    leaving, arriving = set(), set()
    for policy in policies:
        ours = [name for name, labels in pods.items() if selects(policy["podSelector"], labels)]
        assert ours
        for rule in policy["egress"]:
            for name in ours:
                for port in (one["port"] for one in rule["ports"]):
                    # In the namespace, or a store that is outside.
                    goals = (
                        [stores[port]]
                        if all(is_outside(peer) for peer in rule["to"])
                        else [
                            goal
                            for goal in pods
                            if any(selects(peer["podSelector"], pods[goal]) for peer in rule["to"])
                        ]
                    )
                    leaving |= {(name, goal, port) for goal in goals}
        for rule in policy.get("ingress", []):
            for name in ours:
                sources = (
                    [
                        source
                        for source in pods
                        if any(selects(peer["podSelector"], pods[source]) for peer in rule["from"])
                    ]
                    if "from" in rule
                    else ["everywhere"]
                )
                arriving |= {(source, name, one["port"]) for source in sources for one in rule["ports"]}

    assert leaving == ARROWS
    assert arriving == {arrow for arrow in ARROWS if arrow[1] in pods} | {("everywhere", "gateway", 8000)}


def is_outside(peer: Object) -> bool:
    """Whether a peer is a named place outside of the namespace."""
    if "ipBlock" in peer:
        assert int(peer["ipBlock"]["cidr"].rpartition("/")[2]) >= 16
        return True
    return "namespaceSelector" in peer and bool(peer["namespaceSelector"]["matchLabels"])


def test_nothing_else_is_open_in_the_namespace() -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in of_kind(render("namespace"), "NetworkPolicy")}

    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert {port["port"] for rule in policies.pop("dns")["egress"] for port in rule["ports"]} == {53}
    assert [rule["ports"] for rule in policies.pop("metrics")["ingress"]] == [
        [{"port": "metrics"}, {"port": "envoy-metrics"}]
    ]
    assert policies == {}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_services_lead_to_the_pods_of_their_name(overlay: str) -> None:
    deployments = {w.name: w for w in workloads(f"overlays/{overlay}", "Deployment")}
    services = {item["metadata"]["name"]: item for item in of_kind(render(f"overlays/{overlay}"), "Service")}

    metrics = services.pop("gateway-metrics")
    assert metrics["spec"]["ports"] == [{"name": "envoy-metrics", "port": 9150}]
    assert metrics["spec"]["selector"] == services["gateway"]["spec"]["selector"]
    assert services.keys() == deployments.keys()
    for name, service in services.items():
        chosen = [other for other, w in deployments.items() if service["spec"]["selector"].items() <= w.labels.items()]
        assert chosen == [name]
        ports = {port["name"]: port["containerPort"] for port in deployments[name].container["ports"]}
        if name == "gateway":
            del ports["envoy-metrics"]
        assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == ports
        # gRPC calls share a connection, so only a client that sees every pod can balance them.
        assert (service["spec"].get("clusterIP") == "None") == (name != "gateway")


@pytest.mark.parametrize("service", ["query", "write", "jobs", "gateway"])
def test_a_team_can_apply_one_service_from_a_folder_of_its_own(service: str, tmp_path: Path) -> None:
    here = os.path.relpath(FOLDER, tmp_path)
    own = {
        "namespace": "search",
        "resources": [f"{here}/{service}"],
        "components": [f"{here}/overlays/production/settings"],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))

    rendered = [Workload(item, str(tmp_path)) for item in of_kind(render(str(tmp_path)), "Deployment")]
    assert rendered
    assert {workload.object["metadata"]["namespace"] for workload in rendered} == {"search"}
    assert all(environment(workload) for workload in rendered)


def test_prometheus_finds_every_service_with_metrics() -> None:
    (monitor,) = of_kind(render("overlays/production"), "ServiceMonitor")
    services = of_kind(render("overlays/production"), "Service")

    scraped = {endpoint["port"]: endpoint.get("path") for endpoint in monitor["spec"]["endpoints"]}
    assert scraped == {"metrics": None, "envoy-metrics": "/stats/prometheus"}
    with_metrics = {s["metadata"]["name"] for s in services if any(p["name"] in scraped for p in s["spec"]["ports"])}
    found = {s["metadata"]["name"] for s in services if selects(monitor["spec"]["selector"], s["metadata"]["labels"])}
    assert with_metrics == {"query", "write", "indexer", "jobs", "first-time", "retry", "gateway-metrics"}
    assert with_metrics <= found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_process_has_a_login_of_its_own_and_no_other(overlay: str) -> None:
    given = {
        workload.name: set(secret_names(workload))
        for part in ("", "/migrate")
        for workload in workloads(f"overlays/{overlay}{part}")
    }
    roles = {"first-time": "worker", "retry": "worker"}
    expected = {name: {f"postgres-{roles.get(name, name)}"} for name in given if "postgres" in USES[name]} | {
        "gateway": {"gateway"}
    }
    for name in ("query", "write", "indexer", "migrate"):
        expected[name].add(f"elasticsearch-{name}")
    for name in ("jobs", "first-time", "retry"):
        expected[name].add("s3")
    assert given == expected
    accounts = {workload.name: workload.pod["serviceAccountName"] for workload in workloads(f"overlays/{overlay}")}
    assert accounts == {name: {"first-time": "workers", "retry": "workers"}.get(name, name) for name in accounts}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_connections_of_all_pods_stay_within_the_documented_budget(overlay: str) -> None:
    folder = f"overlays/{overlay}"
    most = {
        scaler["spec"]["scaleTargetRef"]["name"]: scaler["spec"].get("maxReplicas") or scaler["spec"]["maxReplicaCount"]
        for scaler in of_kind(render(folder), "HorizontalPodAutoscaler", "ScaledObject")
    }
    text = (ROOT / "docs/operations.md").read_text()
    table = {
        cells[0]: [int(cell) for cell in cells[1:] if cell]
        for line in text[text.index(f"| {overlay} |") :].partition("\n\n")[0].splitlines()[2:]
        if (cells := [cell.strip() for cell in line.strip("|").split("|")])
    }
    total = table.pop("together")
    expected = {
        workload.name: [pods := most.get(workload.name) or workload.object["spec"]["replicas"], size, (pods + 1) * size]
        for workload in workloads(folder, "Deployment")
        if (size := int(environment(workload).get("PG_POOL_SIZE", 0)))
    }
    assert table == expected
    assert total == [sum(row[-1] for row in expected.values())]


def test_keda_asks_the_database_of_the_workers_and_one_pod_stays() -> None:
    objects = render("overlays/production")
    (login,) = of_kind(objects, "TriggerAuthentication")
    workers = {w.name: w for w in workloads("overlays/production", "Deployment")}

    for scaled in of_kind(objects, "ScaledObject"):
        worker = workers[scaled["spec"]["scaleTargetRef"]["name"]]
        assert {one["name"] for one in login["spec"]["env"]} <= environment(worker).keys()
        assert {one["containerName"] for one in login["spec"]["env"]} == {worker.container["name"]}
        assert {trigger["metadata"]["sslmode"] for trigger in scaled["spec"]["triggers"]} == {"verify-full"}
        assert scaled["spec"]["minReplicaCount"] == 1
    own = {(one["name"], one["key"]) for one in login["spec"]["secretTargetRef"]}
    assert own == {("postgres-keda", key) for key in documented_secrets()["postgres-keda"]}
    (pool,) = [s for s in of_kind(objects, "ScaledObject") if s["metadata"]["name"] == "first-time"]
    at_once = environment(workers["first-time"])["PARALLEL_JOBS"]
    assert [trigger["metadata"]["targetQueryValue"] for trigger in pool["spec"]["triggers"]] == [at_once]


# ---- components


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with production and all components that an installation may add."""
    folder = tmp_path_factory.mktemp("extended")
    here = os.path.relpath(FOLDER, folder)
    own = {
        "namespace": "connectra",
        "resources": [f"{here}/overlays/production"],
        "components": [f"{here}/components/{name}" for name in EXTRAS],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
    return str(folder)


def test_components_are_as_sound_as_production(extended: str) -> None:
    for item in render(extended):
        if item["kind"] not in CUSTOM:
            kubernetes_validate.validate(item, OLDEST, strict=True)
    assert criticized(built(extended), OLDEST) == []
    used = {file.parent.name for file in FOLDER.glob("components/*/kustomization.yaml")}
    assert used == {*EXTRAS, "keda", "monitoring", "process"}


def test_every_way_out_of_a_component_leads_to_a_named_place(extended: str) -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in of_kind(render(extended), "NetworkPolicy")}
    peers = [peer for policy in policies.values() for rule in policy["egress"] for peer in rule["to"]]
    assert all(is_outside(peer) or peer["podSelector"].get("matchLabels") for peer in peers)
    assert {"to-collector", "to-issuer", "to-rate-limit", "to-pgbouncer"} <= policies.keys()


def test_with_mtls_a_process_takes_calls_from_just_those_that_have_an_arrow_to_it(extended: str) -> None:
    certificates = {
        item["spec"]["secretName"]: item["spec"]["dnsNames"]
        for item in of_kind(render(extended), "Certificate")
        if not item["spec"].get("isCA")
    }
    callers: dict[tuple[str, str], set[str]] = {}
    for workload in workloads(extended, "Deployment"):
        given = {one["name"]: one["value"] for one in workload.container.get("env", []) if "value" in one}
        secrets = [volume["secret"]["secretName"] for volume in workload.pod["volumes"] if volume["name"] == "tls"]
        if "GRPC_TLS_CERT_FILE" not in given:
            continue
        assert certificates[secrets[0]] == [workload.name]
        for variable in ("GRPC_TLS_CALLERS", "GRPC_INTERNAL_CALLERS"):
            if variable in given:
                callers[workload.name, variable] = set(given[variable].split(","))
        if workload.name != "gateway":
            assert given["GRPC_TLS_CLIENT_AUTH"] == "true"
            for name in ("startup", "liveness", "readiness"):
                assert workload.container[f"{name}Probe"]["grpc"]["port"] == port_of(given["GRPC_HEALTH_LISTEN"])

    for (goal, variable), names in callers.items():
        port = GRPC[goal] if variable == "GRPC_TLS_CALLERS" else INTERNAL[goal]
        assert names == {source for source, to, at in ARROWS if to == goal and at == port}, (goal, variable)
    assert {goal for goal, _ in callers} == GRPC.keys()


def test_behind_pgbouncer_are_those_that_keep_nothing_in_a_session(extended: str) -> None:
    behind = {w.name for w in workloads(extended, "Deployment") if w.labels.get("uses-pgbouncer")}
    assert behind == {"query", "jobs"}
    for workload in workloads(extended, "Deployment"):
        direct = workload.labels.get("uses-postgres") == "true"
        assert direct == (workload.name not in (*behind, "gateway")), workload.name
    # Neither listens, nor holds an advisory lock or temporary table beyond a transaction.
    session = re.compile(r"\.session\(|\.listener\(|pg_(?:try_)?advisory_lock|\bTEMP")
    for folder in ("query/src/connectra_query", "jobs/src/connectra_jobs"):
        sources = {file for file in (ROOT / "services" / folder).rglob("*.py") if "worker" not in file.parts}
        assert [str(file) for file in sources if session.search(file.read_text())] == []
