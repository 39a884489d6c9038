//! Projects of several Compose files.

use std::collections::BTreeMap;

use super::*;

/// Reads `main` among these files, with `TAG` set by the user.
fn project(main: &str, others: &[(&str, &str)]) -> Result<Services, ManifestError> {
    let others: BTreeMap<PathBuf, String> =
        others.iter().map(|(path, text)| (PathBuf::from(path), text.to_string())).collect();
    let read = |path: &Path| others.get(path).cloned().ok_or_else(|| "not there".to_string());
    let variable = |name: &str| (name == "TAG").then(|| "2".to_string());
    let outside = Outside { variable: &variable, directory: PathBuf::from("p"), read: &read };
    let node = yaml::parse(main).unwrap().remove(0);
    services("c.yaml", node.to_json(), node.duplicate_key().map(str::to_string), &outside)
}

fn images(found: &Services) -> Vec<(&str, &str)> {
    found.workloads.iter().map(|one| (one.name.as_str(), one.containers[0].image.as_str())).collect()
}

#[test]
fn a_service_extends_services_of_its_own_and_of_other_files() {
    let main = "services:
  a: {image: 'a:1', platform: linux/arm64, profiles: [debug], environment: [A=1, B=2]}
  c: {extends: {file: other.yaml, service: base}, image: 'c:1'}
  d: {extends: {service: a}, environment: {B: 3}, command: run it}
  e: {extends: {file: sub/other.yaml, service: top}}
  f: {extends: a, build: .}
";
    let others = [
        ("p/other.yaml", "services: {base: {image: 'base:1', entrypoint: [/b]}}"),
        ("p/sub/other.yaml", "services: {top: {extends: {file: ../deep.yaml, service: x}}}"),
        ("p/sub/../deep.yaml", "services: {x: {image: 'deep:${TAG}'}}"),
    ];
    let found = project(main, &others).unwrap();
    assert_eq!(images(&found), [("a", "a:1"), ("c", "c:1"), ("d", "a:1"), ("e", "deep:2"), ("f", "a:1")]);
    let d = &found.workloads[2].containers[0];
    assert_eq!(d.platform.as_ref().unwrap().to_string(), "linux/arm64");
    let env = [("A", "1"), ("B", "3")].map(|(name, value)| (name.to_string(), Some(value.to_string())));
    assert_eq!((d.call.env.as_slice(), d.call.args.as_ref().unwrap().len()), (env.as_slice(), 2));
    assert_eq!(found.workloads[1].containers[0].call.entrypoint.as_deref(), Some(["/b".to_string()].as_slice()));
    assert!(found.notes.contains(&"service/a starts only with the profile debug".to_string()), "{:?}", found.notes);
}

#[test]
fn included_files_bring_their_services_and_their_variables() {
    let main =
        "include: [db.yaml, {path: [q/x.yaml, q/y.yaml], env_file: q.env}]\nservices: {web: {image: 'web:${V}'}}";
    let others = [
        ("p/.env", "V=7\nTAG=ignored"),
        ("p/db.yaml", "services: {db: {image: 'db:${TAG}'}}"),
        ("p/q/x.yaml", "services: {q: {image: 'q:${Q}', command: one}}"),
        ("p/q/y.yaml", "services: {q: {command: two}}"),
        ("p/q.env", "Q=5\nV=8"),
    ];
    let found = project(main, &others).unwrap();
    assert_eq!(images(&found), [("db", "db:2"), ("q", "q:5"), ("web", "web:7")]);
    assert_eq!(found.workloads[1].containers[0].call.args.as_deref(), Some(["two".to_string()].as_slice()));
}

#[test]
fn a_variable_without_a_value_is_empty_and_noted() {
    let found = project("services: {x: {image: 'x:${NONE}'}, y: {image: 'y:1'}}", &[]).unwrap();
    assert_eq!(images(&found), [("x", "x:"), ("y", "y:1")]);
    assert_eq!(found.notes, ["variable NONE is not set; an empty string is used"]);
}

#[test]
fn cycles_duplicates_and_missing_services_are_errors() {
    for (main, expected) in [
        ("services: {a: {extends: b}, b: {extends: a}}", "c.yaml: service \"a\" extends itself"),
        ("services: {a: {extends: b}}", "c.yaml: service \"b\" is extended but not defined"),
        ("services: {a: {extends: {file: no.yaml, service: b}}}", "c.yaml: p/no.yaml: not there"),
        ("include: [loop.yaml]", "p/loop.yaml: p/loop.yaml includes itself"),
        ("services: {a: {image: a, image: b}}", "c.yaml: mapping key \"image\" already defined"),
        (
            "services: {a: {image: '${N:?set it}'}}",
            "c.yaml, service \"a\": required variable N is missing a value: set it",
        ),
    ] {
        let error = project(main, &[("p/loop.yaml", "include: [loop.yaml]")]).unwrap_err();
        assert_eq!(error.to_string(), expected, "{main}");
    }
}
