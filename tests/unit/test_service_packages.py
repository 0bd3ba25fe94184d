"""Which packages of a virtual environment go along with the program."""
import os
import re
import shutil
import subprocess
import sys

import pytest

from edge.service import packages, places

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def install(folder, name, version, needs=(), files=("__init__.py",)):
    module = name.lower().replace("-", "_")
    info = folder / "{}-{}.dist-info".format(module, version)
    info.mkdir(parents=True)
    names = ["{}/{}".format(module, file) for file in files]
    for file in names:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(name)
    lines = ["Metadata-Version: 2.1", "Name: " + name, "Version: " + version]
    lines += ["Requires-Dist: " + need for need in needs]
    (info / "METADATA").write_text("\n".join(lines) + "\n\nText\nRequires-Dist: nothing\n")
    record = names + ["../../../bin/" + module, module + "/__pycache__/__init__.pyc", module + "/gone.py"]
    (info / "RECORD").write_text("".join('"{}",sha256=x,1\n'.format(file) for file in record))


def test_what_is_needed_at_run_time_is_taken_with_what_it_needs(tmp_path):
    install(tmp_path, "PyYAML", "6.0.1")
    install(tmp_path, "onnxruntime", "1.10.0", ["numpy (>=1.16)", "Flat.Buffers; extra == 'x'", "absent"])
    install(tmp_path, "flat-buffers", "2.0", files=("__init__.py", "deep/table.py"))
    install(tmp_path, "numpy", "1.19.5")
    install(tmp_path, "pytest", "7.0.1", ["numpy"])
    found = packages.needed([str(tmp_path)])
    assert [(package.name, package.version) for package in found] == [
        ("flat-buffers", "2.0"), ("numpy", "1.19.5"), ("onnxruntime", "1.10.0"), ("pyyaml", "6.0.1")]
    assert found[0].files == ("flat_buffers/__init__.py", "flat_buffers/deep/table.py")


def test_what_reads_films_and_pictures_is_taken_and_no_installer(tmp_path):
    install(tmp_path, "Pillow", "8.4.0")
    install(tmp_path, "imageio-ffmpeg", "0.5.1", ["setuptools"], files=("__init__.py", "binaries/ffmpeg-linux"))
    install(tmp_path, "setuptools", "59.6.0")
    found = packages.needed([str(tmp_path)])
    assert [package.name for package in found] == ["imageio-ffmpeg", "pillow"]
    assert "imageio_ffmpeg/binaries/ffmpeg-linux" in found[0].files


def test_every_package_of_the_distribution_is_taken():
    """A service whose program lacks one fails where `nanoface run` does not."""
    with open(os.path.join(ROOT, "setup.py"), encoding="utf-8") as f:
        required = f.read().partition("install_requires=[")[2].partition("]")[0]
    names = {name.lower() for name in re.findall(r'^ *"([A-Za-z][\w-]*)', required, re.MULTILINE)}
    assert len(names) > 4 and names <= set(packages.WANTED)


def test_one_that_was_installed_without_a_wheel_is_taken_too(tmp_path):
    """As pip 21.3.1 for Python 3.6 does with paho-mqtt and idna-ssl, where the package wheel is not there."""
    install(tmp_path, "idna", "3.10")
    egg = tmp_path / "paho_mqtt-1.6.1-py3.6.egg-info"
    (tmp_path / "paho" / "mqtt").mkdir(parents=True)
    egg.mkdir()
    for name, text in {"paho/mqtt/client.py": "", egg.name + "/PKG-INFO": "Name: paho-mqtt\nVersion: 1.6.1\n\nName: x\n",
                       egg.name + "/requires.txt": "idna>=2.0\n\n[proxy]\nPySocks\n", egg.name + "/installed-files.txt":
                       "../paho/mqtt/client.py\n../paho/__pycache__/x.pyc\n../../../../bin/x\nPKG-INFO\n"}.items():
        (tmp_path / name).write_text(text)
    idna, paho = packages.needed([str(tmp_path)])
    assert idna.name == "idna" and (paho.name, paho.version, paho.needs) == ("paho-mqtt", "1.6.1", ("idna", "pysocks"))
    assert paho.files == ("paho/mqtt/client.py", egg.name + "/PKG-INFO")


def test_two_packages_that_need_each_other_end(tmp_path):
    install(tmp_path, "numpy", "1", ["openvino"])
    install(tmp_path, "openvino", "1", ["numpy"])
    assert len(packages.needed([str(tmp_path), str(tmp_path)])) == 2


def test_the_environment_of_these_tests_can_be_read_and_has_what_live_outputs_need():
    found = packages.of_this_environment()
    assert all(package.version and package.files for package in found)
    wanted = {"python-osc", "paho-mqtt", "aiohttp", "yarl"} | ({"idna-ssl"} if sys.version_info < (3, 7) else set())
    assert not found or wanted <= {package.name for package in found}


def test_the_distribution_has_no_package_of_debians_name_and_brings_the_units_as_data():
    pytest.importorskip("setuptools")
    asked = "import distutils.core as d; s = d.run_setup('setup.py', stop_after='init'); print(s.packages, s.data_files)"
    told = subprocess.check_output([sys.executable, "-W", "ignore", "-c", "import setuptools; " + asked], cwd=ROOT)
    found = told.decode()
    assert "'edge.service'" in found and "'systemd'" not in found
    for file in places.SHIPPED:
        assert "'systemd/{}'".format(file) in found


def test_what_python_left_in_a_checkout_of_before_is_no_data(tmp_path):
    """A folder there ends the installation."""
    pytest.importorskip("setuptools")
    for name in ("setup.py", "README.md", "edge/__init__.py", "systemd/nanoface.service"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(os.path.join(ROOT, name), str(tmp_path / name))
    (tmp_path / "systemd" / "__pycache__").mkdir()
    words = [sys.executable, "-W", "ignore", "setup.py", "install_data"]
    assert subprocess.call(words + ["--install-dir", str(tmp_path / "made")], cwd=str(tmp_path)) == 0
    assert os.listdir(str(tmp_path / "made" / "share" / "nanoface")) == ["nanoface.service"]


def test_an_installed_program_finds_its_units_beside_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "__file__", str(tmp_path / "site-packages/edge/service/places.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert places.shipped_folder() == str(tmp_path / places.SHARE)
