//! A cluster over real HTTP: connections, lists, what is forbidden, and pods that do not start.

mod access;
mod cluster;
mod diagnose;
mod lists;
mod manifests;
mod workloads;
