//! The incident's whole way, with each builder and each kind of registry: the fault is published and found, the
//! platform is built, pushed by digest, verified and tagged, and the new program runs. Every builder and every registry
//! is in some pair that always runs. `IMGARCH_MATRIX=1` runs all pairs. With `IMGARCH_BUILDKIT=DIR`, a directory with
//! buildkitd and buildctl, BuildKit also builds in a container, as a remote builder and on two nodes.
//! The results are written to `target/tmp/matrix.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::buildkit::{self, BuildKit};
use super::site::{RAN, Run, Site, digest_of};
use crate::kit::distribution::{Distribution, Mode, PASSWORD, USER};
use crate::kit::engines::{self, Store, run};
use crate::kit::machine::{self, Need};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Builder {
    /// The `docker` driver with the containerd image store.
    Docker,
    /// The same with the classic image store, which can neither push by digest nor write layouts.
    Classic,
    Container,
    Remote,
    /// Two remote nodes, one of which was declared to be arm64.
    Nodes,
    Podman,
    Buildah,
}

const BUILDERS: &[Builder] = &[
    Builder::Docker,
    Builder::Classic,
    Builder::Container,
    Builder::Remote,
    Builder::Nodes,
    Builder::Podman,
    Builder::Buildah,
];
const MODES: &[Mode] = &[Mode::Plain, Mode::Tls, Mode::Htpasswd, Mode::Token];

impl Builder {
    fn needs_buildkit(self) -> bool {
        matches!(self, Builder::Container | Builder::Remote | Builder::Nodes)
    }

    /// Whether this pair always runs. `story` and `registries` have the others of the `docker` driver.
    fn is_usual_with(self, mode: Mode) -> bool {
        match self {
            Builder::Docker => mode == Mode::Token,
            Builder::Podman => mode == Mode::Tls,
            Builder::Buildah => mode == Mode::Htpasswd,
            Builder::Classic => mode == Mode::Plain,
            Builder::Container | Builder::Remote | Builder::Nodes => false,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Builder::Docker => "docker driver, containerd store",
            Builder::Classic => "docker driver, classic store",
            Builder::Container => "docker-container driver",
            Builder::Remote => "remote driver",
            Builder::Nodes => "remote driver, two nodes",
            Builder::Podman => "podman",
            Builder::Buildah => "buildah",
        }
    }
}

fn is_whole() -> bool {
    buildkit::directory().is_some() || std::env::var_os("IMGARCH_MATRIX").is_some_and(|value| value == "1")
}

struct Matrix {
    site: Site,
    registries: Vec<(Mode, Distribution)>,
    servers: Vec<BuildKit>,
}

impl Matrix {
    fn new(test: &str) -> Option<Matrix> {
        let site = Site::new(test)?;
        if !machine::has(test, &[Need::Podman, Need::Buildah, Need::Skopeo, Need::QemuArm64, Need::Openssl]) {
            return None;
        }
        let start = |mode: &Mode| Some((*mode, Distribution::start(test, *mode)?));
        let registries = MODES.iter().map(start).collect::<Option<Vec<_>>>()?;
        let login = |host: &str| {
            let token =
                base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{USER}:{PASSWORD}"));
            format!(r#""{host}":{{"auth":"{token}"}}"#)
        };
        let logins: Vec<String> = registries.iter().map(|(_, registry)| login(&registry.host)).collect();
        site.podman_configuration();
        site.write("docker-config/config.json", format!(r#"{{"auths":{{{}}}}}"#, logins.join(",")));
        // The fault, as a layout that is copied to each registry.
        let output = "type=oci,dest=fault,tar=false";
        let platforms = "linux/amd64,linux/arm64";
        let build = ["buildx", "build", "-q", "-f", "Faulty.Dockerfile", "--platform", platforms];
        site.docker(&[&build[..], &["--output", output, "."]].concat());
        Some(Matrix { site, registries, servers: Vec::new() })
    }

    fn registry(&self, mode: Mode) -> &Distribution {
        &self.registries.iter().find(|(one, _)| *one == mode).unwrap().1
    }

    /// Settings of BuildKit for the registries.
    fn config(&self) -> String {
        let mut text = String::new();
        for (mode, registry) in &self.registries {
            let line = match mode {
                // BuildKit speaks plain HTTP to this machine's registries by default.
                Mode::Tls => format!("http = false\nca = [\"{}\"]", registry.ca_cert.display()),
                _ => "http = true".to_string(),
            };
            writeln!(text, "[registry.\"{}\"]\n{line}", registry.host).unwrap();
        }
        text
    }

    /// Starts a buildkitd that knows the registries, and returns its address.
    fn buildkitd(&mut self, directory: &Path, name: &str) -> String {
        let server = BuildKit::start(&self.site, directory, name, &self.config());
        let address = server.address.clone();
        self.servers.push(server);
        address
    }

    /// Creates the builder, named as in its debug text, and returns imgarch's options that choose it.
    fn create(&mut self, builder: Builder) -> Vec<String> {
        let name = format!("{builder:?}").to_lowercase();
        let create = ["buildx", "create", "--name", &name];
        match (builder, buildkit::directory()) {
            (Builder::Remote, Some(directory)) => {
                let address = self.buildkitd(&directory, "remote");
                self.site.docker(&[&create[..], &["--driver", "remote", &address]].concat());
            }
            (Builder::Nodes, Some(directory)) => {
                let (one, other) = (self.buildkitd(&directory, "amd64"), self.buildkitd(&directory, "arm64"));
                let native = ["--driver", "remote", "--platform", "linux/amd64", &one];
                self.site.docker(&[&create[..], &native].concat());
                let declared = ["--append", "--driver", "remote", "--platform", "linux/arm64", &other];
                self.site.docker(&[&create[..], &declared].concat());
            }
            (Builder::Container, Some(directory)) => {
                self.push_buildkit(&directory);
                let image = format!("image={}/moby/buildkit:test,network=host", self.site.registry.address);
                self.site.write("container.toml", self.config());
                let options = ["--driver", "docker-container", "--driver-opt", &image, "--bootstrap"];
                let config = self.site.path("container.toml").display().to_string();
                // buildx 0.17 renamed the option and still takes the old name.
                self.site.docker(&[&create[..], &options, &["--config", &config]].concat());
            }
            (Builder::Container | Builder::Remote | Builder::Nodes, None) => unreachable!("they need BuildKit"),
            (Builder::Docker | Builder::Classic, _) => return Vec::new(),
            (Builder::Podman | Builder::Buildah, _) => return vec!["--with".to_string(), name],
        }
        vec!["--".to_string(), "--builder".to_string(), name]
    }

    /// Pushes an image of BuildKit, with runc and its libraries from this system.
    fn push_buildkit(&self, directory: &Path) {
        let context = self.site.path("buildkit");
        fs::create_dir_all(&context).unwrap();
        for name in ["buildkitd", "buildctl"] {
            fs::copy(directory.join(name), context.join(name)).unwrap();
        }
        // With its links, so that the loader has the path that runc names.
        let script = "set -e; runc=$(command -v runc); mkdir -p root; \
            { echo $runc; ldd $runc | grep -o '/[^ ]*'; } | while read -r file; do \
            mkdir -p root$(dirname $file); cp -L $file root$file; done; mkdir -p root/usr/bin root/tmp; \
            cp $runc root/usr/bin/runc; mv buildkitd buildctl root/usr/bin";
        let status = Command::new("sh").args(["-c", script]).env("PATH", machine::PATH).current_dir(&context).status();
        assert!(status.unwrap().success());
        let dockerfile = "FROM scratch\nCOPY root /\nENV PATH=/usr/bin\nENTRYPOINT [\"buildkitd\"]\n";
        self.site.write("buildkit/Dockerfile", dockerfile);
        let image = format!("{}/moby/buildkit:test", self.site.registry.address);
        self.site.docker(&["buildx", "build", "-q", "--provenance=false", "-t", &image, "--push", "buildkit"]);
    }

    fn skopeo(&self, words: &[&str]) -> String {
        let output = self.site.command("skopeo").args(words).output().unwrap();
        assert!(output.status.success(), "skopeo {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Publishes the fault, repairs it, and runs the result.
    fn check(&self, builder: Builder, mode: Mode, options: &[String]) -> &'static str {
        let (site, registry) = (&self.site, self.registry(mode));
        let image = format!("{}/{}:v1", registry.host, format!("{builder:?}").to_lowercase());
        let remote = format!("docker://{image}");
        let login = format!("{USER}:{PASSWORD}");
        self.skopeo(&["copy", "-q", "--all", "--dest-tls-verify=false", "--dest-creds", &login, "oci:fault", &remote]);
        let authority = registry.ca_cert.display().to_string();
        let imgarch = |words: &[&str]| {
            let mut command = site.command(env!("CARGO_BIN_EXE_imgarch"));
            if builder == Builder::Classic {
                command.env("DOCKER_HOST", engines::docker("matrix", Store::Classic).unwrap().host());
            }
            let path = |name: &str| site.path(name);
            command.env("CONTAINERS_STORAGE_CONF", path("storage.conf"));
            command.env("CONTAINERS_CONF", path("containers.conf")).env("TMPDIR", site.temporary());
            command.args(&words[..2]);
            if mode == Mode::Tls {
                command.args(["--ca-cert", &authority]);
            }
            Run::of(&command.args(&words[2..]).output().unwrap())
        };
        let inspect = || -> serde_json::Value {
            let words = ["inspect", "--raw", "--tls-verify=false", "--creds", &login, &remote];
            serde_json::from_str(&self.skopeo(&words)).unwrap()
        };
        let before = inspect();
        imgarch(&["scan", &image]).check(1, &["entrypoint-wrong-arch"]);
        let words: Vec<&str> =
            ["rebuild", &image, "--yes"].into_iter().chain(options.iter().map(String::as_str)).collect();
        let rebuilt = imgarch(&words);
        if builder == Builder::Classic {
            rebuilt.check(3, &["neither pushes by digest nor writes OCI layouts", "docker buildx create"]);
            assert_eq!(inspect(), before);
            return "refused with the command that creates a builder";
        }
        rebuilt.check(0, &["is rebuilt and verified"]);
        imgarch(&["scan", &image]).check(0, &["2 platforms"]);
        let after = inspect();
        assert_eq!(digest_of(&before, "amd64"), digest_of(&after, "amd64"), "{builder:?} {mode:?}");
        assert_ne!(digest_of(&before, "arm64"), digest_of(&after, "arm64"), "{builder:?} {mode:?}");
        self.runs(&remote, &login);
        "yes"
    }

    /// Runs the arm64 program of an image under emulation.
    fn runs(&self, remote: &str, login: &str) {
        let pulled = self.site.path("pulled");
        let _ = fs::remove_dir_all(&pulled);
        let from = ["copy", "-q", "--override-arch", "arm64", "--src-tls-verify=false", "--src-creds", login, remote];
        self.skopeo(&[&from[..], &[&format!("dir:{}", pulled.display())]].concat());
        let script = "for blob in pulled/*; do tar -xOf $blob app > app 2> /dev/null && break; done; chmod +x app; \
            exec qemu-aarch64-static ./app";
        assert_eq!(self.site.command("sh").args(["-c", script]).status().unwrap().code(), Some(RAN), "{remote}");
    }
}

#[test]
fn every_builder_repairs_an_image_in_every_registry() {
    let test = "every_builder_repairs_an_image_in_every_registry";
    let Some(mut matrix) = Matrix::new(test) else { return };
    if engines::docker(test, Store::Classic).is_none() {
        return;
    }
    let mut table =
        String::from("| builder | HTTP | TLS with a private CA | htpasswd | token |\n|---|---|---|---|---|\n");
    for builder in BUILDERS.iter().filter(|builder| !builder.needs_buildkit() || buildkit::directory().is_some()) {
        let options = matrix.create(*builder);
        let check = |mode: &Mode| match is_whole() || builder.is_usual_with(*mode) {
            true => matrix.check(*builder, *mode, &options),
            false => "not run",
        };
        let row: Vec<&str> = MODES.iter().map(check).collect();
        writeln!(table, "| {} | {} |", builder.title(), row.join(" | ")).unwrap();
        if builder.needs_buildkit() {
            matrix.site.docker(&["buildx", "rm", &format!("{builder:?}").to_lowercase()]);
        }
    }
    let version = |program: &str, words: &[&str]| run(program, words).lines().next().unwrap_or_default().to_string();
    let versions = [
        version("docker", &["--version"]),
        version("docker", &["buildx", "version"]),
        version("podman", &["--version"]),
        version("buildah", &["--version"]),
    ];
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix.md");
    fs::write(&file, format!("{}\n\n{table}", versions.join("; "))).unwrap();
}
