"""Pulumi configurations: keys whose values are strings, JSON or objects."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from firestorm.errors import SpecError
from firestorm.spec import from_config, parse

EXPECTED = parse(
    {
        "name": "dev",
        "kubernetes": {"version": "1.35.8"},
        "workers": [{"name": "a", "count": 2, "memory": "4GiB"}],
        "mirrors": {"registry.k8s.io": "http://mirror.test"},
        "pki_generation": 2,
        "ready_timeout": "10m",
    }
)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(
            {
                "name": "dev",
                "kubernetes": {"version": "1.35.8"},
                "workers": [{"name": "a", "count": 2, "memory": "4GiB"}],
                "mirrors": {"registry.k8s.io": "http://mirror.test"},
                "pki_generation": 2,
                "ready_timeout": "10m",
            },
            id="objects",
        ),
        pytest.param(
            {
                "name": "dev",
                "kubernetes": '{"version": "1.35.8"}',
                "workers": '[{"name": "a", "count": 2, "memory": "4GiB"}]',
                "mirrors": '{"registry.k8s.io": "http://mirror.test"}',
                "pki_generation": "2",
                "ready_timeout": "600",
            },
            id="strings",
        ),
        pytest.param(
            {
                "firestorm:name": "dev",
                "firestorm:kubernetes": '{"version": "1.35.8"}',
                "firestorm:workers": '[{"name": "a", "count": 2, "memory": "4GiB"}]',
                "firestorm:mirrors": '{"registry.k8s.io": "http://mirror.test"}',
                "firestorm:pki_generation": "2",
                "firestorm:ready_timeout": "10m",
            },
            id="namespaced",
        ),
    ],
)
def test_every_form_gives_the_same(config: Mapping[str, object]) -> None:
    assert from_config(config) == EXPECTED


def test_problems_name_the_config() -> None:
    with pytest.raises(SpecError) as caught:
        from_config({"name": "dev", "workers": "[{]", "controllers": '{"cpus": 1}', "pki_generation": "many"})
    assert str(caught.value).splitlines() == [
        "Pulumi config: workers: is not JSON: Expecting property name enclosed in double quotes: line 1 column 3 "
        "(char 2); set it as an object with pulumi config set --path, or as JSON",
        "Pulumi config: controllers.cpus: is 1; give at least 2: a control plane needs it",
        'Pulumi config: pki_generation: must be a whole number, not the text "many"',
    ]
