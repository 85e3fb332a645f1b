# Commands for people who work on alike; `just` lists them.

default:
    @just --list

# before every push: format, lints, unit tests, documentation
fast:
    .ci/fast

# what CI runs
ci:
    .ci/run

# lint and test what is built for graphics devices; needs a Vulkan driver, a software one will do
gpu:
    cargo clippy --workspace --all-targets --features wgpu --locked -- -D warnings
    .ci/gpu

# the operators on 64-bit ARM, emulated: NEON against the bits of x86; installs a cross compiler and QEMU where it can
arm:
    .ci/arm

# show everything on bundled real data
demo:
    cargo run --release -- demo

# regenerate docs/cli.md, docs/models.md and docs/api.md
docs:
    cargo run --release --quiet -- docs cli > docs/cli.md.tmp && mv docs/cli.md.tmp docs/cli.md
    cargo run --release --quiet -- docs models > docs/models.md.tmp && mv docs/models.md.tmp docs/models.md
    cargo run --release --quiet -- docs api > docs/api.md.tmp && mv docs/api.md.tmp docs/api.md

# the Python wheel, tested in fresh environments of every Python that is found
wheel:
    .ci/wheel

# regenerate docs/results.md from docs/results/*.toml
results:
    ALIKE_WRITE=1 cargo test --workspace --test results

# speed of the operators, each against its naive version
bench:
    cargo bench -p alike-ops

# kill, stop, flip bits, fill the disk, send what is no request: what docs/reliability.md promises must hold; 20 minutes, needs root in part
attacks *args:
    cargo build && python3 benches/attacks/run.py {{args}}

# licences and known vulnerabilities of the dependencies; `cargo install cargo-deny --locked` brings it
deny:
    cargo deny check

# what of the operators' unit tests Miri interprets in minutes, for undefined behaviour; needs nightly Rust with miri. Tree Borrows, since
# crossbeam-epoch, below rayon, casts integers to pointers; threads of rayon's pool are there at the end
miri:
    MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-disable-isolation -Zmiri-ignore-leaks" cargo +nightly miri test -p alike-ops --lib \
        --target-dir target/miri -- tensor ranking::tile ranking::panels ranking::resident::tests::few sparse::csr sparse::derived

# unit tests of the operators under AddressSanitizer: reads and writes outside of what is allocated; needs nightly Rust
asan:
    CARGO_PROFILE_DEV_OPT_LEVEL=1 RUSTFLAGS=-Zsanitizer=address cargo +nightly test -p alike-ops --lib \
        --config 'profile.dev.package."*".opt-level=1' --target x86_64-unknown-linux-gnu --target-dir target/asan

# generate the clients of Python and TypeScript from a server's OpenAPI document, and run their tests against it
clients program="target/release/alike" run="runs/demo/runs/lightgcn":
    .ci/clients {{program}} {{run}}

# systemd units, Helm chart, alert rules, proxies; with a program the units are also started, in a container
deploy *program:
    .ci/deploy {{program}}
