"""What pip is told; that a wheelhouse installs without an index is shown by the proof on hosts."""

import hashlib

from deploy.packages.wheels import Target, own_requirement


def test_flags_for_other_hosts_ask_for_wheels_alone():
    flags = Target(platforms=("manylinux_2_28_aarch64", "any"), python="3.13").flags
    assert flags[0] == "--only-binary=:all:"
    assert flags[1:] == [
        "--python-version=3.13",
        "--platform=manylinux_2_28_aarch64",
        "--platform=any",
    ]


def test_a_host_like_this_one_needs_no_flags():
    assert Target().flags == []


def test_the_project_s_own_wheel_is_named_with_its_hash(tmp_path):
    wheel = tmp_path / "dewline-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    digest = hashlib.sha256(b"a wheel").hexdigest()
    assert own_requirement(wheel) == f"dewline==1.2.3 \\\n    --hash=sha256:{digest}\n"
