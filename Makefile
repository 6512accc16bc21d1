# Each target does all its set-up: packages from Debian or Ubuntu (through sudo when not root), then the
# build. Root is needed where users, mounts or sshd are: the tests.

CARGO ?= cargo
export CARGO
# env at its end: sudo looks for the program itself in a PATH of its own.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo "sudo --preserve-env=PATH,HOME,CARGO_HOME,RUSTUP_HOME,CARGO_TARGET_DIR,CI,KEEP env")
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: all build demo test unit end-to-end lint memory fuzz mutants bench soak packages package-test dist reproducible clean help

all: build

help:
	@echo "make build       the module, the command and the server, in $(TARGET)/release"
	@echo "make demo        watch sftp ask for password and code (KEEP=1 leaves the server up); no root"
	@echo "make test        every test"
	@echo "make lint        formatting and clippy"
	@echo "make memory      Miri, AddressSanitizer and valgrind: the FFI crate, the state's bytes, the module in a C program"
	@echo "make fuzz        every parser and the policy, FUZZ_SECONDS (300) each"
	@echo "make mutants     does a test notice, when a line of the policy is wrong? Hours"
	@echo "make bench       what logins and transfers cost, beside pam_google_authenticator and sshd"
	@echo "make soak        everything at once for an hour (OTPGATE_SOAK_SECONDS, OTPGATE_SOAK_ROUNDS)"
	@echo "make packages    .deb and .rpm, in $(TARGET)/packages"
	@echo "make package-test  builds, installs, upgrades and removes them in a clean system"
	@echo "make dist        the source tarball with every crate in it, in $(TARGET)/packages"
	@echo "make reproducible  two builds from the tarball, without a network, are the same"

build:
	packaging/tools.sh build
	packaging/build.sh

demo:
	packaging/tools.sh demo
	packaging/build.sh
	$(CARGO) build --locked -p tests --bin demo
	@$(TARGET)/debug/demo

test: unit end-to-end

# Compiled as whoever calls, run as root: the tests make users, mounts and files of others.
unit:
	packaging/tools.sh test
	packaging/build.sh
	$(CARGO) test --locked --workspace --exclude tests --no-run
	$(SUDO) $(CARGO) test --locked --workspace --exclude tests

end-to-end:
	packaging/tools.sh test
	packaging/build.sh
	$(CARGO) test --locked -p tests --no-run
	$(SUDO) $(CARGO) test --locked -p tests -- $(TEST_ARGUMENTS)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

memory:
	packaging/tools.sh memory
	packaging/build.sh
	packaging/check-memory.sh

fuzz:
	packaging/tools.sh build
	packaging/fuzz.sh

mutants:
	packaging/tools.sh test
	packaging/mutants.sh

bench:
	packaging/tools.sh test
	packaging/build.sh
	packaging/build.sh -p tests --bins
	@$(SUDO) $(TARGET)/release/bench

SOAK = $(foreach name,SECONDS ROUNDS SEED,$(if $(OTPGATE_SOAK_$(name)),OTPGATE_SOAK_$(name)=$(OTPGATE_SOAK_$(name))))

# The checker's own tests first: a verdict is worth as much as they are.
soak:
	packaging/tools.sh test
	packaging/build.sh
	$(CARGO) test --locked -p tests --bin soak
	$(CARGO) build --locked -p tests --bins
	$(SUDO) env $(SOAK) $(TARGET)/debug/soak
	$(SUDO) env OTPGATE_KILLS=1000 OTPGATE_ROUNDS=500 $(CARGO) test --locked -p tests --test module_kills --test module_kills_administration --test module_races -- --nocapture

packages:
	packaging/tools.sh packages
	packaging/build.sh
	packaging/packages.sh $(TARGET)/release $(TARGET)/packages

package-test:
	packaging/tools.sh package-test
	packaging/build.sh
	$(SUDO) packaging/test-packages.sh $(TARGET)/release $(TARGET)/package-test

dist:
	packaging/tools.sh dist
	packaging/dist.sh $(TARGET)/packages

reproducible: dist
	packaging/tools.sh packages
	$(SUDO) packaging/test-reproducible.sh $(TARGET)/packages

clean:
	$(CARGO) clean
