//! A cluster over real HTTP: connections, lists, forbidden lists, and pods that do not start.

mod access;
mod cluster;
mod diagnose;
mod lists;
mod manifests;
mod real;
mod workloads;
