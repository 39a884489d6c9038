//! Integration tests: the built binary and the library with real registries, engines, kernels and packages.

mod kit;

mod attest;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod builders;
mod completions;
mod conformance;
#[cfg(target_os = "linux")]
mod cpu;
mod debian;
mod diagnose;
mod elf_builder;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod engine;
mod files;
mod fleet;
mod formats;
mod gate;
#[cfg(unix)]
mod hostile;
mod inspect_real;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(feature = "kube")]
mod kube;
mod lazy;
mod limits;
mod lint;
mod mounts;
#[cfg(target_os = "linux")]
mod mutation;
mod oracle;
mod packages;
mod pipeline;
#[cfg(unix)]
mod plugin;
mod realworld;
mod rebuild;
mod registry;
mod scan;
#[cfg(feature = "shared-cache")]
mod shared_cache;
mod words;
mod workflow;
