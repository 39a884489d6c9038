//! Whether imgarch and QEMU's CPU models agree on what a CPU cannot execute: compiled programs, and real packages of
//! Debian, PyPI and npm.
//!
//! A few packages are always tried. All of them, with the table of `docs/cpu.md`:
//!
//!     IMGARCH_ENGINES=1 IMGARCH_CPU=all cargo test --release --test it cpu:: -- --nocapture
//!
//! which needs root, mmdebstrap, pip, npm and 12 GB. `IMGARCH_CPU=polars,bun` tries these alone;
//! `IMGARCH_CPU_DIR=DIRECTORY` keeps what was installed; `IMGARCH_UPDATE_DOCS=1` writes the table.

mod compiled;
mod packages;
mod published;
mod run;
