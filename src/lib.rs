//! imgarch answers one question about a container image before it is deployed, and explains the answer after a failure:
//! will every program in it start, and keep running, on the nodes it is meant for? It reads the image's bytes. It
//! compares what the index promises, what the config declares and what the files are. A model of Linux's `execve` then
//! decides what a node would do with them.
//!
//! The library answers three questions, without reading the environment, a configuration file or credentials:
//!
//! - [`scan`]: does every program of this image start, on these nodes?
//! - [`lint`]: what in this Dockerfile, Compose file, bake file or workflow breaks on another architecture?
//! - [`execve`]: does this program in a root file system start on this node?
//!
//! ```
//! use imgarch::{Options, Target, scan};
//!
//! let mut options = Options::default();
//! options.targets = Target::parse("linux/arm64,page=64k")?;
//! let report = scan("oci:/nonexistent", &options);
//! assert_eq!(report.images[0].problems.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/` has a program for each. Everything else is internal: the modules that the project's own tests use are
//! hidden and may change without notice.
//!
//! A module uses only modules of its own tier and of lower ones:
//!
//! ```text
//! tier 6  main, cli    turns arguments, environment and config file into settings; one call; an exit code
//! tier 5  report       prints a report in one of its formats
//!         rebuild      report -> plan -> docker buildx; verified before the tag moves
//!         workflow     writes a project's CI files
//! tier 4  scan         open -> select -> read layers -> merge -> judge
//!         lint         Dockerfiles, Compose and bake files, workflows -> findings
//!         diagnose     a message, a log or a pod -> cause and fix
//!         kube, host   nodes -> targets; pods and workloads -> what they start
//!         config       the project's config file, and the findings that it accepts
//! tier 3  judge        findings and the table of their codes; pure
//! tier 2  exec         models a call on a node: execve, the dynamic loader, programs that start programs; pure
//!         cache        contents of layers, kept between runs
//! tier 1  image        index, manifest, config, layers, the merged file system
//!         inspect      identifies a file from a bounded part of its bytes
//!         package      reads single files: a program, a release archive, a package
//!         shell        POSIX shell and bash as a tree with spans
//! tier 0  source       descriptor in, bytes out: registry, engines, archives, layouts
//!         oci          descriptors, digests, documents, references
//!         platform     architectures, platforms, nodes, kernels' tables
//!         yaml         YAML and JSON with the position of each node
//!         files        bounded reads of local files
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_macros, clippy::unwrap_used, clippy::todo))]

mod api;
mod cache;
mod config;
mod diagnose;
mod files;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod host;
mod rebuild;
mod shell;
mod yaml;

#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod exec;
#[doc(hidden)]
pub mod image;
#[doc(hidden)]
pub mod inspect;
#[doc(hidden)]
pub mod judge;
#[doc(hidden)]
pub mod kube;
#[doc(hidden)]
pub mod lint;
#[doc(hidden)]
pub mod oci;
#[doc(hidden)]
pub mod package;
#[doc(hidden)]
pub mod platform;
#[doc(hidden)]
pub mod report;
#[doc(hidden)]
pub mod scan;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod workflow;

pub use api::{execve, lint, scan};
pub use judge::code::{Code, Severity};
pub use judge::finding::Finding;
pub use platform::Target;
pub use scan::{Options, Report};
