//! Dockerfiles rewritten by `imgarch lint --fix --unsafe` build for both platforms with a real BuildKit. The tools in
//! the images are stand-ins that record their arguments, so that nothing is downloaded and no foreign program runs.

use std::fs;
use std::path::Path;

use super::site::Site;
use crate::kit::engines::{self, Version};

/// Static programs for the build machine under every platform's name: only the arguments of the tools matter here.
const BASE: &str = r#"
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "mkdir", "-p", "/usr/local/bin", "/usr/bin", "/tmp", "/aws", "/etc/apt/sources.list.d"]
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN ["/bin/busybox", "rm", "/bin/sh"]
COPY bash /bin/sh
ENV PATH=/usr/local/bin:/usr/bin:/bin
COPY --chmod=0755 tool /usr/local/bin/curl
RUN for tool in wget unzip apk apt-get tar cargo rustup go dotnet pip npm dpkg sha256sum protoc; do cp /usr/local/bin/curl /usr/local/bin/$tool; done
RUN printf '#!/bin/sh\n' > /aws/install && chmod +x /aws/install
RUN for arch in x86_64 aarch64; do mkdir -p /target/$arch-unknown-linux-musl/release; done
"#;

/// Creates the file that it was asked to write, with its arguments as the content.
const TOOL: &str = r#"#!/bin/sh
echo "$0 $*" >> /asked
previous=
for word; do
  case "$* :$previous $word" in
  *" :$previous http"*) [ -e "${word##*/}" ] || echo "$word" > "${word##*/}" ;;
  *http*' :-'*[oO]' '*) echo "$*" > "$word" ;;
  esac
  previous=$word
done
case "${0##*/} $*" in
*cargo*x86_64*) touch /target/x86_64-unknown-linux-musl/release/app ;;
*cargo*aarch64*) touch /target/aarch64-unknown-linux-musl/release/app ;;
*go*'-o /'*) touch /app /x ;;
*dotnet*) mkdir -p /out && touch /out/web ;;
*tar*/opt*) mkdir -p /opt && touch /opt/other ;;
*tar*prometheus*) mkdir -p "$(basename "$2" .tar.gz)" && touch "$(basename "$2" .tar.gz)/prometheus" ;;
esac
"#;

#[test]
fn rewritten_dockerfiles_build_for_both_platforms_and_download_the_right_files() {
    let test = "rewritten_dockerfiles_build_for_both_platforms_and_download_the_right_files";
    let Some(site) = Site::new(test) else { return };
    if !engines::unpack(test, site.directory.path(), &["busybox-static", "bash-static"], Version::Newest) {
        return;
    }
    fs::create_dir(site.path("base")).unwrap();
    for (program, name) in [("busybox", "busybox"), ("bash-static", "bash")] {
        let places = ["root/bin", "root/usr/bin"].map(|directory| site.path(directory).join(program));
        let found = places.iter().find(|path| path.exists()).unwrap();
        fs::copy(found, site.path("base").join(name)).unwrap();
    }
    fs::remove_dir_all(site.path("root")).unwrap();
    site.write("base/Dockerfile", BASE);
    site.write("base/tool", TOOL);
    let base = site.image("tools:1");
    let platforms = "linux/amd64,linux/arm64";
    site.docker(&["buildx", "build", "-q", "--network=none", "--platform", platforms, "-t", &base, "--push", "base"]);
    let ill = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/dockerfiles/ill");
    let mut built = 0;
    for entry in fs::read_dir(ill).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        let text = fs::read_to_string(entry.path()).unwrap();
        // BuildKit itself would download the sources of ADD.
        if text.contains("ADD https://") {
            continue;
        }
        site.write(&name, text);
        for _ in 0..3 {
            site.imgarch(&["lint", "--fix", "--unsafe", "--fail-on", "never", &name], None).check(0, &[]);
        }
        let rewritten: String =
            fs::read_to_string(site.path(&name)).unwrap().lines().map(|line| based_on(line, &base) + "\n").collect();
        site.write(&name, rewritten);
        let output = format!("type=local,dest={}", site.path(&format!("{name}.out")).display());
        site.docker(&[
            "buildx",
            "build",
            "-q",
            "--network=none",
            "--platform",
            platforms,
            "-f",
            &name,
            "--output",
            &output,
            ".",
        ]);
        built += 1;
    }
    assert!(built >= 10, "{built}");
    let asked = |name: &str, platform: &str| {
        fs::read_to_string(site.path(&format!("{name}.Dockerfile.out/{platform}/asked"))).unwrap()
    };
    for (name, amd64, arm64) in [
        ("awscli", "awscli-exe-linux-x86_64.zip", "awscli-exe-linux-aarch64.zip"),
        ("node-heredoc", "node-v20.15.0-linux-x64.tar.xz", "node-v20.15.0-linux-arm64.tar.xz"),
        ("go-by-arg", "go1.22.4.linux-amd64.tar.gz", "go1.22.4.linux-arm64.tar.gz"),
        ("kubectl", "bin/linux/amd64/kubectl", "bin/linux/arm64/kubectl"),
    ] {
        assert!(asked(name, "linux_amd64").contains(amd64), "{name}: {}", asked(name, "linux_amd64"));
        assert!(asked(name, "linux_arm64").contains(arm64), "{name}: {}", asked(name, "linux_arm64"));
    }
}

/// A line of a Dockerfile with its image names, but not its stages, replaced by the local base image.
fn based_on(line: &str, base: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["FROM", option, _, rest @ ..] if option.starts_with("--") => {
            [&["FROM", option, base], rest].concat().join(" ")
        }
        ["FROM", _, rest @ ..] => [&["FROM", base], rest].concat().join(" "),
        _ if line.starts_with("# syntax") => "#".to_string(),
        _ => line.replace("--from=busybox", &format!("--from={base}")),
    }
}
