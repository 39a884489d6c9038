//! Tests of what reaches the image: each Dockerfile with the errors that the rules report.

use std::path::Path;

use super::rule::Severity;
use super::{HostFile, Outside, SourceFormat, lint};
use crate::platform::Arch;

fn errors_with(text: &str, outside: &Outside<'_>) -> Vec<String> {
    let linted = lint(Path::new("Dockerfile"), text, SourceFormat::Dockerfile, outside);
    assert_eq!(linted.problems, [], "{text}");
    let errors = linted.findings.iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| format!("{}: {}", finding.code, &text[finding.span.clone()])).collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(errors_with(text, &Outside::nothing()), expected, "{text}");
}

#[test]
fn the_build_platform_is_inherited_through_names() {
    check(
        "FROM --platform=$BUILDPLATFORM python AS builder\nCOPY . /app\nFROM builder AS mid\nFROM mid AS dev\nRUN apk add git\n",
        &["final-stage-on-build-platform: mid"],
    );
    check(
        "FROM --platform=linux/amd64 debian AS base\nFROM base\nRUN true\n",
        &["from-platform-constant: --platform=linux/amd64"],
    );
    check(
        "FROM --platform=$BUILDPLATFORM node AS js\nRUN npm run build\nFROM nginx\nCOPY --from=js /app/dist /usr/share/nginx/html\n",
        &[],
    );
}

#[test]
fn an_argument_may_hold_the_whole_name() {
    check(
        "FROM debian\nARG URL=https://x.io/t_amd64.deb\nRUN curl -sSL $URL -o /tmp/t && dpkg -i /tmp/t\n",
        &["hard-coded-arch: $URL"],
    );
    check("FROM scratch\nARG BINARY=bin/app-arm64\nCOPY ${BINARY} /app\n", &["hard-coded-arch: ${BINARY}"]);
    check("ARG A=arm64\nFROM scratch\nARG A\nCOPY bin/app-$A /app\n", &["hard-coded-arch: $A"]);
    check(
        "FROM a\nENV V=1 F=tool-$V-linux-amd64.tgz\nENV U=x.io/$F\nRUN curl -O http://$U\n",
        &["hard-coded-arch: $U"],
    );
    let passed = Outside { passes: &|name| name == "A", ..Outside::nothing() };
    let text = "ARG A=amd64\nFROM base-$A\nARG A\nCOPY .build/linux-$A/app /app\nRUN curl -O https://x.io/t-linux-$A\n";
    assert_eq!(errors_with(text, &passed), [""; 0]);
}

#[test]
fn a_path_of_one_architecture_is_started() {
    check("FROM debian\nENTRYPOINT [\"/usr/lib/x86_64-linux-gnu/notify\"]\n", &["hard-coded-arch: x86_64"]);
    check("FROM debian\nCMD exec /usr/lib/aarch64-linux-gnu/x\n", &["hard-coded-arch: aarch64"]);
    check("FROM debian\nCOPY app /app-amd64\nENTRYPOINT [\"/app-amd64\"]\n", &[]);
}

#[test]
fn build_tools_get_an_architecture_in_many_ways() {
    check("FROM golang\nRUN XC_ARCH=\"amd64\" make bin && mv bin/x /usr/bin/x\n", &["build-arch-constant: amd64"]);
    check("FROM golang\nRUN export GOARCH=amd64 && go build\n", &["goarch-constant: amd64"]);
    check("FROM golang\nRUN GOARCH=amd64; go build\n", &[]);
    check("FROM golang\nRUN make GOARCH=amd64\n", &["goarch-constant: amd64"]);
    check("FROM a\nRUN cmake -DCMAKE_SYSTEM_PROCESSOR=aarch64 .\n", &["build-arch-constant: aarch64"]);
    check("FROM a\nRUN apt-get install -y gcc-aarch64-linux-gnu\nRUN cmake -DCMAKE_SYSTEM_PROCESSOR=aarch64 .\n", &[]);
    check("FROM golang\nRUN GOARCH=amd64 go build -o a\nRUN GOARCH=arm64 go build -o b\n", &[]);
}

#[test]
fn a_variable_that_is_not_exported_is_invisible_to_go() {
    let file = |set: &str| {
        format!(
            "FROM --platform=$BUILDPLATFORM golang AS b\nARG TARGETPLATFORM\nRUN case $TARGETPLATFORM in linux/arm64) export GOARCH=arm64 ;; esac && echo \"{set}$GOARCH\" > /env\nRUN . /env && go build -o app .\nFROM alpine\nCOPY --from=b /go/app /app\n"
        )
    };
    check(&file("GOARCH="), &["native-build-on-build-platform: go"]);
    check(&file("export GOARCH="), &[]);
    let direct = |run: &str| {
        format!(
            "FROM --platform=$BUILDPLATFORM golang AS b\nARG TARGETARCH\nRUN {run}\nFROM alpine\nCOPY --from=b /go/app /app\n"
        )
    };
    check(&direct("GOARCH=$TARGETARCH; go build -o app ."), &["native-build-on-build-platform: go"]);
    check(&direct("GOARCH=$TARGETARCH go build -o app ."), &[]);
    check(&direct("export GOARCH=$TARGETARCH; go build -o app ."), &[]);
    check(&direct("go build -o /bin/gen ./gen && make TARGETARCH=$TARGETARCH app"), &[]);
}

#[test]
fn files_for_several_architectures_are_intended() {
    check("FROM a\nCOPY --from=x /o/amd64/k /s/amd64/k\nCOPY --from=x /o/arm64/k /s/arm64/k\n", &[]);
    check("FROM a\nADD t_amd64.snap /t_amd64.snap\nADD t_armhf.snap /t_armhf.snap\n", &[]);
    check("FROM a\nRUN curl -O https://x.io/t-amd64\nRUN curl -O https://x.io/t-arm64\n", &[]);
}

#[test]
fn a_choice_by_architecture_is_not_a_constant() {
    check("FROM a\nRUN case $(uname -m) in x86_64) f=t-amd64 ;; *) f=t-arm64 ;; esac; curl -O https://x.io/$f\n", &[]);
    check(
        "FROM a\nARG P\nRUN if test \"$P\" != \"$(dpkg --print-architecture)\"; then echo \"deb [arch=amd64] http://x y\" > /l; fi\n",
        &[],
    );
    check("FROM a\nRUN [ \"$(arch)\" = x86_64 ] && curl -O https://x.io/t-amd64 || true\n", &[]);
    check("FROM a\nRUN m=$(uname -m); if [ $m = x86_64 ]; then curl -O https://x.io/t-amd64; fi\n", &[]);
    check("FROM a\nRUN x --y $(test \"$g\" = 'riscv64-linux-musl' && echo z)\n", &[]);
    check("FROM a\nRUN if [ ! -e t ]; then curl -O https://x.io/t-amd64; fi\n", &["hard-coded-arch: amd64"]);
}

#[test]
fn words_that_select_no_machine_code_are_not_reported() {
    for text in [
        "FROM a\nCOPY build-amd64.sh /b.sh\nRUN ./scripts/setup-x86_64.sh\n",
        "FROM a\nLABEL arch=x86_64 url=https://x.io/t-amd64\n",
        "FROM a\nRUN --mount=type=cache,id=go-amd64,target=/c go build\n",
        "FROM a\nRUN apt-get install -y gcc-riscv64-linux-gnu\nENV PKG_CONFIG_PATH=/usr/lib/riscv64-linux-gnu/pkgconfig\n",
        "FROM a\nRUN dpkg --add-architecture arm64 && apt-get install zlib1g-dev:arm64 && cp /usr/lib/aarch64-linux-gnu/libz.so /x\n",
        "FROM a\nRUN echo /lib > /etc/ld-musl-x86_64.path\n",
        "FROM a\nRUN wget -O /tmp/t-amd64 https://x.io/t && chmod +x /tmp/t-amd64 && mv /tmp/t-amd64 /usr/bin/t\n",
        "FROM a AS t\nRUN curl -O https://x.io/tool-amd64\nFROM b\nRUN true\n",
        "FROM a AS docs\nRUN curl -O https://x.io/hugo_Linux-64bit.tgz\nFROM nginx\nCOPY --from=docs /src/public /usr/share/nginx/html\n",
    ] {
        check(text, &[]);
    }
}

#[test]
fn a_file_for_one_architecture_names_it() {
    let outside = Outside { file_archs: vec![Arch::Arm64], ..Outside::nothing() };
    let text = "FROM arm64v8/alpine\nRUN curl -O https://x.io/t-aarch64\n";
    assert_eq!(errors_with(text, &outside), [""; 0]);
    assert_eq!(errors_with("FROM alpine\nRUN curl -O https://x.io/t-x86_64\n", &outside), ["hard-coded-arch: x86_64"]);
}

#[test]
fn a_known_download_needs_no_architecture_in_its_name() {
    check(
        "FROM a\nARG V=v0.19.0\nADD https://github.com/krallin/tini/releases/download/${V}/tini /tini\n",
        &["hard-coded-arch: tini"],
    );
    check(
        "FROM a\nADD https://github.com/krallin/tini/releases/download/v1/tini-${TARGETARCH} /tini\n",
        &["target-arg-undeclared: TARGETARCH"],
    );
}

#[test]
fn a_started_script_is_checked() {
    let host = |head: &'static [u8], is_executable: bool| {
        move |path: &str| match path {
            "entry.sh" | "docker/entry.sh" => {
                vec![HostFile { path: path.to_string(), head: head.to_vec(), is_executable }]
            }
            _ => Vec::new(),
        }
    };
    let with = |text: &str, head: &'static [u8], is_executable: bool| {
        let files = host(head, is_executable);
        errors_with(text, &Outside { files: &files, ..Outside::nothing() })
    };
    let (unix, windows): (&[u8], &[u8]) = (b"#!/bin/sh\nx\n", b"#!/bin/sh\r\nx\r\n");
    let text = "FROM a\nCOPY docker/entry.sh /e.sh\nENTRYPOINT [\"/e.sh\"]\n";
    assert_eq!(with(text, windows, true), ["crlf-script: docker/entry.sh"]);
    assert_eq!(with(text, unix, false), ["copied-entrypoint-not-executable: docker/entry.sh"]);
    assert_eq!(with(text, unix, true), [""; 0]);
    let whole = "FROM a\nWORKDIR /app\nCOPY . .\nCMD [\"./entry.sh\"]\n";
    assert_eq!(with(whole, windows, true), ["crlf-script: ."]);
    for healthy in [
        "FROM a\nCOPY docker/entry.sh /e.sh\nENTRYPOINT [\"python\"]\nCMD [\"/e.sh\"]\n",
        "FROM a\nCOPY --chmod=755 docker/entry.sh /e.sh\nENTRYPOINT [\"/e.sh\"]\n",
        "FROM a\nCOPY docker/entry.sh /e.sh\nRUN chmod +x /e.sh\nENTRYPOINT [\"/e.sh\"]\n",
        "FROM a\nCOPY docker/entry.sh /e.sh\nENTRYPOINT [\"sh\", \"/e.sh\"]\n",
        "FROM a\nCOPY docker/entry.sh /e.sh\nENTRYPOINT [\"/other.sh\"]\n",
    ] {
        assert_eq!(with(healthy, unix, false), [""; 0], "{healthy}");
    }
}

#[test]
fn stages_for_several_architectures_are_intended() {
    check(
        "FROM golang AS amd\nENV KUBE_BUILD_PLATFORMS=linux/amd64\nRUN make\nFROM golang AS arm\nENV KUBE_BUILD_PLATFORMS=linux/arm64\nRUN make\nFROM a\nCOPY --from=amd /o/amd64/k /s/amd64/k\nCOPY --from=arm /o/arm64/k /s/arm64/k\n",
        &[],
    );
    check("FROM a AS x\nENV XC_ARCH=arm64\nRUN make\nFROM b\nCOPY --from=x /o/k /k\n", &["build-arch-constant: arm64"]);
}

#[test]
fn a_copy_that_keeps_its_name_is_reported() {
    check(
        "FROM a\nCOPY t_linux_amd64.zip t_linux_amd64.zip\nRUN unzip t_linux_amd64.zip\n",
        &["hard-coded-arch: amd64", "hard-coded-arch: amd64"],
    );
    check("FROM a\nCOPY t t_linux_amd64.zip\nRUN unzip t_linux_amd64.zip\n", &[]);
}

#[test]
fn a_variable_that_is_named_for_an_architecture_may_contain_its_name() {
    check(
        "FROM a\nARG ARCH\nENV T_URL_arm64=https://x.io/t-arm64 T_URL_amd64=https://x.io/t T_URL=T_URL_${ARCH}\nRUN curl -sLf ${!T_URL} > /t\n",
        &[],
    );
    check(
        "FROM a\nENV T_URL_arm64=https://x.io/linux/arm64/t\nRUN curl -O ${T_URL_arm64}\n",
        &["hard-coded-arch: ${T_URL_arm64}"],
    );
    check("FROM a\nENV T_URL=https://x.io/t-arm64\nRUN curl -O $T_URL\n", &["hard-coded-arch: arm64"]);
}

#[test]
fn a_script_variable_may_refer_to_others() {
    check(
        "FROM a\nRUN v=$(curl https://x.io/latest) && f=\"t-${v}.linux-amd64\" && curl -O https://x.io/$f.tgz\n",
        &["hard-coded-arch: $f"],
    );
    check("FROM a\nRUN m=$(uname -m) && f=t-amd64-$m && curl -O https://x.io/t-$m.tgz\n", &[]);
}

#[test]
fn a_download_for_stages_on_the_build_machine_is_a_tool() {
    let file = |consumer: &str| {
        format!(
            "FROM --platform=$BUILDPLATFORM a AS upx\nRUN curl -O https://x.io/upx-amd64\nFROM {consumer} AS b\nARG TARGETARCH\nCOPY --from=upx /upx /upx\nRUN /upx $TARGETARCH\nFROM c\nCOPY --from=b /o /o\n"
        )
    };
    check(&file("--platform=$BUILDPLATFORM b"), &[]);
    check(&file("b"), &["hard-coded-arch: amd64"]);
}

#[test]
fn an_argument_that_the_project_passes_is_not_a_constant() {
    let passed = Outside { passes: &|name| name == "A" || name == "TARGETARCH", ..Outside::nothing() };
    for text in ["ARG A=amd64\nFROM --platform=linux/$A a\n", "FROM a\nARG TARGETARCH=amd64\nRUN x $TARGETARCH\n"] {
        assert_eq!(errors_with(text, &passed), [""; 0], "{text}");
        assert_eq!(errors_with(text, &Outside::nothing()).len(), 1, "{text}");
    }
    check("FROM a\nARG TARGETOS=linux\nARG TARGETVARIANT=\"\"\nRUN x $TARGETOS $TARGETVARIANT\n", &[]);
}

#[test]
fn a_dockerfile_that_is_baked_for_one_architecture_names_it() {
    let baked = Outside { baked_for: &|| Some(Arch::Arm64), ..Outside::nothing() };
    let text = "FROM a\nRUN curl -O https://x.io/t-aarch64.whl\nRUN curl -O https://x.io/u-x86_64.whl\n";
    assert_eq!(errors_with(text, &baked), ["hard-coded-arch: x86_64"]);
}

#[test]
fn an_archive_may_be_unpacked_without_its_programs() {
    check("FROM a\nRUN curl https://x.io/es-linux-x86_64.tgz | tar xz --exclude=jdk --exclude=*/bin\n", &[]);
    check("FROM a\nRUN curl https://x.io/es-linux-x86_64.tgz | tar xz --exclude=jdk\n", &["hard-coded-arch: x86_64"]);
}

#[test]
fn a_library_directory_of_one_architecture_is_reported() {
    check(
        "FROM php\nRUN docker-php-ext-configure ldap --with-libdir=lib/x86_64-linux-gnu\n",
        &["build-arch-constant: lib/x86_64-linux-gnu"],
    );
    check("FROM php\nRUN docker-php-ext-configure ldap --with-libdir=\"lib/$(gcc -dumpmachine)\"\n", &[]);
}

#[test]
fn an_empty_list_clears_what_is_started() {
    check("FROM a\nENTRYPOINT []\nCMD [ ]\n", &[]);
    check("FROM a\nENTRYPOINT []\nCMD [\"/usr/lib/x86_64-linux-gnu/x\"]\n", &["hard-coded-arch: x86_64"]);
}

#[test]
fn git_records_whether_a_file_is_executable() {
    let files =
        |path: &str| vec![HostFile { path: path.to_string(), head: b"#!/bin/sh\n".to_vec(), is_executable: true }];
    let text = "FROM a\nCOPY entry.sh /entry.sh\nENTRYPOINT [\"/entry.sh\"]\n";
    for (recorded, expected) in [(None, 0), (Some(true), 0), (Some(false), 1)] {
        let mode = |_: &str| recorded;
        let outside = Outside { files: &files, recorded_mode: &mode, ..Outside::nothing() };
        assert_eq!(errors_with(text, &outside).len(), expected, "{recorded:?}");
    }
}

#[test]
fn the_hosts_modules_may_overwrite_the_images() {
    let files = |path: &str| match path {
        "package-lock.json" | "web/yarn.lock" | "poetry.lock" => {
            vec![HostFile { path: path.to_string(), head: b"{}".to_vec(), is_executable: false }]
        }
        _ => Vec::new(),
    };
    let warnings = |text: &str, ignored: &str| {
        let ignores = |path: &str| path == ignored;
        let outside = Outside { files: &files, ignores: &ignores, ..Outside::nothing() };
        let linted = lint(Path::new("Dockerfile"), text, SourceFormat::Dockerfile, &outside);
        assert!(linted.findings.iter().all(|finding| finding.severity == Severity::Warning), "{text}");
        linted.findings.len()
    };
    assert_eq!(warnings("FROM node\nRUN npm ci\nCOPY . .\n", ""), 1);
    assert_eq!(warnings("FROM node\nRUN npm ci\nCOPY . .\n", "node_modules"), 0);
    assert_eq!(warnings("FROM node\nCOPY . .\nRUN npm ci\n", ""), 0);
    assert_eq!(warnings("FROM node\nCOPY . .\nRUN npm install\n", ""), 1);
    assert_eq!(warnings("FROM node\nCOPY web/ /app\nRUN yarn\n", ""), 1);
    assert_eq!(warnings("FROM node\nRUN npm ci\nCOPY src/ /app\n", ""), 0);
    assert_eq!(warnings("FROM nginx\nCOPY . /srv\n", ""), 0);
    assert_eq!(warnings("FROM python\nRUN poetry install\nCOPY . .\n", ""), 1);
    assert_eq!(warnings("FROM python\nRUN pip install -r r.txt\nCOPY . .\n", ""), 0);
}

#[test]
fn what_the_build_computes_or_passes_is_no_constant() {
    let quiet = [
        "FROM a\nARG TARGETARCH\nARG A=${TARGETARCH/arm64/aarch64}\nARG A=${A/amd64/x86_64}\nRUN curl -O https://x.io/t-${A}.tgz\n",
        "FROM a\nRUN curl -O https://x.io/t-${TARGETOS:-linux}.tgz\n",
        "FROM --platform=$BUILDPLATFORM golang AS b\nCOPY --from=tonistiigi/xx:golang-1.0.0 / /\nARG TARGETPLATFORM\nRUN go build -o /app .\nFROM a\nCOPY --from=b /app /app\n",
        "FROM --platform=windows/amd64 golang AS b\nENV GOOS=windows GOARCH=amd64\nRUN go build -o /a.exe\nFROM mcr.microsoft.com/windows/nanoserver:1\nCOPY --from=b /a.exe /\n",
        "FROM a\nRUN --mount=target=/build,source=build /build/setup-arm64\n",
        "FROM --platform=$BUILDPLATFORM golang AS b\nARG GOARCH\nRUN go build -o /app .\nFROM a\nCOPY --from=b /app /app\n",
    ];
    for text in quiet {
        let linted = lint(Path::new("Dockerfile"), text, SourceFormat::Dockerfile, &Outside::nothing());
        assert_eq!(linted.findings, [], "{text}");
    }
}

#[test]
fn what_only_the_build_machine_takes_from_a_constant_stage_is_a_warning() {
    check(
        "FROM --platform=linux/amd64 tool AS t\nFROM --platform=$BUILDPLATFORM golang AS b\nARG TARGETARCH\nCOPY --from=t /t /usr/bin/t\nRUN t && GOARCH=$TARGETARCH go build -o /app .\nFROM a\nCOPY --from=b /app /app\n",
        &[],
    );
    check(
        "FROM --platform=linux/amd64 tool AS t\nFROM a\nCOPY --from=t /t /usr/bin/t\n",
        &["from-platform-constant: --platform=linux/amd64"],
    );
}

#[test]
fn each_download_of_a_step_is_reported() {
    check(
        "FROM a\nRUN curl -O https://x.io/linux/amd64/t && curl -O https://x.io/linux/amd64/t.sha256 && curl -O https://y.io/linux/amd64/u\n",
        &["hard-coded-arch: amd64", "hard-coded-arch: amd64"],
    );
    check(
        "FROM a\nRUN curl -L https://x.io/t-linux-amd64.tgz | tar xz && mv linux-amd64/t /usr/bin/ && rm -r linux-amd64\n",
        &["hard-coded-arch: amd64"],
    );
    check(
        "FROM a\nRUN curl -LO https://x.io/`curl -s https://x.io/stable.txt`/bin/linux/amd64/t\n",
        &["hard-coded-arch: amd64"],
    );
    check(
        "FROM a\nRUN if [ -z \"$V\" ]; then V=$(curl https://x.io/v); fi && F=\"t$V.linux-amd64.tgz\" && curl -O https://x.io/$F\n",
        &["hard-coded-arch: $F"],
    );
    check("FROM a\nRUN bash -c 'curl -O https://x.io/t-amd64'\n", &["hard-coded-arch: amd64"]);
    check("FROM a\nRUN [\"bash\", \"-c\", \"curl -O https://x.io/t-amd64\"]\n", &["hard-coded-arch: amd64"]);
    check("FROM a\nRUN sh -c \"[ $(arch) = x86_64 ] && curl -O https://x.io/t-amd64\"\n", &[]);
    check(
        "FROM a\nRUN node -p \"process.arch === 'arm64' ? 'see https://x.io/linux-arm64/' : process.exit(1)\" || (curl -O https://x.io/t-amd64)\n",
        &[],
    );
    check("FROM a\nRUN [ \"$(uname -m)\" = x86_64 ] || exit 0; curl -O https://x.io/t-amd64\n", &[]);
}

#[test]
fn packages_and_repositories_of_one_architecture_are_reported() {
    check(
        "FROM a\nRUN dnf config-manager --set-enabled builder-for-rhel-9-x86_64-rpms\n",
        &["hard-coded-arch: x86_64"],
    );
    check(
        "FROM a\nRUN yum-config-manager --add-repo https://x.io/rhel7/x86_64/cuda.repo\n",
        &["hard-coded-arch: x86_64"],
    );
    check("FROM a\nRUN dnf config-manager --set-enabled builder-for-rhel-9-$(arch)-rpms\n", &[]);
    // On most machines this package is the native one, so the stage has no foreign packages.
    check("FROM a\nRUN apt-get install -y t:amd64 && curl -O https://x.io/t-amd64\n", &["hard-coded-arch: amd64"]);
    let warned = |text: &str| {
        let linted = lint(Path::new("Dockerfile"), text, SourceFormat::Dockerfile, &Outside::nothing());
        linted.findings.iter().map(|finding| text[finding.span.clone()].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(warned("FROM a\nRUN apt-get install -y t:amd64\n"), ["amd64"]);
    assert_eq!(warned("FROM a\nRUN apt-get install -y t:any u:arm64\n"), [""; 0]);
}

#[test]
fn a_final_stage_next_to_one_for_another_architecture_names_its_own() {
    check("FROM a AS amd64\nRUN make\nFROM a AS arm64\nCOPY --from=amd64 /tmp /tmp\nRUN GOARCH=arm64 make\n", &[]);
    check(
        "FROM --platform=linux/amd64 a AS base-amd64\nFROM base-amd64\nRUN true\n",
        &["from-platform-constant: --platform=linux/amd64"],
    );
    check("FROM a AS base\nFROM base AS arm64\nRUN GOARCH=arm64 make\n", &["goarch-constant: arm64"]);
}

#[test]
fn what_only_stages_for_one_architecture_take_may_name_it() {
    let file = |consumer: &str| {
        format!(
            "FROM a AS deps\nRUN curl -O https://x.io/t-x86_64.tgz\nFROM --platform=linux/arm64 a AS jetson\nRUN make\nFROM scratch AS amd64-all\nCOPY --from=deps /t /t\nFROM scratch AS arm64-all\nCOPY --from=jetson /t /t\nFROM ${{TARGETARCH}}-all AS all\nFROM b\nCOPY --from=all /t /t\n{consumer}"
        )
    };
    check(&file(""), &[]);
    check(&file("COPY --from=deps /t /u\n"), &["hard-coded-arch: x86_64"]);
}

#[test]
fn files_of_another_kind_than_the_images_are_not_reported() {
    for text in [
        "FROM a\nRUN cp /usr/share/nsis/i386-unicode/Control.dll /usr/share/nsis/x86-unicode/\n",
        "FROM alpine\nRUN mkdir /lib64 && ln -s /lib/libc.musl-x86_64.so.1 /lib64/ld-linux-x86-64.so.2\n",
        "FROM a\nRUN curl -fsSL -o /tmp/c.tgz https://x.io/aarch64-linux-musl-cross.tgz\n",
        "FROM a\nRUN curl -o /tmp/p.rpm https://x.io/8/x86_64/os/perl-JSON-2-2.el8.noarch.rpm\n",
        "FROM golang\nRUN GOOS=windows GOARCH=amd64 go build -o /o/app.exe .\n",
        "FROM golang\nENV GOOS=darwin GOARCH=arm64\nRUN go build -o /o/app .\n",
        "FROM a\nRUN URL=https://x.io/t-amd64; if [ $(uname -m) = aarch64 ]; then URL=https://x.io/t-arm64; fi; curl -O $URL\n",
        "FROM a AS b\nRUN make\nFROM b AS test\nCOPY images.linux-amd64.tar.zst /images/\n",
        "FROM --platform=linux/amd64 golang AS b\nRUN make windows\nFROM mcr.microsoft.com/windows/nanoserver:1\nCOPY --from=b /o /o\n",
        "FROM --platform=$BUILDPLATFORM golang AS b\nARG TARGETPLATFORM\nRUN xx-go --wrap\nRUN go build -o /app .\nFROM a\nCOPY --from=b /app /app\n",
    ] {
        check(text, &[]);
    }
    check(
        "FROM a\nRUN curl -O https://x.io/arm-gnu-toolchain-x86_64-aarch64-none-linux-gnu.tar.xz\n",
        &["hard-coded-arch: x86_64"],
    );
    check("FROM a\nRUN wget https://x.io/ubuntu2204/x86_64/cuda-keyring_1-1_all.deb\n", &["hard-coded-arch: x86_64"]);
    check("FROM a\nRUN ln -s /usr/lib/x86_64-linux-gnu/libz.so /usr/lib/libz.so\n", &["hard-coded-arch: x86_64"]);
}
