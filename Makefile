# make run     set up, fetch and convert the networks, track the built-in demo, show what each stage cost
# make test    set up and run every test, on the twins of the board's Python too where a CPython 3.6 is found
# make lint    ruff, mypy, vermin
# make bench   the tracker in several forms beside MediaPipe's FaceMesh, in one run
# make bench-growth  how the cost grows with faces, size, outputs and threads, beside it: a table, and docs/cost.svg
# make rehearse  what a Jetson Nano would do: the real program on a simulator, with estimated engine times
# make fuzz    20000 wrong inputs of every kind, each in a process of its own: some minutes; COUNT=, SEED= for others
# make fuzz-ports  20000 hostile datagrams and messages to every port that listens; COUNT=1000000 takes two minutes
# make soak    200000 frames through the real stages with random faults, and 50 kills: some minutes
# make receivers  eight live outputs, with peers that are dead, deaf, fickle and hostile: a quarter of an hour; MINUTES=, SOURCE=
# make clean   remove what the above made
# TEST_JOBS=N: how many parts of the tests run at once, where it is not one and a half for each core
# PYTHON=/path/to/python chooses the interpreter; its virtual environment stands beside the others.

# On a Jetson pip would put a numpy into .venv that hides JetPack's. BOARD_ROOT: look for /etc and /proc below it; for tests
ON_BOARD := $(wildcard $(BOARD_ROOT)/etc/nv_tegra_release)$(shell \
	grep -s -o -m 1 -a nvidia,tegra $(BOARD_ROOT)/proc/device-tree/compatible; uname -r | grep -e -tegra$$)
ifneq ($(and $(ON_BOARD),$(filter-out clean,$(or $(MAKECMDGOALS),run))),)
$(error this is a Jetson, whose numpy, OpenCV and TensorRT come with JetPack: run `sh setup.sh`, and read docs/jetson-nano.md)
endif

PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check

VERSION := $(shell $(PYTHON) -c 'import sys; print("%d%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error $(PYTHON) does not run: name a Python 3.6 or later with PYTHON=/path/to/python)
endif
DEFAULT := $(shell python3 -c 'import sys; print("%d%d" % sys.version_info[:2])' 2>/dev/null)
VENV := $(if $(filter $(VERSION),$(DEFAULT)),.venv,.venv-py$(VERSION))
BIN := $(VENV)/bin
PINS := $(if $(filter 36,$(VERSION)),-c tests/pins/py36.txt)

PYTHON36 := $(firstword $(wildcard $(HOME)/.pyenv/versions/3.6*/bin/python) $(shell command -v python3.6 2>/dev/null))
PYTEST := -m pytest -c tests/pytest.ini --rootdir . -q

ifneq ($(wildcard ../shared/models),)
export NANOFACE_MIRROR ?= $(abspath ../shared/models)
endif
export OPENBLAS_NUM_THREADS = 1
export OMP_NUM_THREADS = 1

.PHONY: run test test-host test-twin test-board tools peers networks-twin lint bench bench-growth rehearse fuzz fuzz-ports soak \
	receivers clean
.DELETE_ON_ERROR:

$(VENV)/.run: setup.py tests/pins/py36.txt
	@echo "== $(VENV): virtual environment of $(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install $(PIP_FLAGS) --upgrade $(if $(filter 36,$(VERSION)),pip==21.3.1,pip)
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install $(PIP_FLAGS) $(PINS) -e '.[onnxruntime,openvino,convert,window]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install $(PIP_FLAGS) $(PINS) -e '.[dev,metrics,render$(if $(filter 36,$(VERSION)),,$(comma)lint)]'
	@$(if $(filter 36 37,$(VERSION)),:,$(BIN)/python -m pip install $(PIP_FLAGS) -e '.[rtx]' >/dev/null 2>&1 || \
		echo "== TensorRT for RTX cannot be installed here: the tests that build with it are skipped")
	@touch $@
comma := ,

run: $(VENV)/.run
	@$(BIN)/nanoface models fetch
	@mkdir -p out
	@$(BIN)/nanoface run --source portrait --output video:out/demo.mp4 --output image:out/demo.jpg --status out/status.jsonl
	@echo "see out/demo.jpg, out/demo.mp4 and out/status.jsonl"

# The suites run in parts, as many at once as keep the cores at work: a third of the time they wait, and no test needs a core
# to itself (tests/patience.py). The longest begin first; what a part prints comes when it is done, and stays in out/tests.
# What a twin leaves out, and why: tests/where.py
LOGS := out/tests
TEST_JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)
LONG := tests/engines tests/pipeline tests/unit
REST := $(filter-out $(LONG),$(sort $(patsubst %/,%,$(dir $(wildcard tests/*/test_*.py)))))
PARTS := host-rest host-engines host-pipeline twin-engines twin-pipeline board-all twin-unit host-unit twin-rest
PARTS := $(if $(PYTHON36),$(PARTS),$(filter host-%,$(PARTS)))
# the twins' environments are made beside the first parts of the host: what waits for its own when make comes to it is started
# last of all
TWINS := $(if $(PYTHON36),networks-twin .venv-board/.test)
HOST := $(BIN)/python $(PYTEST)
TWIN := NANOFACE_TEST_TWIN=python36 .venv-py36/bin/python $(PYTEST)
# what runs on the board while it tracks
BOARD := NANOFACE_TEST_TWIN=board PYTHONPATH=. .venv-board/bin/python $(PYTEST) tests/unit tests/contract tests/pipeline
folders = $(if $(filter rest,$1),$(REST),tests/$1)
part = @echo "== $1 begins"; $2 > $(LOGS)/$1.log 2>&1 && touch $(LOGS)/$1.passed; \
	echo "== $1"; cat $(LOGS)/$1.log; test -e $(LOGS)/$1.passed

test:
	@$(MAKE) --no-print-directory --jobs 2 tools $(VENV)/.dev
	@$(if $(filter 36,$(VERSION)),$(MAKE) --no-print-directory .venv-py36/.test,:)
	@rm -rf $(LOGS) && mkdir -p $(LOGS)
	@$(BIN)/nanoface models fetch --all
	@$(MAKE) --no-print-directory --keep-going --jobs $(TEST_JOBS) $(TWINS) $(PARTS:%=part-%); all=$$?; \
		say() { for part; do [ -e $(LOGS)/$$part.passed ] || { echo FAILED; return; }; done; echo $${1:+passed}; }; \
		twin=$$(say $(filter twin-%,$(PARTS))); board=$$(say $(filter board-%,$(PARTS))); none="(it is not there)"; \
		echo "== tests on $$($(BIN)/python --version): $$(say $(filter host-%,$(PARTS))), on the twin of the board's Python:" \
			"$${twin:-$$none}, on the twin of the board: $${board:-$$none}"; \
		[ $$all = 0 ]

# those who speak to peers
part-host-rest part-twin-rest part-board-all: | peers

part-host-%: $(VENV)/.dev
	$(call part,host-$*,$(HOST) $(call folders,$*))

test-host: $(VENV)/.dev tools peers
	@$(BIN)/nanoface models fetch --all
	@echo "== tests on $$($(BIN)/python --version)"
	@$(HOST)

# with debootstrap a whole boot of the service is tried, with strace whom a process asks, with Xvfb the window, with npm a peer of
# node, with mosquitto a broker; a machine for tests gets them
tools:
	@lacks=$$(for tool in debootstrap strace Xvfb npm mosquitto; do PATH=$$PATH:/usr/sbin command -v $$tool >/dev/null || echo $$tool; done | tr A-Z a-z | xargs); \
	if [ -n "$$CI" ] && [ -n "$$lacks" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "== installing $$lacks"; apt-get update >/dev/null 2>&1; for tool in $$lacks; do \
			apt-get install -y $$tool >/dev/null 2>&1 || echo "== $$tool cannot be installed: the tests with it are skipped"; \
		done; fi

# Other people's programs that the outputs speak to, each in an environment of its own: tests name those that are not there.
# socket.io of Engine.IO 3 and of 4, in Python and on node; ha: the models that ha-mqtt-discoverable has of what Home Assistant takes;
# discover: DISCOVER's files and its server, with what they import of themselves, that is without the 165 MB of imageio-ffmpeg
PEERS := $(addprefix .venv-peers/,eio3 eio4 node ha discover)
PEER_eio3 := python-socketio==4.6.0 python-engineio==3.13.0 'aiohttp>=3.8,<4'
PEER_eio4 := python-socketio==5.18.1 python-engineio==4.15.1 'aiohttp>=3.8,<4'
PEER_ha := ha-mqtt-discoverable==0.26.0
PEER_discover := --no-compile --no-deps hcai-discover-utils==1.2.1 hcai-discover==1.1.2 numpy pillow ffmpegio==0.12.0 pluggy packaging \
	typing-extensions pims==0.7 slicerator imageio pymongo==4.8.0 dnspython python-dotenv requests urllib3 idna certifi \
	charset-normalizer flask==3.1.3 werkzeug jinja2 markupsafe click itsdangerous blinker cheroot jaraco.functools more-itertools \
	psutil toml
PEER_node := $(foreach server,2.5.1 3.1.2 4.8.4,server$(basename $(basename $(server)))@npm:socket.io@$(server)) \
	$(foreach client,2.5.0 4.8.4,client$(basename $(basename $(client)))@npm:socket.io-client@$(client))
PEER_PIP = $(PEER_PYTHON) -m venv $(@D) && PYTHONWARNINGS=ignore $(@D)/bin/python -m pip install $(PIP_FLAGS) $(PEER_$(@D:.venv-peers/%=%))
PEER_NPM = npm install --silent --no-audit --no-fund --no-save --no-package-lock --fetch-retries 1 --fetch-timeout 60000 \
	--prefix $(@D) $(PEER_node)

peers: $(PEERS:%=%/.peer)

.venv-peers/%/.peer: Makefile
	@mkdir -p $(@D)
	@echo "== $(@D)"; if { $(if $(filter node,$*),$(PEER_NPM),$(PEER_PIP)); } >$(@D)/log 2>&1; then touch $@; \
		else echo "== the peer $* cannot be installed here (see $(@D)/log): the tests with it are skipped"; fi

ifeq ($(PYTHON36),)
test-twin test-board:
	@echo "== no CPython 3.6 found (neither ~/.pyenv/versions/3.6* nor python3.6): the twins of the board are not tested"
else
.venv-py36/.test: setup.py tests/pins/py36.txt
	@echo "== .venv-py36: twin of the board's Python"
	@test -x .venv-py36/bin/python || $(PYTHON36) -m venv .venv-py36
	@PYTHONWARNINGS=ignore .venv-py36/bin/python -m pip install $(PIP_FLAGS) pip==21.3.1
	@PYTHONWARNINGS=ignore .venv-py36/bin/python -m pip install $(PIP_FLAGS) -r tests/pins/py36.txt
	@PYTHONWARNINGS=ignore .venv-py36/bin/python -m pip install $(PIP_FLAGS) -c tests/pins/py36.txt -e '.[onnxruntime,convert,window,dev,metrics]'
	@touch $@

.venv-board/.test: setup.py tests/pins/board.txt
	@echo "== .venv-board: twin of the board at run time (numpy 1.13.3, no onnx, no onnxruntime)"
	@test -x .venv-board/bin/python || $(PYTHON36) -m venv .venv-board
	@PYTHONWARNINGS=ignore .venv-board/bin/python -m pip install $(PIP_FLAGS) pip==21.3.1
	@PYTHONWARNINGS=ignore .venv-board/bin/python -m pip install $(PIP_FLAGS) -r tests/pins/board.txt
	@touch $@

networks-twin: .venv-py36/.test
	@.venv-py36/bin/python -m edge models fetch --all

part-twin-%: networks-twin
	$(call part,twin-$*,$(TWIN) $(call folders,$*))

part-board-all: .venv-board/.test
	$(call part,board-all,$(BOARD))

test-twin: networks-twin
	@echo "== tests on the twin of the board's Python: $$(.venv-py36/bin/python --version), OpenCV 4.1.1"
	@$(TWIN)

test-board: .venv-board/.test
	@echo "== tests on the twin of the board at run time: numpy 1.13.3"
	@$(BOARD)
endif

lint: $(VENV)/.dev
	@$(BIN)/ruff check --config tests/ruff.toml edge engines calibration nanoface.py tests setup.py
	@$(BIN)/mypy --config-file tests/mypy.ini edge engines calibration nanoface.py
	@$(BIN)/vermin -t=3.6- --no-tips edge engines calibration nanoface.py

BENCH_SOURCE ?= $(if $(wildcard ../shared/media/video/flame.mp4),../shared/media/video/flame.mp4,portrait)
# MediaPipe's own Python: it has wheels for 3.9 to 3.12. Matplotlib, which it needs itself, draws the plot
PEER_PYTHON ?= $(if $(filter 36 37 38,$(VERSION)),python3,$(PYTHON))
PEER := .venv-mediapipe/bin/python
BENCH_WORDS ?= --rounds 5
.venv-mediapipe/.bench:
	@echo "== .venv-mediapipe: MediaPipe 0.10.21, to measure beside"
	@test -x $(PEER) || $(PEER_PYTHON) -m venv .venv-mediapipe
	@PYTHONWARNINGS=ignore $(PEER) -m pip install $(PIP_FLAGS) mediapipe==0.10.21 'matplotlib>=3.5,<4'
	@touch $@

bench bench-growth: $(VENV)/.run .venv-mediapipe/.bench
	@$(BIN)/nanoface models fetch
	@$(BIN)/python $(if $(filter bench,$@),tests/peers/bench_beside.py $(PEER) --source $(BENCH_SOURCE),\
		tests/peers/bench_growth.py $(PEER) docs/cost.svg) $(BENCH_WORDS)

rehearse: $(VENV)/.run
	@$(BIN)/nanoface models fetch
	@$(BIN)/python tests/engines/rehearsal/rehearse.py

COUNT ?= 20000
SEED ?= 1
fuzz: $(VENV)/.dev
	@$(BIN)/python tests/fuzz/fuzz_run.py --count $(COUNT) --seed $(SEED)

fuzz-ports: $(VENV)/.dev
	@$(BIN)/python tests/fuzz/fuzz_ports.py --count $(COUNT) --seed $(SEED)

soak: $(VENV)/.dev
	@$(BIN)/python tests/pipeline/soak.py

MINUTES ?= 10
SOURCE ?= $(BENCH_SOURCE)
receivers: $(VENV)/.dev
	@$(BIN)/nanoface models fetch
	@$(BIN)/python tests/pipeline/receivers.py --minutes $(MINUTES) --source $(SOURCE)

clean:
	rm -rf .venv .venv-* out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf engines/onnx engines/plans engines/cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
