//! Layer, step, line and base of each file, from the histories that BuildKit, the classic builder and buildah write.

use super::site::{Builder, Origin, Site, origins};

/// Accepted by all builders. Each foreign file's directory names how the file was added.
const DOCKERFILE: &str = "\
FROM BASE AS build
WORKDIR /src
COPY foreign /src/made

FROM BASE
ARG NAME=by-argument \\
    OTHER=1
ENV WHERE=/opt/by-variable
LABEL a=b
# COPY foreign /opt/comment
COPY foreign /opt/${NAME}/tool
COPY foreign $WHERE/tool
COPY --from=build /src/made /opt/by-stage/tool
WORKDIR /opt/by-folder
COPY foreign .
WORKDIR deeper
COPY foreign ./tool
RUN /bin/busybox mkdir -p /opt/by-run && \\
    # a comment inside
    /bin/busybox cp /opt/by-folder/foreign /opt/by-run/tool
RUN [\"/bin/busybox\", \"cp\", \"/opt/by-folder/foreign\", \"/opt/by-exec\"]
ADD [\"foreign\", \"/opt/by-add/\"]
EXPOSE 80
SHELL [\"/bin/sh\", \"-e\", \"-c\"]
RUN /bin/busybox cp /opt/by-exec /opt/by-shell && echo $OTHER
ENTRYPOINT [\"/bin/busybox\"]
CMD [\"true\"]
";

/// For each file: its line in [`DOCKERFILE`], and a part of its step.
const ORIGINS: &[(&str, u64, &str)] = &[
    ("by-argument/tool", 11, "COPY "),
    ("by-variable/tool", 12, "COPY "),
    ("by-stage/tool", 13, "COPY "),
    ("by-folder/foreign", 15, "COPY "),
    ("by-folder/deeper/tool", 17, "COPY "),
    ("by-run/tool", 18, "RUN /bin/busybox mkdir -p /opt/by-run && "),
    ("by-exec", 21, "/opt/by-exec"),
    ("by-add/foreign", 22, "ADD "),
    ("by-shell", 25, "RUN /bin/busybox cp /opt/by-exec /opt/by-shell && echo $OTHER"),
];

/// `base`: the expected base flag of layers of the base image, and of the other layers.
fn check(site: &Site, arguments: &[&str], base: (Option<bool>, Option<bool>)) {
    site.build("app", DOCKERFILE, arguments);
    let report = site.scan("app", ":1");
    let found = origins(&report);
    let mut expected: Vec<(&str, Option<u64>, &str)> =
        ORIGINS.iter().map(|(path, line, step)| (*path, Some(*line), *step)).collect();
    // The base has another Dockerfile, and so does its trigger.
    expected.extend([("in-base/tool", None, "COPY "), ("on-build/tool", None, "COPY ")]);
    for (path, line, step) in &expected {
        let is_base = if *path == "in-base/tool" { base.0 } else { base.1 };
        let origin: &Origin = found.get(*path).unwrap_or_else(|| panic!("{path} in {found:#?}"));
        assert!(origin.0.contains(step), "{path}: {origin:?}");
        assert_eq!((origin.1, origin.2), (*line, is_base), "{path}: {origin:?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn buildkits_layers_have_their_lines_and_its_provenance_names_the_base() {
    let Some(site) = Site::of("buildkits_layers_have_their_lines", Builder::BuildKit) else { return };
    check(&site, &["--provenance=mode=max"], (Some(true), Some(false)));
    // Mode "min" does not list the layers of each step.
    check(&site, &["--provenance=mode=min"], (None, None));
}

#[test]
fn content_from_the_dockerfile_itself_has_its_line() {
    let Some(site) = Site::of("what_buildkit_reads_from_the_dockerfile_itself", Builder::BuildKit) else { return };
    let dockerfile = "\
FROM BASE
COPY --chmod=755 foreign /opt/by-copy/tool
COPY <<TXT /etc/not-a-dockerfile
RUN busybox cp /opt/by-copy/tool /opt/by-heredoc
COPY foreign /opt/by-copy/tool
TXT
RUN <<SH
busybox cp /opt/by-copy/tool /opt/by-heredoc
busybox true
SH
RUN --network=none busybox cp /opt/by-copy/tool /opt/by-run
CMD [\"busybox\"]
";
    site.build("heredocs", dockerfile, &["--provenance=false"]);
    let found = origins(&site.scan("heredocs", ":1"));
    for (path, line) in [("by-copy/tool", 2), ("by-heredoc", 7), ("by-run", 11)] {
        assert_eq!(found[path].1, Some(line), "{path}: {found:#?}");
    }
}

#[test]
fn the_base_that_a_label_names_is_looked_up_in_the_images_own_registry() {
    let Some(site) = Site::of("the_base_that_a_label_names_is_looked_up", Builder::BuildKit) else { return };
    let report = site.scan("base", ":1");
    let digest = report["images"][0]["digest"].as_str().unwrap().to_string();
    let build = |name: &str, digest: &str| {
        let name = format!("--label=org.opencontainers.image.base.name={name}");
        let digest = format!("--label=org.opencontainers.image.base.digest={digest}");
        let dockerfile = "FROM BASE\nCOPY foreign /opt/own/tool\nCMD [\"busybox\"]\n";
        site.build("labelled", dockerfile, &["--provenance=false", &name, &digest]);
        let found = origins(&site.scan("labelled", ":1"));
        ["in-base/tool", "on-build/tool", "own/tool"].map(|path| found[path].2)
    };
    let base = format!("{}:1", site.name("base"));
    assert_eq!(build(&base, &digest), [Some(true), Some(false), Some(false)]);
    // The tag may have moved since: the digest counts. A base that is missing or on another host is not guessed.
    assert_eq!(build(&format!("{}:gone", site.name("base")), &digest), [Some(true), Some(false), Some(false)]);
    assert_eq!(build(&base, &format!("sha256:{}", "0".repeat(64))), [None; 3]);
    assert_eq!(build("registry.invalid/base:1", &digest), [None; 3]);
}

#[test]
fn the_classic_builders_layers_have_their_lines() {
    let Some(site) = Site::of("the_classic_builders_layers_have_their_lines", Builder::Classic) else { return };
    check(&site, &[], (None, None));
}

#[test]
fn buildahs_layers_have_their_lines_and_its_base() {
    let Some(site) = Site::of("buildahs_layers_have_their_lines_and_its_base", Builder::Buildah) else { return };
    check(&site, &[], (Some(true), Some(false)));
}

#[test]
fn buildahs_single_layer_is_attributed_to_all_its_steps() {
    let Some(site) = Site::of("buildahs_single_layer_is_of_all_its_steps", Builder::BuildahSingle) else { return };
    site.build("app", DOCKERFILE, &[]);
    let found = origins(&site.scan("app", ":1"));
    let (step, line, is_base) = &found["by-run/tool"];
    assert!(step.contains("; RUN /bin/busybox mkdir -p /opt/by-run &&") && step.contains("ADD file:"), "{step}");
    assert_eq!((*line, *is_base), (None, Some(false)));
    assert_eq!(found["in-base/tool"].2, Some(true), "{found:#?}");
}
