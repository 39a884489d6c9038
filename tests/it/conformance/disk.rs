//! Image formats on disk, written by this test and by skopeo.

use super::*;
use crate::kit::machine::{self, Need};

#[test]
fn every_format_on_disk_gives_the_same_image() {
    let (sample, directory, options) =
        (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap(), ImageOpener::default());
    let at = |name: &str| directory.path().join(name).display().to_string();
    for name in ["layout", "dir"] {
        fs::create_dir(at(name)).unwrap();
    }
    sample.write_layout(Path::new(&at("layout")));
    sample.write_dir(Path::new(&at("dir")));
    let oci = images::archive(&sample.layout_members());
    let files = [
        ("oci.tar", oci.clone()),
        ("oci.tar.gz", images::gzip(&oci)),
        ("oci.tar.zst", images::zstd(&oci)),
        ("old", sample.docker_archive(1, SHORT)),
        ("old.gz", images::gzip(&sample.docker_archive(1, SHORT))),
        ("new", sample.new_docker_archive(1)),
        ("new.zst", images::zstd(&sample.new_docker_archive(1))),
    ];
    for (name, bytes) in files {
        fs::write(at(name), bytes).unwrap();
    }
    let cases: [(String, &str, &[usize]); 16] = [
        (at("layout"), "OCI layout", BOTH),
        (format!("oci:{}", at("layout")), "OCI layout", BOTH),
        (format!("oci:{}:1", at("layout")), "OCI layout", BOTH),
        (format!("oci:{}:{SHORT}", at("layout")), "OCI layout", BOTH),
        (format!("oci:{}:{}", at("layout"), Digest::from_bytes(&sample.index)), "OCI layout", BOTH),
        (at("oci.tar"), "oci-archive", BOTH),
        (format!("oci-archive:{}:1", at("oci.tar")), "oci-archive", BOTH),
        (at("oci.tar.gz"), "compressed image archive", BOTH),
        (format!("oci-archive:{}:1", at("oci.tar.zst")), "compressed image archive", BOTH),
        (at("old"), "docker-archive", &[1]),
        (format!("docker-archive:{}:{SHORT}", at("old")), "docker-archive", &[1]),
        (at("old.gz"), "compressed image archive", &[1]),
        (at("new"), "docker-archive", BOTH),
        (format!("docker-archive:{}:{SHORT}", at("new.zst")), "compressed image archive", BOTH),
        (at("dir"), "directory of blobs", BOTH),
        (format!("dir:{}", at("dir")), "directory of blobs", BOTH),
    ];
    for (text, origin, platforms) in &cases {
        check(&sample, text, &options, (origin, platforms));
    }
    for (name, platforms) in [("oci.tar", BOTH), ("oci.tar.zst", BOTH), ("old", &[1]), ("old.gz", &[1]), ("new", BOTH)]
    {
        let input = fs::File::open(at(name)).unwrap();
        check_report(&scan(&["-"], &options, input.into()), &format!("- < {name}"), platforms);
    }
}

#[test]
fn an_unpacked_root_file_system_holds_the_same_files() {
    let (sample, directory) = (Sample::new(Breadth::Whole), tempfile::tempdir().unwrap());
    sample.write_tree("arm64", directory.path());
    let is_root = machine::is_root();
    let without_owner = |lines: &[String]| -> Vec<String> {
        let strip = |line: &String| {
            line.split(' ')
                .enumerate()
                .filter(|(at, _)| is_root || *at != 3)
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
                .join(" ")
        };
        lines.iter().map(strip).collect()
    };
    let root = directory.path().display().to_string();
    for text in [root.clone(), format!("rootfs:{root}")] {
        let found = observe(ImageOpener::default().open(&text).unwrap());
        assert_eq!(without_owner(&found[0].lines), without_owner(&expected("arm64")));
    }
    let options = ImageOpener::default();
    for (target, code) in [("linux/arm64", 1), ("linux/amd64", 0)] {
        let arguments = [&root, "--entrypoint", "/app", "--target", target];
        let (found, report) = scan(&arguments, &options, Stdio::null());
        assert_eq!(found, code, "{report:#}");
    }
}

#[test]
fn what_skopeo_writes_is_read_as_the_same_image() {
    let test = "what_skopeo_writes_is_read_as_the_same_image";
    if !machine::has(test, &[Need::Skopeo]) {
        return;
    }
    let (sample, directory, options) =
        (Sample::new(Breadth::ForSchema2), tempfile::tempdir().unwrap(), ImageOpener::default());
    let at = |name: &str| directory.path().join(name).display().to_string();
    sample.write_layout(Path::new(&at("layout")));
    let from = format!("oci:{}:1", at("layout"));
    /// Name, transport, flags, the tag to write, platforms.
    type Case<'a> = (&'a str, &'a str, &'a [&'a str], &'a str, &'a [usize]);
    let cases: [Case<'_>; 4] = [
        ("dir", "dir:", &["copy", "--all"], "", BOTH),
        ("copied", "oci:", &["copy", "--all"], ":again", BOTH),
        ("oci.tar", "oci-archive:", &["copy", "--all"], ":again", BOTH),
        ("docker.tar", "docker-archive:", &["--override-arch", "arm64", "copy"], ":conformance:1", &[1]),
    ];
    for (name, transport, flags, tag, platforms) in cases {
        let (place, to) = (format!("{transport}{}", at(name)), format!("{transport}{}{tag}", at(name)));
        engines::run("skopeo", &[flags, &["--quiet", &from, &to]].concat());
        for text in [at(name), place, to] {
            check(&sample, &text, &options, ("", platforms));
        }
    }
}
