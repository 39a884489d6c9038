//! Parses POSIX shell and bash into a syntax tree with spans, for following start commands and for lint. Nothing is
//! expanded or run. The grammar is bash's, which contains POSIX's. How a shell treats constructs that it does not
//! support is left to the caller. Source: POSIX.1-2024 XCU 2 "Shell Command Language"; bash 5.2 parse.y and subst.c.

mod arithmetic;
mod ast;
mod compound;
mod parameter;
mod parser;
mod simple;
mod test;
mod word;

pub use arithmetic::{ArithmeticExpression, Operator, expression};
pub use ast::*;
pub use parser::parse;
pub use word::expansion_length;
