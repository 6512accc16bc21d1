#!/bin/sh
# deny.toml: licences, duplicates and sources of all dependencies. Advisories need a database from the
# network, so they are not part of this: `cargo deny check advisories`, where it can be reached.
set -eu
if ! cargo deny --version >/dev/null 2>&1; then
    cargo install --quiet --locked cargo-deny --version 0.20.2
fi
cargo deny --locked --log-level error check licenses bans sources
