# The commands of this repository; `make help` lists them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TOOLS := tests/tools/install
# What the end-to-end tests drive.
DRIVEN := cargo-nextest envoy mimir prometheus promtool alertmanager amtool etcd kube-apiserver kubectl helm nginx haproxy gateway-api docker-compose libfaketime chromium page-driver
# Each test runs in a process of its own, as .config/nextest.toml says. TESTS chooses some by a part of their names.
NEXTEST := $$($(TOOLS) --print-path cargo-nextest) nextest run --locked
LONG := $(NEXTEST) --profile long
# What tests and fuzz targets turn on. clippy and rustdoc have the same features, so that dependencies are checked once for both.
TESTING := --features rls/fuzzing,limits-source/fuzzing,remote-write/encode,runtime/testing

.PHONY: help ci run build check test e2e lint fmt clippy doc check-layers check-sizes check-names check-parity check-docs check-release lint-charts lint-rules lint-containers lint-workflows screenshots render deny tools bench bench-edge bench-instructions bench-others bench-propagation bench-neighbours bench-outage fuzz differential faults soak advisories images package-charts sbom dist sign sign-pushed release-notes clean-tools

help: ## list these commands
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

ci: ## run what must pass before a change is taken: lint and test, with the time of each
	@for step in lint test; do \
	  started=$$SECONDS; echo "==> make $$step"; \
	  $(MAKE) $$step; \
	  echo "<== make $$step took $$((SECONDS - started)) s"; \
	done; \
	echo "all passed in $$SECONDS s"

run: ## run mimir-rls and Envoy on loopback; EDGE_PORT, LIMITS, EDGE_CONFIG and MIMIR_URL change what and where
	@exec ops/run/run

build: ## build the release programs into target/release
	cargo build --release --bins --locked

check: ## run the tests that need no other program
	$(TOOLS) cargo-nextest
	$(NEXTEST) --workspace --exclude e2e $(TESTS)

# One build for all of it: cargo turns on other features for other choices of packages, and would build dependencies again.
test: ## run all tests, also those with the real Envoy, Mimir, Prometheus and Kubernetes API, or some: TESTS=part-of-a-name
	$(TOOLS) $(DRIVEN)
	$(NEXTEST) --workspace $(TESTS)

e2e: ## run the end-to-end tests alone
	$(TOOLS) $(DRIVEN)
	cargo build --bins --package rls --package overrides-sync --package edgectl --locked
	$(NEXTEST) --package e2e $(TESTS)

lint: fmt clippy doc check-layers check-sizes check-names check-parity check-docs check-release lint-charts lint-rules lint-containers lint-workflows deny ## run everything else that has to pass

fmt: ## check the formatting
	cargo fmt --all --check

clippy: ## check with clippy; a warning is an error
	cargo clippy --workspace --all-targets $(TESTING) --locked -- -D warnings

doc: ## build the documentation; a warning is an error
	RUSTDOCFLAGS='-D warnings -A rustdoc::private-intra-doc-links' cargo doc --workspace --no-deps --document-private-items $(TESTING) --locked

check-layers: ## prove that pure crates are pure, crates use each other as the table says, stages of edge none that is later, and no task ends unnoticed
	tests/tools/check-layers

check-sizes: ## check that no source file has more than 400 lines, and no doc comment lines of more than 160 characters
	tests/tools/check-sizes

check-names: ## check that no test has a name of more than ten words
	tests/tools/check-names

check-parity: ## check that docs/parity.md names a test for each rule, and none that is not there
	tests/tools/check-parity

check-release: ## check that versions, images, changelog and renovate.json agree; TAG also with that tag
	tests/tools/check-release $${TAG:+--tag "$$TAG"}

check-docs: ## check that links, paths, flags, metrics and versions that the docs name are there
	tests/tools/check-docs

lint-charts: ## check the charts with helm, and that the committed Envoy configurations are what charts/envoy renders
	$(TOOLS) helm
	$$($(TOOLS) --print-path helm) lint --strict --quiet charts/*
	ops/envoy/render --check

lint-rules: ## check the alerts and the example of Alertmanager, and run the tests of the alerts with promtool
	$(TOOLS) promtool amtool
	$$($(TOOLS) --print-path promtool) check rules --lint=all --lint-fatal charts/*/files/alerts.yaml
	$$($(TOOLS) --print-path promtool) test rules ops/alerts/tests/*.yaml
	$$($(TOOLS) --print-path amtool) check-config ops/alerts/alertmanager.yml

lint-containers: ## check images, compose and dashboards, as far as that goes without an engine
	$(TOOLS) hadolint docker-compose envoy mimir prometheus grafana-foundation-sdk
	tests/tools/check-containers

lint-workflows: ## check .github with actionlint, shellcheck and zizmor, and the scripts of a release with shellcheck
	$(TOOLS) actionlint shellcheck zizmor
	tests/tools/check-workflows

screenshots: ## make the screenshots in docs/images anew; all that the test takes are in target/screenshots
	$(TOOLS) $(DRIVEN)
	cargo build --bins --package rls --package overrides-sync --package edgectl --locked
	PAGE_SCREENSHOTS=$(CURDIR)/target/screenshots $(NEXTEST) --package e2e page::people
	for image in docs/images/*.png; do cp "target/screenshots/$${image##*/}" "$$image"; done

render: ## render charts/envoy into the committed Envoy configurations
	$(TOOLS) helm
	ops/envoy/render

deny: ## check licences and sources of dependencies
	$(TOOLS) cargo-deny
	$$($(TOOLS) --print-path cargo-deny) --log-level error check bans licenses sources

advisories: ## check dependencies for known vulnerabilities; needs the network
	$(TOOLS) cargo-deny
	$$($(TOOLS) --print-path cargo-deny) --log-level error check advisories

tools: ## install the programs that the tests drive, outside of this folder
	$(TOOLS)

bench: ## run the benchmarks of the crates, and then bench-edge; under 10 minutes
	cargo bench --workspace --exclude e2e --bench '*' --locked
	$(MAKE) bench-edge

bench-edge: ## compare the edge with a Mimir and a plain Envoy: CPU, pushes a second, latency, memory; SECTIONS such as 'cost rate 2000'
	$(TOOLS) envoy mimir
	cargo build --release --bins --locked
	cargo bench --package e2e --bench edge --locked -- $(SECTIONS)

bench-instructions: ## count the instructions for fixed pushes with valgrind, and compare them with the budget; UPDATE=1 writes it
	tests/tools/instructions $${UPDATE:+--update}

bench-others: ## compare ShouldRateLimit with envoyproxy/ratelimit; needs redis-server
	@command -v redis-server > /dev/null || { echo 'redis-server is not on PATH: apt-get install redis-server' >&2; exit 1; }
	$(TOOLS) ratelimit
	cargo build --release --bins --locked
	REDIS=redis-server cargo bench --package e2e --bench others --locked

bench-propagation: ## print how long a changed limit takes from kubectl to the decision
	$(TOOLS) $(DRIVEN)
	cargo build --release --bins --locked
	cargo bench --package e2e --bench propagation --locked

bench-neighbours: ## print what a tenant sees of its pushes while another one's take long to read
	$(TOOLS) $(DRIVEN)
	cargo build --release --bins --locked
	cargo bench --package e2e --bench neighbours --locked

bench-outage: ## run the end-to-end test of an API server that is away for minutes: OUTAGE_SECONDS (180)
	$(TOOLS) $(DRIVEN)
	cargo build --bins --package rls --package overrides-sync --package edgectl --locked
	OUTAGE_SECONDS=$${OUTAGE_SECONDS:-180} $(LONG) --package e2e feed::outages::without_an_api_server

fuzz: ## run each fuzz target for FUZZ_SECONDS (60), two at once
	$(TOOLS) cargo-fuzz
	fuzz/run $${FUZZ_SECONDS:-60}

differential: ## put DOCUMENTS (2000) runtime configurations of SEED to a real Mimir and to the edge's reader
	$(TOOLS) cargo-nextest mimir
	cargo build --bins --package rls --package overrides-sync --package edgectl --locked
	DOCUMENTS=$${DOCUMENTS:-2000} $(LONG) --package e2e verdicts::

# One after the other: the figures are those of one fault.
faults: ## kill, freeze and starve each program under load, fuzz what reads, soak for 2 minutes; under 30 minutes
	$(TOOLS) $(DRIVEN)
	FAULTS=long $(LONG) --workspace faults:: memory::
	OUTAGE_SECONDS=$${OUTAGE_SECONDS:-60} $(LONG) --workspace outage::
	$(MAKE) fuzz
	SOAK_MINUTES=$${SOAK_MINUTES:-2} $(LONG) --workspace soak::

soak: ## run the edge at 60 % of what it can do for SOAK_MINUTES (20), while limits change and tenants come and go
	$(TOOLS) $(DRIVEN)
	cargo build --release --bins --locked
	SOAK_MINUTES=$${SOAK_MINUTES:-20} $(LONG) --release --package e2e soak::

images: ## build the images with docker; REGISTRY, PUSH=1 and PLATFORMS change where to and for what
	ops/release/images

package-charts: ## package the charts into target/dist; REGISTRY and PUSH=1 as for images
	$(TOOLS) helm
	ops/release/charts

sbom: ## write what each program is made of to target/dist, as CycloneDX
	$(TOOLS) cargo-cyclonedx
	ops/release/sbom

dist: package-charts sbom ## put the files of a release into target/dist: programs, charts, SBOMs and their checksums
	ops/release/dist

sign: ## sign target/dist/SHA256SUMS with cosign; COSIGN_OPTIONS are cosign's own
	$(TOOLS) cosign
	ops/release/sign files

sign-pushed: ## sign the images and charts that were pushed, and attach the SBOMs
	$(TOOLS) cosign
	ops/release/sign pushed

release-notes: ## print what CHANGELOG.md says of this version
	@ops/release/notes

clean-tools: ## remove the installed programs
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/mimir-edge/tools"
