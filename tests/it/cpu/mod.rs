//! Compares imgarch with QEMU's CPU models on the instructions that a CPU lacks: compiled programs, and real packages
//! of Debian, PyPI and npm.
//!
//! A few packages are always tested. All of them, with the table of `docs/cpu.md`, run with
//!
//!     IMGARCH_ENGINES=1 IMGARCH_CPU=all cargo test --release --test it cpu:: -- --nocapture
//!
//! which needs root, mmdebstrap, pip, npm and 4 GB: a package is removed after its last answer. `IMGARCH_CPU=polars,bun`
//! tests only these. `IMGARCH_CPU_DIR=DIR` keeps QEMU's answers in DIR, and the packages whose answers differ.
//! `IMGARCH_CPU_PROGRAM=PROGRAM` is the imgarch to compare, instead of the one that was built with the test.
//! `IMGARCH_UPDATE_DOCS=1` writes the table.

mod additional;
mod compiled;
mod package;
mod packages;
mod published;
mod run;
