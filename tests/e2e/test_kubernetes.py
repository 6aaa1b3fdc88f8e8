"""deploy/kubernetes/: every manifest fits the API of Kubernetes, strictly, and they fit one another and the image.

The schemas are those of Kubernetes itself, as the package kubernetes-validate ships them. A field that the API does not
know is refused: the cluster would drop it, and what it was for with it.
"""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from regista.cli.app import build
from regista.settings import load

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OLDEST, NEWEST = "1.30", "1.35"
"""The releases of Kubernetes whose API is looked at."""
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
Manifest = dict[str, Any]


def manifests() -> dict[str, Manifest]:
    """Every document of the folder, by file and kind."""
    return {
        f"{path.name} {document['kind']}": document
        for path in sorted(FOLDER.iterdir())
        for document in yaml.safe_load_all(path.read_text())
    }


ALL = manifests()
DEPLOYMENTS = {found["metadata"]["name"]: found for found in ALL.values() if found["kind"] == "Deployment"}


def pod(deployment: Manifest) -> Manifest:
    found: Manifest = deployment["spec"]["template"]["spec"]
    return found


def of_kind(kind: str) -> list[Manifest]:
    return [found for found in ALL.values() if found["kind"] == kind]


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", sorted(ALL))
def test_every_manifest_fits_the_api(name: str, release: str) -> None:
    kubernetes_validate.validate(ALL[name], release, strict=True)


@pytest.mark.parametrize("release", [OLDEST, NEWEST])
@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("spec", "replica"), 2),
        (("spec", "replicas"), "two"),
        (("spec", "template", "spec", "securityContext", "runAsNonroot"), True),
        (("spec", "template", "spec", "containers", 0, "readinessProbe", "httpGet", "url"), "/readyz"),
        (("spec", "template", "spec", "containers", 0, "resources", "limit"), {}),
    ],
)
def test_what_the_api_does_not_know_is_refused(path: tuple[str | int, ...], wrong: object, release: str) -> None:
    broken = deepcopy(DEPLOYMENTS["regista-api"])
    place: Any = broken
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, release, strict=True)


def test_there_is_a_deployment_for_every_process_and_two_of_each_survive_a_node() -> None:
    commands = {name: pod(found)["containers"][0]["args"] for name, found in DEPLOYMENTS.items()}
    assert commands == {
        "regista-api": ["serve"],
        "regista-relay": ["relay"],
        "regista-projector": ["project"],
        "regista-deployer": ["deploy"],
        "regista-notifier": ["notify"],
    }
    assert [name for name, found in DEPLOYMENTS.items() if found["spec"]["replicas"] < 2] == []
    budgets = [found["spec"]["selector"]["matchLabels"] for found in of_kind("PodDisruptionBudget")]
    assert sorted(map(str, budgets)) == sorted(
        str(found["spec"]["selector"]["matchLabels"]) for found in DEPLOYMENTS.values()
    )


@pytest.mark.parametrize("command", [pod(found)["containers"][0]["args"][0] for found in DEPLOYMENTS.values()])
def test_the_commands_of_the_manifests_exist(command: str) -> None:
    assert CliRunner().invoke(build(), [command, "--help"]).exit_code == 0


def test_the_image_is_that_of_this_release() -> None:
    assert {pod(found)["containers"][0]["image"] for found in DEPLOYMENTS.values()} == {f"regista:{VERSION}"}


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_selectors_find_their_pods_and_references_what_they_name(name: str) -> None:
    deployment = DEPLOYMENTS[name]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    sources = [next(iter(source.values()))["name"] for source in pod(deployment)["containers"][0]["envFrom"]]
    assert sources == [of_kind("ConfigMap")[0]["metadata"]["name"], of_kind("Secret")[0]["metadata"]["name"]]
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod(deployment)["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert claims == ([of_kind("PersistentVolumeClaim")[0]["metadata"]["name"]] if name == "regista-api" else [])
    mounted = {mount["name"] for mount in pod(deployment)["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod(deployment)["volumes"]}


def test_the_service_finds_the_api_alone() -> None:
    (service,) = of_kind("Service")
    selected = [
        name
        for name, found in DEPLOYMENTS.items()
        if service["spec"]["selector"].items() <= found["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert selected == ["regista-api"]
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= {
        port["name"] for port in pod(DEPLOYMENTS["regista-api"])["containers"][0]["ports"]
    }


@pytest.mark.parametrize("name", sorted(DEPLOYMENTS))
def test_pods_meet_the_restricted_standard(name: str) -> None:
    found = pod(DEPLOYMENTS[name])
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    user = re.search(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user is not None
    assert (found["securityContext"]["runAsUser"], found["securityContext"]["runAsGroup"]) == tuple(
        map(int, user.groups())
    )
    assert found["automountServiceAccountToken"] is False
    # A service called regista would set REGISTA_PORT to an address.
    assert found["enableServiceLinks"] is False
    (container,) = found["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container["resources"]["limits"].keys() == {"memory"}
    probes = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


def test_the_config_is_made_of_settings_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = of_kind("ConfigMap")
    (secret,) = of_kind("Secret")
    variables = config["data"] | secret["stringData"] | {"REGISTA_TOKEN": "a-token-of-this-test"}
    for name, value in variables.items():
        assert isinstance(value, str)
        monkeypatch.setenv(name, value)
    settings = load()
    assert {name.removeprefix("REGISTA_").lower() for name in variables} <= settings.model_fields_set
    container_port = pod(DEPLOYMENTS["regista-api"])["containers"][0]["ports"][0]["containerPort"]
    assert (settings.host, settings.port) == ("0.0.0.0", container_port)  # noqa: S104 - in a pod of its own


def test_nothing_names_a_namespace() -> None:
    assert [name for name, found in ALL.items() if "namespace" in found["metadata"]] == []


def test_the_secret_is_not_applied_with_the_folder() -> None:
    applied = [path.name for path in FOLDER.iterdir() if path.suffix in {".yaml", ".yml", ".json"}]
    assert [name for name in applied if "kind: Secret" in (FOLDER / name).read_text()] == []
    assert (FOLDER / "secret.yaml.example").exists()
