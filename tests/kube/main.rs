//! A cluster over real HTTP: connections, lists, what is forbidden, and pods that do not start.
#![cfg(feature = "kube")]

#[path = "../support/distribution.rs"]
mod distribution;
#[path = "../support/elf.rs"]
mod elf;
#[path = "../support/kube_api.rs"]
mod kube_api;
#[path = "../support/registry.rs"]
mod registry;

mod access;
mod cluster;
mod diagnose;
mod lists;
mod workloads;
