//! Uses the model of `execve` to predict whether a program in a root file system starts on a node.
//!
//! `cargo run --example ask_execve -- / /bin/sh linux/arm64`

use std::path::Path;
use std::process::ExitCode;

use imgarch::{Target, execve};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [root, program, target] = words.as_slice() else {
        eprintln!("usage: ask_execve ROOT PROGRAM TARGET");
        return ExitCode::from(2);
    };
    let targets = match Target::parse(target) {
        Ok(targets) => targets,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    for target in targets {
        match execve(Path::new(root), &[program], &target) {
            Ok(outcome) => match outcome.cause() {
                None => println!("{}: {}", target.name, outcome.word()),
                Some(cause) => println!("{}: {}: {}", target.name, outcome.word(), cause.text),
            },
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::from(3);
            }
        }
    }
    ExitCode::SUCCESS
}
