//! Projects of several Compose files.

use std::collections::BTreeMap;

use super::*;

/// Reads `main` among these files, with `TAG` set by the user.
fn project(main: &str, others: &[(&str, &str)]) -> Result<Services, ManifestError> {
    let others: BTreeMap<PathBuf, String> =
        others.iter().map(|(path, text)| (PathBuf::from(path), text.to_string())).collect();
    let read = |path: &Path| others.get(path).cloned().ok_or_else(|| "not there".to_string());
    let variable = |name: &str| (name == "TAG").then(|| "2".to_string());
    let directory = PathBuf::from("p");
    let outside =
        ComposeSurroundings { variable: &variable, directory, directory_name: "My.App".to_string(), read: &read };
    let documents = yaml::parse(main).unwrap().iter().map(ComposeDocument::new).collect();
    services("c.yaml", documents, &outside)
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
fn builds_are_read_with_their_context_joined_to_their_file() {
    let main = "services:
  a: {image: 'a:${TAG}', build: {context: src, dockerfile: D, target: prod, args: {V: 1, W: null}, platforms: [linux/amd64]}}
  b: {build: .}
  c: {extends: {file: sub/other.yaml, service: base}, image: 'c:1', build: {args: ['X=2']}}
  d: {image: 'd:1', build: {context: 'https://example.com/d.git', ssh: [default], labels: {l: m}, x-bake: {}}}
  e: {image: 'e:1'}
";
    let others = [("p/sub/other.yaml", "services: {base: {build: {context: .., args: {X: 1, Y: 3}}}}")];
    let builds = project(main, &others).unwrap().builds;
    let shown: Vec<_> = builds
        .iter()
        .map(|build| (build.service.as_str(), build.image.as_deref(), build.context.as_str(), build.args.join(" ")))
        .collect();
    let url = "https://example.com/d.git";
    let expected = [
        ("a", Some("a:2"), "p/src", "V=1 W".to_string()),
        ("b", None, "p/.", String::new()),
        ("c", Some("c:1"), "p/sub/..", "X=2 Y=3".to_string()),
        ("d", Some("d:1"), url, String::new()),
    ];
    assert_eq!(shown, expected);
    assert_eq!((builds[0].target.as_deref(), builds[0].dockerfile.as_deref()), (Some("prod"), Some("D")));
    assert_eq!(
        (builds[0].platforms.as_slice(), builds[3].others.as_slice()),
        (["linux/amd64".to_string()].as_slice(), ["ssh".to_string()].as_slice())
    );
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

/// What `docker compose config` prints for the same files.
#[test]
fn documents_tags_and_the_projects_name_apply_as_in_compose() {
    let main = "name: My-${NONE:-shop}
services:
  base: {image: '${COMPOSE_PROJECT_NAME}:1', command: x, entrypoint: y, environment: {A: 1, B: 2}, volumes: ['/a:/b']}
  a: {extends: base, command: !reset null, environment: {A: !reset null}}
  b: {extends: base, environment: !override {C: 3}}
  c: {extends: base, image: !reset null, build: .}
---
services: {b: {command: z}, test: {image: 't:1'}}
---
services: {test: {command: [u]}}
";
    let found = project(main, &[]).unwrap();
    assert_eq!(images(&found), [("a", "my-shop:1"), ("b", "my-shop:1"), ("base", "my-shop:1"), ("test", "t:1")]);
    let call = |index: usize| &found.workloads[index].containers[0].call;
    let env = |index: usize| call(index).env.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" ");
    assert_eq!((call(0).args.as_deref(), env(0)), (None, "B".to_string()));
    assert_eq!((call(1).args.as_deref(), env(1)), (Some(["z".to_string()].as_slice()), "C".to_string()));
    assert_eq!(call(3).args.as_deref(), Some(["u".to_string()].as_slice()));
    assert_eq!(found.built, ["my-shop-c"]);
    let unnamed = project("services: {a: {image: '${COMPOSE_PROJECT_NAME}:1'}}", &[]).unwrap();
    assert_eq!(images(&unnamed), [("a", "myapp:1")]);
}

#[test]
fn files_of_variables_see_the_project_and_earlier_files() {
    let main = "services: {b: {image: 'a:${A}', env_file: [x.env, {path: y.env}, {path: no.env, required: false}]}}";
    let others = [
        ("p/.env", "TAG=7\nA=0\nB=${A}${TAG}"),
        ("p/x.env", "A=1\nB=${A}-${TAG}\nC='${A}'\nQ=1"),
        ("p/y.env", "A=2\nD=${B}\nTAG\nQ=2\nR=$Q"),
    ];
    let found = project(main, &others).unwrap();
    assert_eq!(images(&found), [("b", "a:0")]);
    let env = found.workloads[0].containers[0].call.env.iter();
    let env: Vec<(&str, &str)> = env.map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or("?"))).collect();
    assert_eq!(env, [("A", "2"), ("B", "0-2"), ("C", "${A}"), ("D", "0-2"), ("Q", "2"), ("R", "1"), ("TAG", "2")]);
    let error = project(main, &[("p/.env", "A=1\nB C=2")]).unwrap_err();
    assert!(error.to_string().starts_with("c.yaml: p/.env, line 2: "), "{error}");
}

#[test]
fn services_without_an_image_are_built_or_not_read() {
    let main = "include: ['oci://x.io/app:1']
services: {a: {command: x}, b: {build: .}, c: {provider: {type: t}}, d: {image: 'd:1', deploy: {placement: {constraints: [node.platform.arch == x86_64]}}}}";
    let found = project(main, &[]).unwrap();
    assert_eq!(images(&found), [("d", "d:1")]);
    assert_eq!(found.workloads[0].pod.node_selector["kubernetes.io/arch"], "amd64");
    assert_eq!(
        (found.built, found.unread),
        (vec!["myapp-b".to_string()], vec!["include oci://x.io/app:1".to_string(), "service/a".to_string()])
    );
}

#[test]
fn a_service_overrides_an_included_one() {
    let main = "include: [db.yaml]\nservices: {db: {command: over}}";
    let found = project(main, &[("p/db.yaml", "services: {db: {image: 'db:1', command: own}}")]).unwrap();
    assert_eq!(images(&found), [("db", "db:1")]);
    assert_eq!(found.workloads[0].containers[0].call.args.as_deref(), Some(["over".to_string()].as_slice()));
}
