//! A cluster over real HTTP: connections, lists, what is forbidden, and pods that do not start.
#![cfg(feature = "kube")]

#[path = "../support/elf.rs"]
#[allow(dead_code, reason = "a part of it builds the programs of an image")]
mod elf;
#[path = "../support/kube_api.rs"]
mod kube_api;
#[path = "../support/registry.rs"]
#[allow(dead_code, reason = "a part of it serves the incident's image")]
mod registry;

mod access;
mod cluster;
mod diagnose;
mod lists;
