//! Many images of one registry: how long a run takes with a slow registry, which requests it makes, and that its report
//! does not depend on the order in which images finish.

mod deploy;
mod registry;
mod results;
#[cfg(feature = "shared-cache")]
mod s3;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::kit::elf::ElfBuilder;
use crate::kit::registry::FakeRegistry;
use crate::kit::small::{Small, imgarch, said};

/// A registry of different images. Every fifth has a program for another architecture.
pub struct Images {
    pub registry: FakeRegistry,
    pub names: Vec<String>,
    /// Digests of their layers.
    pub layers: Vec<String>,
    pub machine: tempfile::TempDir,
}

impl Images {
    /// `count` images, in repositories with four tags each.
    pub fn new(count: usize) -> Images {
        let registry = FakeRegistry::start();
        let (mut names, mut layers) = (Vec::new(), Vec::new());
        for number in 0..count {
            let program = if number % 5 == 4 { ElfBuilder::arm64().build() } else { ElfBuilder::amd64().build() };
            let own = format!("image {number}\n").into_bytes();
            let layer = Small::new("amd64", program).file("etc/number", 0o644, own).layer();
            let (repository, tag) = (format!("team/app{:03}", number / 4), format!("v{}", number % 4));
            layers.push(registry.put_image(&repository, &tag, &layer).layer.to_string());
            names.push(format!("{}/{repository}:{tag}", registry.host));
        }
        let machine = tempfile::tempdir().unwrap();
        std::fs::write(machine.path().join("images.txt"), names.join("\n")).unwrap();
        Images { registry, names, layers, machine }
    }

    pub fn path(&self) -> &Path {
        self.machine.path()
    }

    /// The output of a scan of all images, and its exit code.
    pub fn scan(&self, args: &[&str]) -> (String, i32) {
        let args = [&["scan", "--images-from", "images.txt", "--format", "plain"], args].concat();
        let output = imgarch(self.path(), &args, &[]);
        let (text, code) = said(&output);
        assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (text, code)
    }
}

#[test]
fn two_hundred_images_are_requested_concurrently_and_take_one_request_each_when_cached() {
    let images = Images::new(200);
    images.registry.set_latency(Duration::from_millis(50));
    let started = Instant::now();
    let (cold, code) = images.scan(&[]);
    let cold_took = started.elapsed();
    assert_eq!(code, 1);
    assert_eq!(cold.lines().filter(|line| line.starts_with("image\t")).count(), 200);
    // Roots and configs use 16 connections, layers fewer.
    let connections = images.registry.connections();
    assert!((16..=48).contains(&connections), "{connections}");
    let before = images.registry.asked().len();
    let started = Instant::now();
    let (warm, _) = images.scan(&[]);
    let warm_took = started.elapsed();
    assert_eq!(warm, cold);
    let asked = images.registry.asked().split_off(before);
    assert_eq!(asked.len(), 200, "{asked:?}");
    assert!(asked.iter().all(|one| one.starts_with("HEAD /v2/team/")), "{asked:?}");
    eprintln!("200 images at 50 ms: cold {cold_took:?}, warm {warm_took:?}");
}

#[test]
fn the_report_does_not_depend_on_which_image_finishes_first() {
    let images = Images::new(24);
    let (one, code) = images.scan(&["--no-cache", "--jobs", "1"]);
    assert_eq!(code, 1);
    let order: Vec<&str> = one.lines().filter_map(|line| line.strip_prefix("image\t")?.split('\t').next()).collect();
    assert_eq!(order, images.names);
    for jobs in ["2", "16"] {
        assert_eq!(images.scan(&["--no-cache", "--jobs", jobs]), (one.clone(), code));
    }
}

#[test]
fn a_layer_that_concurrent_images_share_is_read_once() {
    let registry = FakeRegistry::start();
    let layer = Small::new("amd64", ElfBuilder::amd64().build()).layer();
    let names: Vec<String> = (0..12)
        .map(|number| {
            registry.put_image(&format!("team/app{number}"), "v1", &layer);
            format!("{}/team/app{number}:v1", registry.host)
        })
        .collect();
    let machine = tempfile::tempdir().unwrap();
    let args: Vec<&str> = ["scan", "--format", "plain"].into_iter().chain(names.iter().map(String::as_str)).collect();
    assert_eq!(said(&imgarch(machine.path(), &args, &[])).1, 0);
    let digest = imgarch::oci::Digest::from_bytes(&layer).to_string();
    assert_eq!(registry.asked().iter().filter(|asked| asked.contains(&digest)).count(), 1);
}
