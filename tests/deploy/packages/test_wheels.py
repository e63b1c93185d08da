"""What pip is told; that a wheelhouse installs without an index is shown by the proof on hosts."""

import hashlib
import re

import pytest

from deploy.local.errors import SetupError
from deploy.packages.wheels import Target, own_requirement, those_for, with_wheel


def test_flags_for_other_hosts_name_every_tag_that_their_glibc_takes():
    flags = Target(machine="aarch64", python="3.13").flags
    assert flags[:2] == ["--only-binary=:all:", "--python-version=3.13"]
    tags = [flag.removeprefix("--platform=") for flag in flags[2:]]
    assert tags[0] == "manylinux_2_36_aarch64"
    assert tags[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]
    assert {"manylinux_2_28_aarch64", "manylinux_2_34_aarch64"} <= set(tags)


def test_a_host_like_this_one_needs_no_flags():
    assert Target().flags == []


def test_the_project_s_own_wheel_is_named_with_its_hash(tmp_path):
    wheel = tmp_path / "dewline-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    digest = hashlib.sha256(b"a wheel").hexdigest()
    assert own_requirement(wheel) == f"dewline==1.2.3 \\\n    --hash=sha256:{digest}\n"


MARKED = """\
# a comment
plain==1.0 \\
    --hash=sha256:aa
younger==2.0 ; python_full_version >= '3.12' \\
    --hash=sha256:bb \\
    --hash=sha256:bc
elder==1.9 ; python_full_version < '3.12' \\
    --hash=sha256:cc
for-arm==3.0 ; platform_machine == 'aarch64' and sys_platform == 'linux' \\
    --hash=sha256:dd
for-pypy==4.0 ; platform_python_implementation == 'PyPy' \\
    --hash=sha256:ee
"""


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (Target(machine="aarch64", python="3.11"), ["plain", "elder", "for-arm"]),
        (Target(machine="aarch64", python="3.13"), ["plain", "younger", "for-arm"]),
        (Target(machine="x86_64", python="3.12"), ["plain", "younger"]),
    ],
)
def test_the_hosts_markers_decide_and_not_this_machine_s(target, names):
    kept = those_for(target, MARKED)
    assert re.findall(r"^([a-z-]+)==", kept, re.MULTILINE) == names
    assert ";" not in kept
    hashes = re.findall(r"sha256:(..)", kept)
    assert hashes == [h for h in re.findall(r"sha256:(..)", MARKED) if h in hashes]
    assert ("bc" in hashes) is ("younger" in names)


LOCKED = """\
other-thing==1.0 \\
    --hash=sha256:aa
some-thing==2.0 ; python_version >= '3' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
"""


def test_a_wheel_built_here_is_taken_beside_what_was_locked(tmp_path):
    wheel = tmp_path / "some_thing-2.0-py3-none-any.whl"
    wheel.write_bytes(b"built")
    digest = hashlib.sha256(b"built").hexdigest()
    before, after = LOCKED.split("    --hash=sha256:bb", 1)
    wanted = f"{before}    --hash=sha256:{digest} \\\n    --hash=sha256:bb{after}"
    assert with_wheel(LOCKED, wheel) == wanted


def test_a_wheel_of_another_version_is_refused(tmp_path):
    wheel = tmp_path / "some_thing-2.1-py3-none-any.whl"
    wheel.write_bytes(b"built")
    with pytest.raises(SetupError, match="some_thing-2"):
        with_wheel(LOCKED, wheel)
