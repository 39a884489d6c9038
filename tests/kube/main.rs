//! A cluster over real HTTP: connections, lists, what is forbidden, and pods that do not start.
#![cfg(feature = "kube")]

#[path = "../support/kube_api.rs"]
mod kube_api;

mod access;
mod lists;
