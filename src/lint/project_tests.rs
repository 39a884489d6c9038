use super::*;

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(".git")).unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

#[test]
fn arguments_are_read_from_scripts_and_data() {
    let dir = project(&[
        ("Makefile", "image:\n\tdocker build --build-arg ARCH=$(ARCH) --build-arg=OS=\"x\" .\n\tOTHER=1 true\n"),
        ("ci.yml", "      build-args: |\n        RELEASE_ARCH=${{ matrix.arch }}\n"),
        ("docker-bake.hcl", "target \"a\" {\n  args = {\n    BAKED = \"1\"\n  }\n}\n"),
        ("build.py", "cmd += [\"--build-arg\", f\"PY_ARCH={arch}\"]\n"),
        ("notes.txt", "--build-arg NOT_READ=1"),
        ("sub/Dockerfile", ""),
    ]);
    let dockerfile = dir.path().join("sub/Dockerfile");
    let read = LintProject::read(&dockerfile);
    for name in ["ARCH", "OS", "RELEASE_ARCH", "BAKED", "PY_ARCH"] {
        assert!(read.passes(&dockerfile, name), "{name}: {read:?}");
    }
    assert!(!read.passes(&dockerfile, "OTHER") && !read.passes(&dockerfile, "NOT_READ"), "{read:?}");
}

#[test]
fn a_file_next_to_another_dockerfile_passes_its_own_arguments() {
    let dir = project(&[
        ("a/Dockerfile", ""),
        ("a/build.sh", "docker build --build-arg ARCH=arm64 .\n"),
        ("b/Dockerfile", ""),
        ("hack/all.sh", "docker build --build-arg OTHER=arm64 b\n"),
    ]);
    let read = LintProject::read(dir.path());
    let passes = |file: &str, name: &str| read.passes(&dir.path().join(file), name);
    assert!(passes("a/Dockerfile", "ARCH") && !passes("b/Dockerfile", "ARCH"));
    assert!(passes("a/Dockerfile", "OTHER") && passes("b/Dockerfile", "OTHER"));
}

#[test]
fn a_dockerfile_is_for_one_architecture_only_where_the_project_shows_it() {
    let push = |lines: &str| {
        format!(
            "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          push: true\n{lines}"
        )
    };
    let check = |files: &[(&str, &str)], text: &str, expected: Option<Arch>| {
        let files: Vec<(&str, &str)> = files.iter().copied().chain([("Dockerfile", text)]).collect();
        let dir = project(&files);
        let read = LintProject::read(dir.path());
        assert_eq!(read.built_for(&dir.path().join("Dockerfile"), text), expected, "{files:?}\n{read:?}");
    };
    let workflow = ".github/workflows/a.yml";
    let amd64 = Some(Arch::Amd64);
    check(&[], "", None);
    check(&[(workflow, &push("          platforms: linux/amd64\n"))], "", amd64);
    check(&[(workflow, &push("          platforms: linux/arm64\n"))], "", Some(Arch::Arm64));
    check(&[(workflow, &push("          platforms: linux/amd64,linux/arm64\n"))], "", None);
    check(&[(workflow, &push("          platforms: ${{ vars.PLATFORMS }}\n"))], "", None);
    check(&[(workflow, &push(""))], "", amd64);
    check(&[(workflow, &push(""))], "ARG TARGETARCH\n", None);
    // Published without a platform next to others that name several; only built is not enough.
    let several = ("other/build.sh", "docker buildx build --platform linux/arm64 other\n");
    check(&[(workflow, &push("")), several], "", amd64);
    check(&[(workflow, &push("").replace("push: true", "push: false")), several], "", None);
    check(&[("Makefile", "image:\n\tdocker build -t x .\n")], "", amd64);
    check(&[("Makefile", "image:\n\tdocker build -t x $(DIR)\n")], "", None);
    check(&[("Makefile", "image:\n\tdocker build -t x $(DIR)\n\tdocker push x\n")], "", amd64);
    check(&[("Makefile", "image:\n\tdocker build -t x $(DIR)\n"), (".travis.yml", "script: make image\n")], "", amd64);
    check(&[("build.sh", "docker build --platform linux/amd64 .\n")], "", amd64);
    check(&[("build.sh", "docker build --platform $P .\n")], "", None);
    check(&[("compose.yaml", "services:\n  a:\n    build: .\n")], "", None);
    check(&[("compose.yaml", "services:\n  a:\n    build: .\n    platform: linux/amd64\n")], "", amd64);
    let variable = push("          file: ${{ env.FILE }}\n          platforms: linux/amd64\n");
    check(&[(workflow, &variable), ("Makefile", "image:\n\tdocker build -f $(F) .\n")], "ARG TARGETARCH\n", amd64);
    check(&[(workflow, &variable), several], "ARG TARGETARCH\n", None);
    check(&[("x86_64/Dockerfile", ""), ("aarch64/Dockerfile", "")], "", amd64);
    check(&[("x86_64/Dockerfile", "")], "", None);
    check(&[("arm64/Dockerfile", "")], "", amd64);
}

#[test]
fn an_earlier_version_is_built_as_the_current_one() {
    let dir = project(&[
        ("1.24/Dockerfile", ""),
        ("1.25/Dockerfile", ""),
        ("1.24/browsers/Dockerfile", ""),
        ("1.25/browsers/Dockerfile", ""),
        (
            "build.sh",
            "docker buildx build --platform=linux/amd64,linux/arm64 --file 1.25/Dockerfile --push .\ndocker buildx build --platform=linux/amd64 --file 1.25/browsers/Dockerfile --push .\n",
        ),
    ]);
    let read = LintProject::read(dir.path());
    let built_for = |file: &str| read.built_for(&dir.path().join(file), "");
    assert_eq!((built_for("1.24/browsers/Dockerfile"), built_for("1.24/Dockerfile")), (Some(Arch::Amd64), None));
}

#[test]
fn a_dockerfile_may_be_baked_for_one_architecture() {
    let target = |name: &str, lines: &str| format!("target \"{name}\" {{\n{lines}\n}}\n");
    let bake = [
        "variable \"ARCHS\" {\n default = [\"linux/arm64\"]\n}\n".to_string(),
        target("base", "platforms = [\"linux/arm64\"]"),
        target("board", "dockerfile = \"board/Dockerfile\"\ninherits = [\"base\"]"),
        target("any", "dockerfile = \"any/Dockerfile\""),
        target("both", "context = \"both\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]"),
        target("unknown", "context = \"unknown\"\nplatforms = ARCHS"),
    ]
    .concat();
    let dir = project(&[
        ("docker/board.hcl", bake.as_str()),
        ("board/Dockerfile", ""),
        ("any/Dockerfile", ""),
        ("both/Dockerfile", ""),
        ("unknown/Dockerfile", ""),
    ]);
    let read = LintProject::read(dir.path());
    let baked = |name: &str| read.baked_for(&dir.path().join(name).join("Dockerfile"));
    assert_eq!(baked("board"), Some(Arch::Arm64), "{read:?}");
    assert_eq!((baked("any"), baked("both"), baked("unknown")), (None, None, None));
}
