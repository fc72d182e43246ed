"""The whole way, on real machines: what a user of a new cluster relies on.

The nodes run the stand-in OS, built from Debian packages with the real Ignition in its initramfs: what holds here of
the path from Butane to a Ready node was not tried on a Flatcar or Fedora CoreOS image.
"""

from __future__ import annotations

import base64
import ssl
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.end_to_end.running import Running, eventually, mounted

pytestmark = [pytest.mark.lab, pytest.mark.machine, pytest.mark.timeout(1800)]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}
      containers:
        - name: web
          image: firestorm.test/busybox:1
          command: [sh, -c]
          args: ["mkdir /tmp/w && hostname > /tmp/w/index.html && echo serving && exec httpd -f -p 8080 -h /tmp/w"]
          ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""

PRIVILEGED = """
apiVersion: v1
kind: Pod
metadata: {name: privileged, namespace: default}
spec:
  containers:
    - {name: c, image: "firestorm.test/busybox:1", securityContext: {privileged: true}}
"""


def test_nodes_are_ready_under_their_names(cluster: Running) -> None:
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert sorted(nodes) == [f"{cluster.name}-controller-0", f"{cluster.name}-worker-0"]
    for node in nodes.values():
        ready = {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"]
        assert ready == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.4"
    assert "node-role.kubernetes.io/control-plane" in nodes[f"{cluster.name}-controller-0"]["metadata"]["labels"]


def test_system_pods_run(cluster: Running) -> None:
    pods = [pod for space in ("kube-system", "kube-flannel") for pod in cluster.get("pods", "-n", space)["items"]]
    phases = {pod["metadata"]["name"]: pod["status"]["phase"] for pod in pods}
    assert len(phases) >= 9, phases
    assert set(phases.values()) == {"Running"}, phases


def test_second_up_changes_nothing(cluster: Running) -> None:
    cluster.development.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def test_pods_on_both_nodes_reach_each_other_through_a_service(cluster: Running) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=WEB)
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=170s")
    pods = {pod["spec"]["nodeName"]: pod["metadata"]["name"] for pod in cluster.get("pods", "-l", "app=web")["items"]}
    assert len(pods) == 2
    for node, pod in pods.items():
        [other] = [name for place, name in pods.items() if place != node]

        def answered(pod: str = pod, other: str = other) -> None:
            answers = cluster.kubectl(
                "exec", pod, "--", "sh", "-c", "for i in 1 2 3 4 5 6; do wget -qO- http://web; done"
            )
            assert other in answers.split()

        eventually(answered, seconds=90)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("web.default.svc.cluster.local", "service"), ("kubernetes.default.svc.cluster.local", "10.3.0.1")],
)
def test_names_resolve_in_pods(cluster: Running, name: str, expected: str) -> None:
    address = cluster.get("service", "web")["spec"]["clusterIP"] if expected == "service" else expected
    answer = cluster.kubectl("exec", "deployment/web", "--", "nslookup", "-type=a", name)
    assert address in answer


def test_logs_and_exec(cluster: Running) -> None:
    pods = cluster.get("pods", "-l", "app=web")["items"]
    for pod in pods:
        name = pod["metadata"]["name"]
        assert "serving" in cluster.kubectl("logs", name)
        assert cluster.kubectl("exec", name, "--", "hostname").strip() == name


def test_anonymous_requests_are_refused(cluster: Running) -> None:
    config = yaml.safe_load(cluster.development.kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = base64.b64decode(config["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{config['server']}/api/v1/namespaces", context=context, timeout=30)
    with caught.value as answer:
        assert answer.code == 401


def test_kubeconfig_is_its_owners_alone(cluster: Running) -> None:
    assert cluster.development.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_privileged_pod_is_refused_in_a_default_namespace(cluster: Running) -> None:
    message = cluster.kubectl("apply", "-f", "-", stdin=PRIVILEGED, check=False)
    assert 'violates PodSecurity "baseline:' in message
    assert "privileged" in message


def test_kubelet_serves_with_a_certificate_of_the_cluster(cluster: Running) -> None:
    """The API server verifies it (logs and exec would fail otherwise); here: it names its node and nobody else."""
    node = f"{cluster.name}-worker-0"
    answer = cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz")
    assert answer == "ok"


def test_changed_worker_snippet_replaces_that_worker_alone(cluster: Running, tmp_path: Path) -> None:
    before, worker = cluster.state(), f"{cluster.name}-worker-0"
    uuids = {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["systemUUID"] for node in cluster.get("nodes")["items"]
    }
    snippet = tmp_path / "motd.bu"
    snippet.write_text(
        "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n"
        "    - {path: /etc/motd.d/changed, mode: 0644, contents: {inline: changed}}\n"
    )
    development = cluster.development
    config = yaml.safe_load(development.stack_config.read_text())
    config["config"]["firestorm:workers"][0]["snippets"] = [str(snippet)]
    development.stack_config.write_text(yaml.safe_dump(config))

    development.up()

    after = cluster.state()
    replaced = {key for key in before.keys() & after.keys() if before[key].get("id") != after[key].get("id")}
    assert {key.rsplit("::", 1)[1] for key in replaced} == {
        f"{worker}-config",
        f"{worker}-ignition",
        f"{worker}-root",
        worker,
    }
    assert before.keys() == after.keys()
    now = {node["metadata"]["name"]: node["status"]["nodeInfo"]["systemUUID"] for node in cluster.get("nodes")["items"]}
    assert now.keys() == uuids.keys()
    assert {name for name in now if now[name] != uuids[name]} == {worker}
    assert cluster.kubectl("wait", f"node/{worker}", "--for=condition=Ready", "--timeout=60s")


SECRET = "a plain text that must not be on any disk"
OWNERS = {2000: "etcd", 2001: "kube-apiserver", 2002: "kube-controller-manager", 2003: "kube-scheduler"}


@pytest.fixture(scope="module")
def disks(cluster: Running) -> dict[str, Path]:
    """The nodes' disks, their machines powered off after a Secret was written. The last thing done to this cluster."""
    cluster.kubectl("create", "secret", "generic", "hidden", f"--from-literal=text={SECRET}")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=170s")
    for pod in cluster.get("pods", "-l", "app=web")["items"]:  # one on each node
        cluster.kubectl("exec", pod["metadata"]["name"], "--", "sync")
    found = {}
    for node in cluster.virsh("list", "--name"):
        [source] = [word for word in cluster.virsh("domblklist", node) if word.endswith(".qcow2")]
        cluster.virsh("destroy", node)
        [volume] = [
            path
            for path in Path("/var/lib/firestorm/clusters", cluster.name, "volumes").iterdir()
            if path.name == Path(source).name
        ]
        found[node] = volume
    return found


def test_private_keys_are_their_components_alone(cluster: Running, disks: dict[str, Path], tmp_path: Path) -> None:
    for node, disk in disks.items():
        with mounted(disk, tmp_path) as root:
            found = _key_files(root)
            names = {"controller": ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")}
            for component in names.get(node.rsplit("-", 2)[1], ("kubelet",)):
                assert any(component in str(path) for path in found), (node, component, found)
            for path, (uid, mode) in found.items():
                assert mode & 0o077 == 0, f"{node}: {path} has mode {mode:o}"
                owner = OWNERS.get(uid)
                if uid != 0:
                    assert owner is not None, f"{node}: {path} belongs to uid {uid}"
                    assert path.parts[:3] == ("etc", "kubernetes", owner), f"{node}: {path} belongs to {owner}"


def test_secrets_are_encrypted_in_etcd(cluster: Running, disks: dict[str, Path], tmp_path: Path) -> None:
    with mounted(disks[f"{cluster.name}-controller-0"], tmp_path) as root:
        stored = b"".join(path.read_bytes() for path in (root / "var/lib/etcd").rglob("*") if path.is_file())
    assert b"/registry/secrets/default/hidden" in stored
    assert b"k8s:enc:secretbox:v1:" in stored
    assert SECRET.encode() not in stored
    assert base64.b64encode(SECRET.encode()) not in stored


def _key_files(root: Path) -> dict[Path, tuple[int, int]]:
    """{path: (uid, mode)} of every file that holds a private key or the encryption key."""
    found = {}
    for folder in ("etc", "var", "opt", "root", "home", "srv", "tmp", "boot"):
        for path in (root / folder).rglob("*"):
            if path.is_symlink() or not path.is_file() or path.stat().st_size > 2**20:
                continue
            content = path.read_bytes()
            if b"PRIVATE KEY" in content or b"client-key-data" in content or b"secretbox:" in content:
                status = path.stat()
                found[path.relative_to(root)] = (status.st_uid, status.st_mode & 0o777)
    return found


def test_destroy_leaves_nothing(cluster: Running) -> None:
    home = Path("/var/lib/firestorm/clusters", cluster.name)
    assert home.exists()
    cluster.development.pulumi("destroy", "--yes", "--skip-preview")
    assert cluster.virsh("list", "--all", "--name") == []
    assert cluster.virsh("net-list", "--all", "--name") == []
    assert cluster.virsh("pool-list", "--all", "--name") == []
    assert not home.exists()
