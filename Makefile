PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
ARGS ?=
BIN := .venv/bin
SETUP := .venv/.setup-done
PROMETHEUS := deploy/observability/prometheus
TOOLS := out/checkov/.setup-done out/cyclonedx/.setup-done

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test fuzz chaos check bench format lock proto pages site manifests sbom clean

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /	/' | expand -t 10

setup: $(SETUP) ## create .venv from the lock (once)

demo: $(SETUP) ## start the whole stack, draw one image band by band, stop
	$(BIN)/python -m service.stack demo $(ARGS)

serve: $(SETUP) ## start the whole stack and keep it running
	$(BIN)/python -m service.stack serve $(ARGS)

# Two at a time, a file never split: its tests share a stack.
test: $(SETUP) ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

fuzz: $(SETUP) ## 10,000 and more cases of schemathesis against the REST API
	NFIG_FUZZ_EXAMPLES=1000 $(BIN)/python -m pytest -s tests/service/gateway/test_openapi_fuzz.py

chaos: $(SETUP) ## attack a running stack, then check the history of what clients saw
	$(BIN)/python -m tests.chaos $(ARGS)

check: $(SETUP) ## lint, format, types, dependency rules, the proto and what it must not break
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo
	$(BIN)/buf lint proto && $(BIN)/buf breaking proto --against proto/baseline.json
	@if command -v promtool >/dev/null; then \
		promtool check config $(PROMETHEUS)/prometheus.yml && promtool test rules $(PROMETHEUS)/tests/*.yml; \
	else echo "promtool is not installed (Debian: prometheus): its checks are left out."; fi

bench: $(SETUP) ## measure the model beside VAR, and the service beside its engine; leave the machine alone meanwhile
	$(BIN)/python -m benchmarks.model
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.gateway_cost
	$(BIN)/python -m benchmarks.watchers
	$(BIN)/python -m benchmarks.naive_peer
	$(BIN)/python -m benchmarks.naive_peer --engine triton
	$(BIN)/python -m benchmarks.whole_path

format: $(SETUP) ## rewrite the code in house style
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

lock: $(SETUP) ## resolve pyproject's ranges into requirements.lock
	$(BIN)/python .ci/lock.py

proto: $(SETUP) ## write the gRPC stubs of nfig_proto from proto/
	$(BIN)/python .ci/proto.py

manifests: $(SETUP) out/checkov/.setup-done ## render every overlay of deploy/kubernetes and check it
	$(BIN)/python .ci/prometheus_rules.py
	mkdir -p out/manifests
	for overlay in $(notdir $(wildcard deploy/kubernetes/overlays/*)); do \
		$(BIN)/kubectl kustomize deploy/kubernetes/overlays/$$overlay \
			--output out/manifests/$$overlay.yaml || exit 1; done
	out/checkov/bin/checkov --directory out/manifests --framework kubernetes --compact --quiet \
		--skip-download

sbom: $(SETUP) out/cyclonedx/.setup-done ## write what each image has of Python, as CycloneDX, into out/sbom
	mkdir -p out/sbom
	out/cyclonedx/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file out/sbom/environment.cdx.json .venv
	$(BIN)/python .ci/sbom.py out/sbom/environment.cdx.json out/sbom

pages: $(SETUP) ## write the pages of docs/ that are generated
	$(BIN)/python -m service.admin settings > docs/settings.md
	$(BIN)/python .ci/licences.py
	$(BIN)/python -m benchmarks.scaling --write
	$(BIN)/python -m benchmarks.page

site: $(SETUP) ## build the pages as a web site into site/
	$(BIN)/mkdocs build --strict

clean: ## remove what the targets above made, .venv included
	rm -rf .venv out site *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(SETUP): requirements.lock requirements-triton.lock pyproject.toml nfig_proto/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "Python 3.11 or 3.12 is needed, found " + sys.version.split()[0] + "; name one with make PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --requirement requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable ./nfig_proto --editable .
	$(BIN)/python -m pip install --no-deps --upgrade --target .venv/triton --requirement requirements-triton.lock \
		|| echo "Triton's wheel could not be installed: the in-process engine will draw instead."
	touch $@

# Programs whose many dependencies are nobody else's.
$(TOOLS): out/%/.setup-done: .ci/%.txt
	$(PYTHON) -m venv out/$*
	out/$*/bin/python -m pip install --requirement $<
	touch $@
