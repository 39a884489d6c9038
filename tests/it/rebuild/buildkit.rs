//! A real BuildKit for tests of builders with nodes of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::site::Site;

/// A directory with buildkitd and buildctl.
pub fn directory() -> Option<PathBuf> {
    std::env::var_os("IMGARCH_BUILDKIT").map(PathBuf::from)
}

/// A buildkitd that ends with the test.
pub struct BuildKit {
    /// `tcp://127.0.0.1:PORT`.
    pub address: String,
    server: Child,
}

impl BuildKit {
    /// Starts it with its data and its log in the site's directory. `config` is its configuration.
    pub fn start(site: &Site, directory: &Path, name: &str, config: &str) -> BuildKit {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("tcp://127.0.0.1:{port}");
        site.write(&format!("{name}.toml"), config);
        let mut command = site.command(&directory.join("buildkitd").display().to_string());
        command.args(["--addr", &address, "--containerd-worker=false"]);
        command.arg("--root").arg(site.path(name)).arg("--config").arg(site.path(&format!("{name}.toml")));
        let log = fs::File::create(site.path(&format!("{name}.log"))).unwrap();
        let server = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let started = BuildKit { address, server };
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(site.path(&format!("{name}.log"))).unwrap();
            assert!(start.elapsed() < Duration::from_secs(60), "buildkitd does not start: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }
}

impl Drop for BuildKit {
    fn drop(&mut self) {
        // buildkitd removes its mounts when it is asked to end.
        // SAFETY: kill has no memory effects, and the process was not waited for.
        unsafe { libc::kill(self.server.id() as libc::pid_t, libc::SIGTERM) };
        let _ = self.server.wait();
    }
}
