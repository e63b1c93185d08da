"""The package for the proof on hosts is laid out as the vendor's; there it is installed."""

import subprocess

import pytest

from deploy.local.elasticsearch_package import make_elasticsearch_package

WANTED = {
    "./etc/elasticsearch/elasticsearch.yml",
    "./etc/elasticsearch/jvm.options.d/",
    "./lib/systemd/system/elasticsearch.service",
    "./usr/share/elasticsearch/bin/elasticsearch-users",
    "./usr/share/elasticsearch/modules/x-pack-security/",
}


def asked(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.services
def test_folders_unit_and_programs_are_where_the_vendor_has_them(tmp_path):
    package = make_elasticsearch_package(tmp_path)
    lines = [line.split() for line in asked("dpkg-deb", "--contents", str(package)).splitlines()]
    assert {line[5] for line in lines} >= WANTED
    assert {line[1] for line in lines} == {"root/root"}
    programs = [line for line in lines if line[5].startswith("./usr/share/elasticsearch/bin/e")]
    assert all(line[0] == "-rwxr-xr-x" for line in programs)
    name, version = asked("dpkg-deb", "--show", str(package)).split()
    assert name == "elasticsearch"
    assert version in package.name
    assert [path.name for path in tmp_path.iterdir()] == [package.name]
