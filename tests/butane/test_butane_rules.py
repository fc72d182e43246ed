"""A config for each message that two fields or more must meet for, or that generated configs seldom provoke."""

from __future__ import annotations

from pathlib import Path

import pytest

from firestorm_butane import translate
from tests.butane.agreement import difference
from tests.butane.references import Reference

FCOS = "variant: fcos\nversion: 1.7.0\n"
NEXT = "variant: fcos\nversion: 1.8.0-experimental\n"
FLATCAR = "variant: flatcar\nversion: 1.1.0\n"
R4E = "variant: r4e\nversion: 1.1.0\n"
HASH = "0" * 64


def openshift(minor: int) -> str:
    return (
        f"variant: openshift\nversion: 4.{minor}.0\n"
        "metadata: {name: x, labels: {machineconfiguration.openshift.io/role: worker}}\n"
    )


CASES: dict[str, str] = {
    "bad-arn": FLATCAR + "storage: {files: [{path: /a, contents: {source: 'arn:aws:ec2:::x/y'}}]}\n",
    "bad-guid": FLATCAR + "storage: {disks: [{device: /dev/a, partitions: [{number: 1, guid: x}]}]}\n",
    "bad-version-id": FLATCAR + "storage: {files: [{path: /a, contents: {source: 's3://b/k?versionId='}}]}\n",
    "btrfs-unsupported": openshift(14) + "storage: {filesystems: [{device: /dev/a, format: btrfs}]}\n",
    "cex-unsupported": "variant: flatcar\nversion: 1.2.0-experimental\n"
    "storage: {luks: [{name: a, device: /dev/a, cex: {enabled: true}}]}\n",
    "cex-with-key-file": FCOS + "storage:\n  luks:\n    - {name: a, device: /dev/a, cex: {enabled: true}, "
    "key_file: {inline: x}}\n",
    "clevis-bad-pin": "variant: fcos\nversion: 1.6.0\n"
    "storage: {luks: [{name: a, device: /dev/a, clevis: {custom: {pin: x, config: y}}}]}\n",
    "clevis-unsupported": FLATCAR + "storage: {luks: [{name: a, device: /dev/a, clevis: {tpm2: true}}]}\n",
    "file-compression-unsupported": openshift(8)
    + "storage: {files: [{path: /a, contents: {compression: gzip, source: 'data:,x'}}]}\n",
    "file-headers-unsupported": openshift(14)
    + "storage: {files: [{path: /a, contents: {source: 'data:,x', http_headers: [{name: a, value: b}]}}]}\n",
    "file-mode-unsupported": openshift(14) + "storage: {files: [{path: /a, mode: 04755}]}\n",
    "file-scheme-unsupported": openshift(14) + "storage: {files: [{path: /a, contents: {source: 'http://a'}}]}\n",
    "format-none-unsupported": openshift(14) + "storage: {filesystems: [{device: /dev/a, format: none}]}\n",
    "hard-link-to-directory": FCOS
    + "storage: {directories: [{path: /d}], links: [{path: /l, target: /d, hard: true}]}\n",
    "hash-size": FCOS + f"storage: {{files: [{{path: /a, contents: {{source: 'http://a', "
    f"verification: {{hash: sha512-{HASH}}}}}}}]}}\n",
    "implicit-wipe": FCOS
    + "storage: {disks: [{device: /dev/a, wipe_table: true}], filesystems: [{device: /dev/a, format: xfs}]}\n",
    "label-length": FCOS + "storage: {filesystems: [{device: /dev/a, format: xfs, label: longer-than-12}]}\n",
    "links-unsupported": openshift(14) + "storage: {links: [{path: /a, target: /b}]}\n",
    "luks-unsupported": R4E + "storage: {luks: [{name: a, device: /dev/a}]}\n",
    "mount-point-forbidden": FCOS
    + "storage: {filesystems: [{device: /dev/a, format: xfs, path: /srv, with_mount_unit: true}]}\n",
    "overwrite-no-source": FCOS + "storage: {files: [{path: /a, overwrite: true}]}\n",
    "partition-absent": FCOS
    + "storage: {disks: [{device: /dev/a, partitions: [{number: 1, should_exist: false, label: x}]}]}\n",
    "partition-overlap": FCOS + "storage:\n  disks:\n    - device: /dev/a\n      partitions:\n"
    "        - {number: 1, start_mib: 1, size_mib: 10}\n        - {number: 2, start_mib: 5, size_mib: 10}\n",
    "path-conflicts-unit": FLATCAR + "storage: {files: [{path: /etc/systemd/system/a.service}]}\n"
    "systemd: {units: [{name: a.service, contents: '[Unit]'}]}\n",
    "raid-spares": FCOS + "storage: {raid: [{name: a, level: raid0, devices: [/dev/a, /dev/b], spares: 1}]}\n",
    "template-no-install": FLATCAR
    + "systemd: {units: [{name: a@.service, contents: '[Unit]'}, {name: a@x.service, enabled: true}]}\n",
    "through-link": FLATCAR + "storage: {links: [{path: /a, target: /b}], files: [{path: /a/c}]}\n",
    "tree-file-type": FLATCAR + "storage: {trees: [{local: pipes}]}\n",
    "virtiofs-field": NEXT + "storage: {filesystems: [{device: tag, format: virtiofs, wipe_filesystem: true}]}\n",
    "virtiofs-label": NEXT + "storage: {filesystems: [{device: tag, format: virtiofs, label: x}]}\n",
    "virtiofs-no-tag": NEXT + "storage: {filesystems: [{format: virtiofs, path: /var/a}]}\n",
    "virtiofs-tag-length": NEXT + f"storage: {{filesystems: [{{device: {'x' * 37}, format: virtiofs}}]}}\n",
    # Not of one version.
    "no-variant": "version: 1.1.0\n",
    "bad-version": "variant: flatcar\nversion: one\n",
    "unknown-version": "variant: flatcar\nversion: 9.9.9\n",
    "rhcos-removed": "variant: rhcos\nversion: 0.1.0\n",
}


@pytest.mark.parametrize(("code", "text"), CASES.items(), ids=CASES)
def test_each_message_is_given_where_the_reference_gives_its_own(
    code: str, text: str, reference: Reference, files_dir: Path
) -> None:
    result = translate(text, files_dir=files_dir)
    assert code in {message.code for message in result.report}, str(result.report)
    differs = difference(result, reference.translate(text, files_dir=str(files_dir)))
    assert not differs, differs
