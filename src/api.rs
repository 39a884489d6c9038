//! The library's public functions. They do not read the environment, a configuration file or credentials.

use std::path::Path;
use std::sync::Arc;

use crate::exec::{Exec, Outcome};
use crate::image::{ImageError, Limits, merge, read_directory};
use crate::lint::{Linted, Outside, format_of};
use crate::platform::Target;
use crate::scan::{Options, Report, Unwatched, Watch, keep};
use crate::source::input::{ImageOpener, RegistryOpener};
use crate::source::registry::{RegistryClient, RegistryOptions};
use crate::source::rootfs_dir::Mounts;

/// Reads an image and judges each of its platforms.
///
/// `image` is what `imgarch scan` accepts: a reference, a path to an archive or a layout, or a name with a transport
/// prefix. Registries are accessed without credentials. The report lists content that could not be read; its verdict is
/// then unknown.
pub fn scan(image: &str, options: &Options) -> Report {
    let client = RegistryClient::new(RegistryOptions::default()).expect("the default options name no file to read");
    let open: RegistryOpener = Box::new(move |reference| Box::new(client.image(reference)));
    let opener = ImageOpener { registry: Some(open), ..ImageOpener::default() };
    let watch: Arc<dyn Watch> = Arc::new(Unwatched);
    crate::scan::scan(&[image.to_string()], &|name| opener.open(name), options, &watch)
}

/// Checks a Dockerfile, Compose file, bake file or GitHub workflow for constructs that break on another architecture.
///
/// The format is detected from the name and the text; returns `None` if it is not one of these. Neither the build
/// context nor a registry is read.
pub fn lint(path: &Path, text: &str) -> Option<Linted> {
    let format = format_of(path, text)?;
    Some(crate::lint::lint(path, text, format, &Outside::nothing()))
}

/// Determines what `execve` does with a program of a root file system on `target`, up to the program's own code. Its
/// interpreter, its dynamic loader and its libraries are looked up in `root`.
///
/// `argv` is the program, absolute or looked up in `PATH`, and its arguments. Returns an error if `root` cannot be
/// read.
pub fn execve(root: &Path, argv: &[&str], target: &Target) -> Result<Outcome, ImageError> {
    let read = read_directory(root, Mounts::LeftOut, &Limits::default(), &mut keep)?;
    let mut rootfs = merge([Arc::new(read.contents)]);
    for path in &read.walked.left_out {
        rootfs.leave_unread(path);
    }
    let call = Exec {
        argv: argv.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        working_dir: "/".to_string(),
        ..Exec::default()
    };
    Ok(crate::exec::execve(&rootfs, &call, &target.node))
}
