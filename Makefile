# Every task of the project. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup run up down test clients console lambda lambda-template sam-build sam-deploy chaos bench lint format proto lock packages release sbom dependency-audit

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 28

setup: ## Install everything into .venv and .connectra (run by most other targets)
	@python3 deploy/local/bootstrap.py

run: setup ## Start the whole suite, import a sample, show a search, stay up until Ctrl-C
	@exec .venv/bin/connectra run

up: setup ## Start the whole suite in the background
	@.venv/bin/connectra up --detach

down: ## Stop the suite
	@.venv/bin/connectra down

test: setup ## Run all tests against real servers
	@.venv/bin/pytest $(ARGS)

CLIENTS := $(CURDIR)/.connectra/clients
NODE_PACKAGES := newman@6.2.2 openapi-to-postmanv2@6 @redocly/cli@2 @stoplight/spectral-cli@6 \
  openapi-typescript@7 openapi-fetch@0 typescript@5 @types/node@20
VACUUM := github.com/daveshanley/vacuum
clients: setup ## Test with third-party clients, generated ones, and linters of OpenAPI; needs Go and Node
	@GOBIN=$(CLIENTS)/bin go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4
	@mkdir -p $(CLIENTS)/vacuum && cd $(CLIENTS)/vacuum && { [ -f go.mod ] || go mod init lint; } \
	  && go mod edit -require $(VACUUM)@v0.16.0 && GOFLAGS=-mod=mod go build -o $(CLIENTS)/bin/vacuum $(VACUUM)
	@npm install --silent --no-audit --no-fund --prefix $(CLIENTS) $(NODE_PACKAGES)
	@[ -d $(CLIENTS)/python ] || .venv/bin/uv venv --quiet --python .venv/bin/python $(CLIENTS)/python
	@.venv/bin/uv pip install --quiet --python $(CLIENTS)/python openapi-python-client==0.29.1
	@PATH=$(CLIENTS)/bin:$(CLIENTS)/node_modules/.bin:$$PATH:$(CLIENTS)/python/bin \
	  .venv/bin/pytest tests/contract/test_other_clients.py tests/contract/test_generated_clients.py

LAMBDA := $(CURDIR)/.connectra/lambda
EMULATOR := github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie@v0.0.0-20261030222936-bef5c4ba774d
ADAPTER := $(shell sed -n 's/^ARG ADAPTER_IMAGE=.*:\([0-9.]*\)$$/\1/p' deploy/lambda/Dockerfile)
lambda: setup ## Test as a Lambda function, with AWS's emulator and web adapter; needs Go and Rust
	@GOBIN=$(LAMBDA)/bin go install $(EMULATOR)
	@cargo install --quiet --locked --root $(LAMBDA) lambda_web_adapter@$(ADAPTER)
	@PATH=$(LAMBDA)/bin:$$PATH .venv/bin/pytest tests/contract/test_lambda.py tests/contract/test_table.py -k lambda $(ARGS)

# Not in the environment of the project, whose pins it would share.
SAM := .venv/bin/uv tool run --from 'aws-sam-cli>=1.140,<2'
lambda-template: setup ## Check the template of the Lambda function with cfn-lint and SAM's translator
	@cd deploy/lambda && SAM_CLI_TELEMETRY=0 ../../$(SAM) sam validate --lint --region us-east-1
	@cd deploy/lambda && SAM_CLI_TELEMETRY=0 ../../$(SAM) sam validate --region us-east-1

sam-build: setup ## Build the image of the Lambda function; needs Docker
	@docker build -f deploy/single/Dockerfile --build-arg VERSION=$$(cat VERSION) -t connectra/single:latest .
	@cd deploy/lambda && ../../$(SAM) sam build

sam-deploy: setup ## Deploy the function that `make sam-build` has built, and its HTTP API; needs AWS credentials
	@cd deploy/lambda && ../../$(SAM) sam deploy $(ARGS)

CONSOLE := $(CURDIR)/.connectra/console
IMAGES_TO := $(CONSOLE)/images
console: setup ## Test the console in Chromium with axe, and take its pictures (IMAGES_TO=docs/images); ARGS="-m long": with many records; needs Node
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	  { echo "make console: there is no Chromium here; install it (Debian: apt-get install chromium)"; exit 1; }
	@npm install --silent --no-audit --no-fund --prefix $(CONSOLE) playwright-core@1.65.1 axe-core@4.14.1
	@CONNECTRA_CONSOLE_MODULES=$(CONSOLE)/node_modules CONNECTRA_CONSOLE_IMAGES=$(IMAGES_TO) .venv/bin/pytest -s tests/console $(ARGS)

chaos: setup ## Run the long tests, which inject faults, kill processes and send what no client would
	@.venv/bin/pytest -m long $(ARGS)

bench: setup ## Benchmark against the bare engines doing the same work; prints ratios, writes JSON
	@.venv/bin/python -m tests.bench $(ARGS)

lint: setup ## Run ruff, mypy, buf, hadolint; check generated code and import rules
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/python proto/generate.py --check
	@.venv/bin/python -m connectra_reference --check
	@.venv/bin/buf lint
	@.venv/bin/buf breaking proto --against proto/released.binpb
	@.venv/bin/lint-imports
	@.venv/bin/hadolint $(IMAGES:%=%/Dockerfile) deploy/lambda/Dockerfile

format: setup ## Format the code and the contracts
	@.venv/bin/ruff check --fix --exit-zero --quiet
	@.venv/bin/ruff format
	@.venv/bin/buf format -w proto

proto: setup ## Regenerate everything generated: code, OpenAPI, reference pages in docs
	@.venv/bin/python proto/generate.py
	@.venv/bin/python -m connectra_reference

OURS := client common contracts gateway jobs local ops query reference single write
IMAGES := services/query services/write services/jobs gateway deploy/single
COMPILE := .venv/bin/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-header --no-annotate \
  $(OURS:%=--no-emit-package connectra-%)

# The images with a gateway have the official Envoy, not the package.
lock: setup ## Rewrite every requirements.txt from the pyproject.toml files
	@$(COMPILE) pyproject.toml --group dev --group build --output-file requirements.txt
	@$(COMPILE) --constraints requirements.txt --group build --output-file deploy/images/requirements.txt
	@set -e; for part in $(IMAGES); do \
	  extras=--all-extras; [ $$part != gateway ] || extras=; \
	  $(COMPILE) --constraints requirements.txt $$extras $$part/pyproject.toml --output-file $$part/requirements.txt; done

DIST := .connectra/dist
packages: setup ## Build wheels and source distributions of all packages into .connectra/dist, and check them
	@rm -rf $(DIST)
	@.venv/bin/uv build --quiet --all-packages --no-build-isolation --python .venv/bin/python --out-dir $(DIST)
	@.venv/bin/twine --no-color check --strict $(DIST)/*.whl $(DIST)/*.tar.gz

release: setup ## Prepare the release VERSION=1.2.3 from [Unreleased]; see docs/releasing.md
	@.venv/bin/python proto/generate.py --check
	@.ci/release.py $(VERSION)

sbom: setup ## Write a bill of materials for each image to .connectra/sbom (CycloneDX)
	@mkdir -p .connectra/sbom
	@set -e; for part in $(IMAGES); do \
	  sed "s/^dynamic = .*/version = \"$$(cat VERSION)\"/" $$part/pyproject.toml >.connectra/sbom/pyproject.toml; \
	  .venv/bin/cyclonedx-py requirements $$part/requirements.txt --pyproject .connectra/sbom/pyproject.toml --output-reproducible \
	    --output-file .connectra/sbom/$${part##*/}.cdx.json; ls .connectra/sbom/$${part##*/}.cdx.json; done

dependency-audit: setup ## Check everything in requirements.txt with PyPI's vulnerability service
	@.venv/bin/uv tool run 'pip-audit>=2.9,<3' --requirement requirements.txt --require-hashes --disable-pip --strict
