//! A build context, a registry to push to, and the scan of the result.

use crate::kit::machine::{self, Need};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::kit::elf::ElfBuilder;
use crate::kit::engines::{self, Engine, Registry, Store, Version};

/// An image with a shell, a foreign file, and a trigger.
const BASE: &str = "\
FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY foreign /opt/in-base/tool
ENV PATH=/bin
ONBUILD COPY foreign /opt/on-build/tool
";

/// The builder under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    BuildKit,
    /// Docker's builder before BuildKit.
    Classic,
    /// Writes one layer for each step.
    Buildah,
    /// Writes one layer for all steps.
    BuildahSingle,
}

pub struct Site {
    builder: Builder,
    registry: &'static Registry,
    engine: Option<&'static Engine>,
    pub directory: tempfile::TempDir,
}

impl Site {
    /// `None` if this builder is not available; the test is then skipped.
    pub fn of(test: &str, builder: Builder) -> Option<Site> {
        let engine = match builder {
            Builder::BuildKit => Some(engines::docker(test, Store::Containerd)?),
            Builder::Classic => Some(engines::docker(test, Store::Classic)?),
            Builder::Buildah | Builder::BuildahSingle => None,
        };
        if engine.is_none() && !machine::has(test, &[Need::Root, Need::Buildah]) {
            return None;
        }
        let site =
            Site { builder, registry: engines::registry(test)?, engine, directory: tempfile::tempdir().unwrap() };
        // A static busybox, because the machine's own may need libraries.
        if !engines::unpack(test, site.directory.path(), &["busybox-static"], Version::Oldest) {
            return None;
        }
        let places = ["root/bin/busybox", "root/usr/bin/busybox"].map(|place| site.directory.path().join(place));
        let busybox = places.iter().find_map(|place| fs::read(place).ok()).expect("the package has its program");
        site.write("busybox", &busybox);
        site.write("foreign", &ElfBuilder::arm64().build());
        site.build("base", BASE, &[]);
        Some(site)
    }

    /// `127.0.0.1:PORT/builder/NAME`. The builders share the registry, so each has its own repositories.
    pub fn name(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.registry.address, format!("{:?}", self.builder).to_lowercase())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Builds `NAME:1` and pushes it. `BASE` in the Dockerfile is replaced by the base image. `arguments` are passed to
    /// the builder.
    pub fn build(&self, name: &str, dockerfile: &str, arguments: &[&str]) {
        let (base, tag) = (format!("{}:1", self.name("base")), format!("{}:1", self.name(name)));
        let file = self.directory.path().join(format!("Dockerfile.{name}"));
        fs::write(&file, dockerfile.replace("BASE", &base)).unwrap();
        let (file, directory) = (file.display().to_string(), self.directory.path().display().to_string());
        match (self.builder, self.engine) {
            (Builder::BuildKit, Some(engine)) => {
                let own = ["buildx", "build", "--quiet", "--network=none", "--file", &file, "--tag", &tag, "--push"];
                engine.docker(&[&own[..], arguments, &[&directory]].concat());
            }
            (_, Some(engine)) => {
                let own = ["build", "--quiet", "--network=none", "--file", &file, "--tag", &tag];
                let mut command = engine.command(&[&own[..], arguments, &[&directory]].concat());
                succeed(command.env("DOCKER_BUILDKIT", "0"));
                engine.docker(&["push", "--quiet", &tag]);
            }
            (builder, None) => {
                let layers = format!("--layers={}", builder == Builder::Buildah);
                // Only Docker's format has ONBUILD, and only OCI's has the annotations that name the base.
                let format = if name == "base" { "--format=docker" } else { "--format=oci" };
                let own = ["build", &layers, "--isolation=chroot", "--network=host", "--pull=never", format];
                // buildah 1.43 raises these limits, which needs a right that not every machine's root has.
                let limits = ["--ulimit=nproc=4096", "--ulimit=nofile=1024"];
                self.buildah(
                    &[&own[..], &limits, &["--file", &file, "--tag", &tag], arguments, &[&directory]].concat(),
                );
                self.buildah(&["push", "--tls-verify=false", &tag]);
            }
        }
    }

    fn buildah(&self, arguments: &[&str]) {
        let place = |name: &str| self.directory.path().join(name).display().to_string();
        let mut command = Command::new("buildah");
        command.args(["--root", &place("store"), "--runroot", &place("run"), "--storage-driver=vfs"]);
        succeed(command.args(arguments).env("TMPDIR", self.directory.path()));
    }

    /// The report on `NAME:1`, or on another tag or digest, with the lines of the Dockerfile.
    pub fn scan(&self, name: &str, selector: &str) -> Value {
        let file = self.directory.path().join(format!("Dockerfile.{name}"));
        let image = format!("{}{selector}", self.name(name));
        let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
        command.args(["scan", &image, "--all", "--format=json", "--dockerfile"]).arg(file);
        let cache = self.directory.path().join("cache");
        let output = command.env("XDG_CACHE_HOME", cache).env_remove("DOCKER_HOST").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{image}: {error}: {text}"))
    }
}

/// Where a file came from: the build step, its line, and whether the layer belongs to the base.
pub type Origin = (String, Option<u64>, Option<bool>);

/// The origin of each file below /opt.
pub fn origins(report: &Value) -> BTreeMap<String, Origin> {
    let platform = &report["images"][0]["platforms"][0];
    let findings = platform["findings"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let origin = |finding: &Value| {
        let layer = &finding["layer"];
        let whole = &platform["layers"][layer["index"].as_u64()? as usize];
        assert_eq!(layer["step"], whole["step"]);
        let step = layer["step"].as_str().unwrap_or_default().to_string();
        let path = finding["path"].as_str()?.strip_prefix("/opt/")?.to_string();
        Some((path, (step, layer["dockerfile_line"].as_u64(), whole["base"].as_bool())))
    };
    findings.iter().filter_map(origin).collect()
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", said(&output.stdout), said(&output.stderr));
}
