"""The control plane of one controller: its static pods and the files that each of them reads."""

from __future__ import annotations

from firestorm.pki import KeyPair, Pki
from firestorm.releases import Release
from firestorm.render import apiserver
from firestorm.render.files import (
    APISERVER,
    AUDIT_DIRECTORY,
    CONTROLLER_MANAGER,
    ETCD,
    ETCD_DATA_DIRECTORY,
    FLEX_VOLUME_DIRECTORY,
    MANIFESTS_DIRECTORY,
    SCHEDULER,
    WAITING_DIRECTORY,
    Component,
    NodeFile,
)
from firestorm.render.kubeconfig import component_kubeconfig
from firestorm.render.pods import Check, Mount, StaticPod
from firestorm.render.systems import SYSTEMS
from firestorm.render.text import TLS_CIPHERS, TLS_MINIMUM, Flag, flags, to_yaml
from firestorm.spec.model import ClusterSpec, Node

_KUBERNETES_TLS: dict[str, Flag] = {"tls-min-version": TLS_MINIMUM, "tls-cipher-suites": TLS_CIPHERS}


def control_plane_files(spec: ClusterSpec, node: Node, pki: Pki, release: Release) -> tuple[NodeFile, ...]:
    """Static pods, and every component's configuration, certificates and keys."""
    pods = (
        etcd_pod(spec, node, release),
        apiserver_pod(spec, node, release),
        controller_manager_pod(spec, node, release),
        scheduler_pod(spec, node, release),
    )
    return (
        *_etcd_files(node, pki),
        *_apiserver_files(node, pki),
        *_controller_manager_files(spec, node, pki),
        *_scheduler_files(spec, node, pki),
        *(
            NodeFile(
                path=f"{_directory(pod.component)}/{pod.component.name}.yaml",
                content=to_yaml(pod.manifest()),
                mode=0o600,
            )
            for pod in pods
        ),
    )


def etcd_pod(spec: ClusterSpec, node: Node, release: Release) -> StaticPod:
    """This controller's etcd member: https://etcd.io/docs/v3.6/op-guide/configuration/"""
    client, peer = f"https://{node.address}:2379", f"https://{node.address}:2380"
    members = [f"{member.name}=https://{member.address}:2380" for member in spec.controller_nodes]
    return StaticPod(
        component=ETCD,
        image=release.images.etcd,
        flags=flags(
            {
                "name": node.name,
                "data-dir": ETCD_DATA_DIRECTORY,
                "initial-cluster": members,
                "initial-cluster-token": spec.name,
                "initial-advertise-peer-urls": peer,
                "listen-peer-urls": peer,
                "listen-client-urls": client,
                "advertise-client-urls": client,
                # HTTP apart from gRPC: on one port, a busy watch can starve (etcd issue 15402).
                "listen-client-http-urls": "https://127.0.0.1:2382",
                "listen-metrics-urls": "http://127.0.0.1:2381",
                "cert-file": ETCD.path("server.crt"),
                "key-file": ETCD.path("server.key"),
                "trusted-ca-file": ETCD.path("ca.crt"),
                "client-cert-auth": True,
                "peer-cert-file": ETCD.path("peer.crt"),
                "peer-key-file": ETCD.path("peer.key"),
                "peer-trusted-ca-file": ETCD.path("ca.crt"),
                "peer-client-cert-auth": True,
                "tls-min-version": "TLS1.2",
                "cipher-suites": TLS_CIPHERS,
                # The REST gateway would dial this very server with its serving certificate as the client's.
                "enable-grpc-gateway": False,
                "feature-gates": "InitialCorruptCheck=true",
                # As often as the API server sends bookmarks, which is all that depends on it: consistent reads ask for
                # progress by themselves. Every 5 s, as kubeadm has it, costs both two thirds more at rest.
                "watch-progress-notify-interval": "1m",
            }
        ),
        check=Check(scheme="HTTP", port=2381, alive="/livez", ready="/readyz"),
        cpu="100m",
        memory="100Mi",
        mounts=(Mount(name="data", path=ETCD_DATA_DIRECTORY, read_only=False),),
        selinux=SYSTEMS[node.pool.os.name].selinux,
    )


def apiserver_pod(spec: ClusterSpec, node: Node, release: Release) -> StaticPod:
    """https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/"""
    path = APISERVER.path
    return StaticPod(
        component=APISERVER,
        image=release.images.apiserver,
        flags=flags(
            {
                "advertise-address": str(node.address),
                "secure-port": 6443,
                "tls-cert-file": path("server.crt"),
                "tls-private-key-file": path("server.key"),
                **_KUBERNETES_TLS,
                # Its own member only: another controller's coming or going leaves this one as it is.
                "etcd-servers": f"https://{node.address}:2379",
                "etcd-cafile": path("etcd-ca.crt"),
                "etcd-certfile": path("etcd-client.crt"),
                "etcd-keyfile": path("etcd-client.key"),
                "encryption-provider-config": path("encryption.yaml"),
                "encryption-provider-config-automatic-reload": True,
                "client-ca-file": path("ca.crt"),
                "authentication-config": path("authentication.yaml"),
                "enable-bootstrap-token-auth": True,
                "authorization-mode": ("Node", "RBAC"),
                "enable-admission-plugins": ("NodeRestriction", "DenyServiceExternalIPs"),
                "admission-control-config-file": path("admission.yaml"),
                "audit-policy-file": path("audit-policy.yaml"),
                "audit-log-path": f"{AUDIT_DIRECTORY}/audit.log",
                "audit-log-maxage": 30,
                "audit-log-maxbackup": 10,
                "audit-log-maxsize": 100,
                "kubelet-certificate-authority": path("ca.crt"),
                "kubelet-client-certificate": path("kubelet-client.crt"),
                "kubelet-client-key": path("kubelet-client.key"),
                "kubelet-preferred-address-types": ("InternalIP", "Hostname"),
                "requestheader-client-ca-file": path("front-proxy-ca.crt"),
                "requestheader-allowed-names": "front-proxy-client",
                "requestheader-username-headers": "X-Remote-User",
                "requestheader-group-headers": "X-Remote-Group",
                "requestheader-extra-headers-prefix": "X-Remote-Extra-",
                "proxy-client-cert-file": path("front-proxy-client.crt"),
                "proxy-client-key-file": path("front-proxy-client.key"),
                "service-account-issuer": f"https://kubernetes.default.svc.{spec.network.domain}",
                "service-account-jwks-uri": f"https://{spec.api_endpoint}/openid/v1/jwks",
                "service-account-key-file": path("service-account.pub"),
                "service-account-signing-key-file": path("service-account.key"),
                "service-cluster-ip-range": str(spec.network.services),
                "allow-privileged": True,
                "profiling": False,
            }
        ),
        check=Check(scheme="HTTPS", port=6443, alive="/livez", ready="/readyz"),
        cpu="150m",
        memory="300Mi",
        mounts=(Mount(name="audit", path=AUDIT_DIRECTORY, read_only=False),),
        # The binary in the official image carries this as a file capability: without it in the bounding set, the
        # kernel refuses to execute it (capabilities(7), "Safety checking for capability-dumb binaries").
        capabilities=("NET_BIND_SERVICE",),
        selinux=SYSTEMS[node.pool.os.name].selinux,
    )


def controller_manager_pod(spec: ClusterSpec, node: Node, release: Release) -> StaticPod:
    """https://kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager/"""
    path = CONTROLLER_MANAGER.path
    return StaticPod(
        component=CONTROLLER_MANAGER,
        image=release.images.controller_manager,
        flags=flags(
            {
                **_loopback_server(spec, CONTROLLER_MANAGER),
                "cluster-name": spec.name,
                "cluster-cidr": str(spec.network.pods),
                "allocate-node-cidrs": True,
                "service-cluster-ip-range": str(spec.network.services),
                "controllers": ("*", "tokencleaner"),
                # Of the signers that Kubernetes has built in, the one that kubelets ask is the only one that runs.
                "cluster-signing-kubelet-client-cert-file": path("ca.crt"),
                "cluster-signing-kubelet-client-key-file": path("ca.key"),
                "cluster-signing-duration": "2160h",
                "root-ca-file": path("ca.crt"),
                "service-account-private-key-file": path("service-account.key"),
                "use-service-account-credentials": True,
                # Nobody's plugins; unless the directory is there, every start tries in vain to make it.
                "flex-volume-plugin-dir": FLEX_VOLUME_DIRECTORY,
                "terminated-pod-gc-threshold": 1000,
            }
        ),
        check=Check(scheme="HTTPS", port=10257, alive="/healthz", ready="/healthz"),
        cpu="100m",
        memory="80Mi",
        selinux=SYSTEMS[node.pool.os.name].selinux,
    )


def scheduler_pod(spec: ClusterSpec, node: Node, release: Release) -> StaticPod:
    """https://kubernetes.io/docs/reference/command-line-tools-reference/kube-scheduler/"""
    return StaticPod(
        component=SCHEDULER,
        image=release.images.scheduler,
        flags=flags(_loopback_server(spec, SCHEDULER)),
        check=Check(scheme="HTTPS", port=10259, alive="/livez", ready="/readyz"),
        cpu="50m",
        memory="50Mi",
        selinux=SYSTEMS[node.pool.os.name].selinux,
    )


def _directory(component: Component) -> str:
    """Where a component's manifest lies when the machine boots."""
    return WAITING_DIRECTORY if component in (CONTROLLER_MANAGER, SCHEDULER) else MANIFESTS_DIRECTORY


def _loopback_server(spec: ClusterSpec, component: Component) -> dict[str, Flag]:
    """What controller-manager and scheduler have in common: a kubeconfig, one leader, metrics on loopback only.

    A lone controller elects no leader: a lease that is renewed late on a busy machine would only end the component.
    """
    kubeconfig = component.path("kubeconfig")
    return {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "client-ca-file": component.path("ca.crt"),
        "requestheader-client-ca-file": component.path("front-proxy-ca.crt"),
        "requestheader-allowed-names": "front-proxy-client",
        "bind-address": "127.0.0.1",
        # Without one, each makes an RSA key at every start, which takes seconds on an emulated processor.
        "tls-cert-file": component.path("server.crt"),
        "tls-private-key-file": component.path("server.key"),
        **_KUBERNETES_TLS,
        "leader-elect": spec.controllers.count > 1,
        "profiling": False,
    }


def _etcd_files(node: Node, pki: Pki) -> tuple[NodeFile, ...]:
    return (
        ETCD.file("ca.crt", pki.authority("etcd").certificate),
        *_pair(ETCD, "server", pki.leaf("etcd-server", node.name)),
        *_pair(ETCD, "peer", pki.leaf("etcd-peer", node.name)),
    )


def _apiserver_files(node: Node, pki: Pki) -> tuple[NodeFile, ...]:
    return (
        APISERVER.file("ca.crt", pki.authority("kubernetes").certificate),
        APISERVER.file("etcd-ca.crt", pki.authority("etcd").certificate),
        APISERVER.file("front-proxy-ca.crt", pki.authority("front-proxy").certificate),
        *_pair(APISERVER, "server", pki.leaf("apiserver", node.name)),
        *_pair(APISERVER, "etcd-client", pki.leaf("apiserver-etcd-client", node.name)),
        *_pair(APISERVER, "kubelet-client", pki.leaf("apiserver-kubelet-client", node.name)),
        *_pair(APISERVER, "front-proxy-client", pki.leaf("front-proxy-client", node.name)),
        APISERVER.file("service-account.pub", pki.service_account.certificate),
        APISERVER.file("service-account.key", pki.service_account.key),
        APISERVER.file("encryption.yaml", apiserver.encryption_config(pki)),
        APISERVER.file("authentication.yaml", apiserver.authentication_config()),
        APISERVER.file("admission.yaml", apiserver.admission_config()),
        APISERVER.file("audit-policy.yaml", apiserver.audit_policy()),
    )


def _controller_manager_files(spec: ClusterSpec, node: Node, pki: Pki) -> tuple[NodeFile, ...]:
    user = "system:kube-controller-manager"
    return (
        *_pair(CONTROLLER_MANAGER, "ca", pki.authority("kubernetes")),
        CONTROLLER_MANAGER.file("front-proxy-ca.crt", pki.authority("front-proxy").certificate),
        *_pair(CONTROLLER_MANAGER, "server", pki.leaf("controller-manager-server", node.name)),
        CONTROLLER_MANAGER.file("service-account.key", pki.service_account.key),
        CONTROLLER_MANAGER.file("kubeconfig", component_kubeconfig(spec, node, pki, user, "controller-manager")),
    )


def _scheduler_files(spec: ClusterSpec, node: Node, pki: Pki) -> tuple[NodeFile, ...]:
    return (
        SCHEDULER.file("ca.crt", pki.authority("kubernetes").certificate),
        SCHEDULER.file("front-proxy-ca.crt", pki.authority("front-proxy").certificate),
        *_pair(SCHEDULER, "server", pki.leaf("scheduler-server", node.name)),
        SCHEDULER.file("kubeconfig", component_kubeconfig(spec, node, pki, "system:kube-scheduler", "scheduler")),
    )


def _pair(component: Component, name: str, pair: KeyPair) -> tuple[NodeFile, NodeFile]:
    return component.file(f"{name}.crt", pair.certificate), component.file(f"{name}.key", pair.key)
