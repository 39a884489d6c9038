//! Reads POSIX shell and bash into a syntax tree with spans, for the start path and for lint. It expands and runs nothing.
//! The grammar is bash's, which contains POSIX's: what a shell makes of a construct that it lacks is for the caller to
//! know. Source: POSIX.1-2024 XCU 2 "Shell Command Language"; bash 5.2 parse.y and subst.c.

mod arithmetic;
mod ast;
mod compound;
mod parameter;
mod parser;
mod simple;
mod test;
mod word;

pub use arithmetic::{Expression, Operator, expression};
pub use ast::*;
pub use parser::parse;
pub use word::expansion_length;
