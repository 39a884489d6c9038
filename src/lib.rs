//! imgarch answers one question about a container image before it is deployed, and explains it after it has failed:
//! will every program in it start, and keep running, on the nodes it is meant for? It reads the image's bytes, compares
//! what the index promises, what the config declares and what the files are, and asks a model of Linux's `execve` what
//! a node would do with them.
//!
//! A floor uses only floors below it, and data flows one way, from the ground up:
//!
//! ```text
//! floor 7  main, cli    what was typed becomes what was decided; the only exit
//! floor 6  report       a report in one of its formats
//!          rebuild      report -> plan -> docker buildx; verified before the tag moves
//!          workflow     the CI files that imgarch writes for a project
//!          config       what a project's file says, and what of a report is accepted
//! floor 5  scan         open -> select -> read layers -> merge -> judge
//!          lint         Dockerfiles, compose and bake files, workflows -> findings
//!          host         this machine as a target
//!          kube         nodes -> targets; pods and workloads -> what they start
//!          diagnose     a message, a log or a pod -> cause and cure
//! floor 4  judge        execve's model, the rules, the table of finding codes; pure
//!          cache        what was found in layers, remembered between runs
//! floor 3  image        index, manifest, config, layers, the merged file system
//!          inspect      what a file is, from a bounded part of its bytes
//! floor 2  source       descriptor in, bytes out: registry, engines, archives, layouts
//! floor 1  oci          descriptors, digests, documents, references
//! floor 0  platform     architectures, platforms, nodes, kernels' tables
//! ```
//!
//! ```
//! use imgarch::platform::{Arch, Platform};
//!
//! let platform = Platform::parse("linux/aarch64")?;
//! assert_eq!(platform.arch(), Some(Arch::Arm64));
//! # Ok::<(), imgarch::platform::PlatformError>(())
//! ```

pub mod cache;
pub mod cli;
pub mod config;
pub mod diagnose;
pub mod exec;
pub mod host;
pub mod image;
pub mod inspect;
pub mod judge;
pub mod kube;
pub mod lint;
pub mod oci;
pub mod platform;
pub mod rebuild;
pub mod report;
pub mod scan;
pub mod source;
pub mod workflow;
