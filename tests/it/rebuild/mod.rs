//! `imgarch rebuild` and `imgarch doctor` with a real Docker Engine, a real buildx and a real registry.

mod buildkit;
mod composed;
mod emulation;
mod gaps;
mod matrix;
mod nodes;
mod outputs;
mod registries;
mod rewritten;
mod signatures;
mod site;
mod story;
