"""Which parts of a state's secret values are secret: of real PKI bundles, node configs and manifests."""

from __future__ import annotations

import base64
import json

import pytest

from firestorm.evidence.secretvalues import needles

KEY = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgk3vJ8T1a7u2b9Q0x"
PEM = f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBdjCCAR2gAwIBAgIUO8x8m7cT0gZ0rWmV0\n-----END CERTIFICATE-----\n"


def data(text: str) -> str:
    return "data:;base64," + base64.b64encode(text.encode()).decode()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


KUBECONFIG = f"""\
apiVersion: v1
kind: Config
clusters:
  - name: dev
    cluster:
      server: https://api.dev.internal:6443
      certificate-authority-data: {b64(CERTIFICATE)}
users:
  - name: kube-controller-manager
    user:
      client-certificate-data: {b64(CERTIFICATE)}
      client-key-data: {b64(PEM)}
"""
CASES = [
    ("a password", "hunter2-is-long", {"hunter2-is-long"}),
    ("an unknown text, line by line", "first line\n\nsecond line\n", {"first line", "second line"}),
    ("a bootstrap token", "abcdef.0123456789abcdef", {"abcdef.0123456789abcdef", "0123456789abcdef"}),
    ("a kubeconfig", KUBECONFIG, {KEY, b64(PEM)}),
    (
        "a PKI bundle",
        json.dumps(
            {"leaves": {"a": {"certificate": CERTIFICATE, "key": PEM}}, "encryption_key": "c2VjcmV0LWtleS0wMTIz"}
        ),
        {KEY, b64(PEM), "c2VjcmV0LWtleS0wMTIz"},
    ),
    (
        "manifests",
        json.dumps(
            [
                {
                    "kind": "Secret",
                    "type": "bootstrap.kubernetes.io/token",
                    "stringData": {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage": "true"},
                },
                {"kind": "Secret", "data": {"p": b64("a password")}, "stringData": {"q": "another one"}},
                {"kind": "Deployment", "spec": {"tolerations": [{"key": "node-role.kubernetes.io/control-plane"}]}},
                {"kind": "Pod", "spec": {"automountServiceAccountToken": False, "x": "automountToken: false"}},
            ]
        ),
        {"0123456789abcdef", b64("a password"), "a password", "another one"},
    ),
    (
        "an Ignition config",
        json.dumps(
            {
                "ignition": {"version": "3.4.0"},
                "passwd": {"users": [{"name": "core", "passwordHash": "$y$j9T$salt$hash"}]},
                "storage": {
                    "files": [
                        {
                            "path": "/etc/kubernetes/kubelet/kubeconfig",
                            "mode": 0o400,
                            "contents": {"source": data(KUBECONFIG)},
                        },
                        {"path": "/etc/kubernetes/ca.crt", "mode": 0o644, "contents": {"source": data(CERTIFICATE)}},
                        {
                            "path": "/etc/team",
                            "mode": 0o600,
                            "contents": {"source": "data:,plain%20words%0Aof%20a%20user"},
                        },
                        {"path": "/etc/motd", "mode": 0o644, "contents": {"source": "data:,welcome%20to%20all"}},
                        {
                            "path": "/opt/bin/kubelet",
                            "mode": 0o755,
                            "contents": {"source": "https://dl.k8s.io/kubelet"},
                        },
                    ]
                },
                "systemd": {
                    "units": [{"name": "a.service", "contents": "[Service]\nExecStart=/opt/bin/kubelet --v=2\n"}]
                },
            }
        ),
        {KEY, b64(PEM), b64(KUBECONFIG), "plain words", "of a user", "$y$j9T$salt$hash"},
    ),
    ("too short, or a word", "abc", set()),
    ("a truth", "true", set()),
    ("nothing", "", set()),
    ("no JSON after all", "{broken json", {"{broken json"}),
]


@pytest.mark.parametrize(("value", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_needles(value: str, expected: set[str]) -> None:
    assert needles([value]) == expected
