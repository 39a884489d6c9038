//! `imgarch rebuild` and `imgarch doctor` with a real Docker Engine, a real buildx and a real registry.

mod composed;
mod emulation;
mod gaps;
mod matrix;
mod outputs;
mod registries;
mod rewritten;
mod site;
mod story;
