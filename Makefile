# Everything a person runs here is one of these. `make run` and `make test` need
# only Go 1.21 or newer, git and make: Go fetches the toolchain that go.mod names.
export GOTOOLCHAIN := go1.27.4
GO ?= go

# The released program is one static file, so it is built without cgo everywhere.
STATIC := CGO_ENABLED=0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

# How long each fuzz target runs under `make fuzz`, up to how many executions
# under `make fuzz-long`, and how many mutants of good messages `make mutants` makes.
FUZZTIME ?= 10s
EXECUTIONS ?= 10000000
MUTANTS ?= 1000000

# How often `make timing` measures each cause of failure.
TIMING ?= 50000

# How often `make nodes` kills a node.
NODE_KILLS ?= 100

# How often `make kills` kills, how many disks `make images` makes, and how many
# writes it lets fail.
KILLS ?= 1000
IMAGES ?= 10000
FAULTS ?= 150

.PHONY: help build pkcs11 run test race check fmt bench bench-full bench-rate bench-authority bench-enterprise cover fuzz fuzz-long mutants kills run-kills enterprise images timing metrics rows nodes logins screenshots testkit clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## write bin/mailseal, and bin/mailseal-git, the same under git's name for it
	$(STATIC) $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/mailseal ./cmd/mailseal
	ln -sf mailseal bin/mailseal-git

pkcs11: ## write bin/mailseal-pkcs11, which mailseal starts for keys in tokens; needs a C compiler
	CGO_ENABLED=1 $(GO) build -trimpath -ldflags '-s -w' -o bin/mailseal-pkcs11 ./cmd/mailseal-pkcs11

manual: build ## write manual pages and shell completions below bin/share
	bin/mailseal help --man bin/share/man/man1
	mkdir -p bin/share/bash-completion/completions bin/share/zsh/site-functions bin/share/fish/vendor_completions.d
	bin/mailseal completion bash >bin/share/bash-completion/completions/mailseal
	bin/mailseal completion zsh >bin/share/zsh/site-functions/_mailseal
	bin/mailseal completion fish >bin/share/fish/vendor_completions.d/mailseal.fish

PREFIX ?= /usr/local
install: manual ## install program, manual pages and completions below DESTDIR and PREFIX
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install bin/mailseal '$(DESTDIR)$(PREFIX)/bin/mailseal'
	ln -sf mailseal '$(DESTDIR)$(PREFIX)/bin/mailseal-git'
	cd bin/share && find . -type f -exec install -D -m 644 '{}' '$(DESTDIR)$(PREFIX)/share/{}' ';'

run: build ## start the whole system on http://127.0.0.1:8080, data in ./var
	bin/mailseal serve --dev --data ./var

test: ## install what the tests need, then run all of them
	scripts/test-deps
	$(GO) test -shuffle=on ./...
	$(MAKE) race

race: ## run the tests that share memory under the race detector
	scripts/race

check: ## format, vet, lint, layers, vulnerabilities, generated files; runs no tests but the layers
	scripts/check

fmt: ## rewrite every Go file as gofmt wants it
	gofmt -w $$(git ls-files '*.go')

bench: build ## measure beside other software, print the ratios, write docs/benchmarks.md
	$(GO) -C bench run . -report ../docs/benchmarks.md

bench-full: build ## the same with 1 GiB and many recipients everywhere; goes on where it was stopped
	$(GO) -C bench run . -full -rounds 9 -results results.json -report ../docs/benchmarks.md

bench-rate: ## only: how fast one process opens 10,000 mails, beside their digests and public-key operations alone
	$(GO) -C bench run . -rate

# Debian's PostgreSQL, and peers that are built where they are missing.
POSTGRES ?= $(lastword $(sort $(wildcard /usr/lib/postgresql/*/bin)))
STEP_CA ?= bin/peers/step-ca
CFSSL ?= bin/peers/cfssl

bin/peers/step-ca:
	CGO_ENABLED=0 GOBIN=$(CURDIR)/bin/peers $(GO) install github.com/smallstep/certificates/cmd/step-ca@v0.30.2

bin/peers/cfssl:
	CGO_ENABLED=0 GOBIN=$(CURDIR)/bin/peers $(GO) install github.com/cloudflare/cfssl/cmd/cfssl@v1.7.1

bench-authority: build $(STEP_CA) $(CFSSL) ## issue, revoke and answer OCSP beside other software, write docs/benchmarks-authority.md
	cd bench && $(GO) run ./authority -step-ca ../$(STEP_CA) -cfssl ../$(CFSSL) -postgres "$(POSTGRES)" -report ../docs/benchmarks-authority.md

bench-enterprise: build ## equip ENTERPRISE people through the REST API, write what each one cost to docs/benchmarks-enterprise.md
	cd bench && $(GO) run ./enterprise -people "$(ENTERPRISE)" -report ../docs/benchmarks-enterprise.md

cover: ## write the coverage of all packages to cover.out and print it by function
	$(GO) test -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out | tail -n 1

fuzz: ## run every fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

fuzz-long: ## go on until docs/fuzzing.md counts EXECUTIONS of each fuzz target
	scripts/fuzz --until $(EXECUTIONS)

mutation: ## change the code of the verdict in a thousand small ways; its tests must notice (20 minutes)
	$(GO) run ./scripts/mutation

mutants: ## change the structure of good messages in MUTANTS ways; none may pass for another
	MAILSEAL_MUTANTS=$(MUTANTS) $(GO) test -count=1 -timeout 2h -v -run '^TestMutants$$' ./cms

kills: ## kill -9 a process that issues KILLS times, and KILLS/10 times at each named step, on SQLite and PostgreSQL
	MAILSEAL_KILLS=$(KILLS) MAILSEAL_STEP_KILLS=$$(($(KILLS) / 10)) $(GO) test -count=1 -timeout 6h -v -run '^TestKill' ./internal/authority

images: ## make IMAGES crash images of a recorded trace of issuing, and let each of the first FAULTS writes and syncs fail
	MAILSEAL_IMAGES=$(IMAGES) MAILSEAL_FAULTS=$(FAULTS) $(GO) test -count=1 -timeout 6h -v -run '^(TestCrashImages|TestFaults)$$' ./internal/authority

# How often `make run-kills` kills, and for how many people `make enterprise` measures.
RUN_KILLS ?= 100
ENTERPRISE ?= 1000 10000 100000

run-kills: ## kill -9 a bulk run RUN_KILLS times, at each step and at any time; nothing may be lost or doubled
	MAILSEAL_RUN_KILLS=$(RUN_KILLS) $(GO) test -count=1 -timeout 2h -v -run '^TestKill$$' ./internal/enrollment

enterprise: ## equip ENTERPRISE people, on SQLite and PostgreSQL, and say what each one cost; 1,000 with RSA-3072 beside their keys alone
	MAILSEAL_PEOPLE="$(ENTERPRISE)" $(GO) test -count=1 -timeout 3h -v -run '^TestSpeed$$' ./internal/enrollment
	MAILSEAL_PEOPLE=1000 MAILSEAL_ALGORITHM=rsa-3072 $(GO) test -count=1 -timeout 3h -v -run '^TestSpeed$$' ./internal/enrollment

timing: ## measure TIMING decryptions of each kind that fail; none may be told from another
	MAILSEAL_TIMING=$(TIMING) $(GO) test -count=1 -timeout 2h -v -run '^TestTiming$$' ./test/testkit

metrics: ## ask a server for a million different things; the number of its metrics must stay
	MAILSEAL_METRICS=1 $(GO) test -count=1 -v -run '^TestMetricsStayFew$$' ./internal/server

rows: ## the counts of the table of threats about issuing: a million codes and request kinds, 5,000 mutants of certification requests; 100,000 people
	MAILSEAL_ROWS=1 $(GO) test -count=1 -timeout 1h -v -run '^(TestCode|TestUnknownRequests|TestMutatedRequests|TestWhiteList|TestManyMembers)$$' ./internal/store ./internal/validation ./internal/registration

logins: ## 10,000 wrong sign-ins: how many reach the hash, and how long each kind takes
	$(GO) test -count=1 -timeout 1h -v -run 'TestFlood|TestAccountsLookAlike' ./internal/auth -args -logins 10000

nodes: ## two nodes on one PostgreSQL, killed in turn under load NODE_KILLS times
	MAILSEAL_NODE_KILLS=$(NODE_KILLS) $(GO) test -count=1 -timeout 2h -v ./test/nodes

SCREENS ?= var/screens

screenshots: ## take a picture of every page into SCREENS: both languages, wide and narrow, light and dark
	$(GO) test -count=1 -timeout 1h ./test/e2e -run '^(TestPages|TestEscrow)$$' -screens '$(abspath $(SCREENS))'

testkit: ## write the folder testkit anew: attacks and their honest twins, for other implementations too
	$(GO) test -count=1 -run '^TestFresh$$' ./test/testkit -update

clean: ## remove what the build made; ./var, which has your keys, stays
	rm -rf bin cover.out
