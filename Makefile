# Each target does all its set-up: packages from Debian or Ubuntu (through sudo when not root), then the
# build. Root is needed where users, mounts or sshd are: `make demo` and the end-to-end tests.

CARGO ?= cargo
# env at its end: sudo looks for the program itself in a PATH of its own.
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo "sudo --preserve-env=PATH,HOME,CARGO_HOME,RUSTUP_HOME,CARGO_TARGET_DIR,CI,KEEP env")
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: all build demo test unit end-to-end lint memory bench soak clean help

all: build

help:
	@echo "make build       the module and the command, in $(TARGET)/release"
	@echo "make demo        watch a login with password and code (KEEP=1 leaves the server up)"
	@echo "make test        every test"
	@echo "make lint        formatting and clippy"
	@echo "make memory      the FFI crate under Miri and AddressSanitizer"
	@echo "make bench       what a login costs, beside pam_google_authenticator"
	@echo "make soak        the kill and race tests for longer"

build:
	packaging/tools.sh build
	$(CARGO) build --release --locked

demo:
	@$(SUDO) true || { echo "make demo needs root, or sudo, for a mount namespace of its own" >&2; exit 1; }
	packaging/tools.sh demo
	$(CARGO) build --release --locked
	$(CARGO) build --locked -p tests --bin demo
	@$(SUDO) $(TARGET)/debug/demo

test: unit end-to-end

# Compiled as whoever calls, run as root: the tests make users, mounts and files of others.
unit:
	packaging/tools.sh test
	$(CARGO) build --release --locked
	$(CARGO) test --locked --workspace --exclude tests --no-run
	$(SUDO) $(CARGO) test --locked --workspace --exclude tests

end-to-end:
	packaging/tools.sh test
	$(CARGO) build --release --locked
	$(CARGO) test --locked -p tests --no-run
	$(SUDO) $(CARGO) test --locked -p tests -- $(TEST_ARGUMENTS)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

memory:
	packaging/check-memory.sh

bench:
	packaging/tools.sh test
	$(CARGO) build --release --locked
	$(CARGO) build --release --locked -p tests --bins
	@$(SUDO) $(TARGET)/release/bench

soak:
	packaging/tools.sh test
	$(CARGO) build --release --locked
	$(SUDO) env OTPGATE_KILLS=1000 OTPGATE_ROUNDS=500 $(CARGO) test --locked -p tests --test module_kills --test module_kills_administration --test module_races -- --nocapture

clean:
	$(CARGO) clean
