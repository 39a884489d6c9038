//! The manifests under `deploy`. Runs their command lines unchanged except for the registry and the location of the
//! results, and checks that dashboards, alerts and policies use data that imgarch writes.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_yaml_ng::Value;

use super::Images;
use crate::kit::machine;
use crate::kit::small::{imgarch, said};

fn documents(name: &str) -> Vec<Value> {
    use serde::Deserialize;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/fleet").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml_ng::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

/// The arguments of the only container of a Job or CronJob.
fn words(job: &Value) -> Vec<String> {
    let job = job["spec"].get("jobTemplate").unwrap_or(job);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    container["args"].as_sequence().unwrap().iter().map(|word| word.as_str().unwrap().to_string()).collect()
}

#[test]
fn the_jobs_of_deploy_scan_a_registry_in_shards_and_merge_them() {
    let images = Images::new(24);
    images.registry.list_repositories(100);
    let [job] = &documents("job.yaml")[..] else { panic!("one Job") };
    let completions = job["spec"]["completions"].as_u64().unwrap();
    assert_eq!(job["spec"]["completionMode"], "Indexed");
    let own = |word: &String| {
        word.replace("registry.example/", &format!("{}/", images.registry.host)).replace("s3://imgarch/", "./")
    };
    let args: Vec<String> = words(job).iter().map(own).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert!(args.contains(&format!("--shard={completions}").as_str()), "{args:?}");
    for index in 0..completions {
        let output = imgarch(images.path(), &args, &[("JOB_COMPLETION_INDEX", &index.to_string())]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let [merge] = &documents("merge.yaml")[..] else { panic!("one Job") };
    let args: Vec<String> = words(merge).iter().map(own).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (text, code) = said(&imgarch(images.path(), &args, &[]));
    // Six repositories, the newest three of four tags each. Some have a program for another architecture.
    assert_eq!((text.matches("image\t").count(), code), (18, 1), "{text}");
}

#[test]
fn the_accounts_of_deploy_only_read() {
    let documents: Vec<Value> =
        ["rbac.yaml", "cronjob.yaml", "job.yaml", "merge.yaml"].into_iter().flat_map(documents).collect();
    let accounts: Vec<&str> = documents
        .iter()
        .filter(|document| document["kind"] == "ServiceAccount")
        .map(|document| document["metadata"]["name"].as_str().unwrap())
        .collect();
    let mut rules = 0;
    for document in &documents {
        for rule in document["rules"].as_sequence().into_iter().flatten() {
            let verbs: Vec<&str> =
                rule["verbs"].as_sequence().unwrap().iter().map(|verb| verb.as_str().unwrap()).collect();
            assert!(verbs.iter().all(|verb| ["get", "list"].contains(verb)), "{verbs:?}");
            rules += 1;
        }
        let job = document["spec"].get("jobTemplate").unwrap_or(document);
        if let Some(account) = job["spec"]["template"]["spec"]["serviceAccountName"].as_str() {
            assert!(accounts.contains(&account), "{account}");
        }
    }
    assert_eq!((accounts.len(), rules), (2, 5));
    let kustomization = &documents_of_kustomization();
    for name in kustomization {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/fleet").join(name).is_file(), "{name}");
    }
    let [cron] = &self::documents("cronjob.yaml")[..] else { panic!("one CronJob") };
    let help = imgarch(&std::env::temp_dir(), &["cluster", "--help"], &[]);
    assert!(words(cron)[0] == "cluster" && String::from_utf8_lossy(&help.stdout).contains("--format"));
}

fn documents_of_kustomization() -> Vec<String> {
    let [kustomization] = &documents("kustomization.yaml")[..] else { panic!("one Kustomization") };
    let resources = kustomization["resources"].as_sequence().unwrap();
    resources.iter().map(|name| name.as_str().unwrap().to_string()).collect()
}

fn text_of(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)).unwrap()
}

fn documents_of(text: &str) -> Vec<Value> {
    use serde::Deserialize;
    let documents = serde_yaml_ng::Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    documents.filter(|document| !document.is_null()).collect()
}

/// Names of the metrics in a text. Each is followed by its labels or by nothing.
fn metrics(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.match_indices("imgarch_").map(|(at, _)| text[at..].split(|c| !is_name(c)).next().unwrap());
    names.collect()
}

#[test]
fn dashboard_and_alerts_use_metrics_that_are_written() {
    let images = Images::new(5);
    let args = ["--format", "openmetrics"];
    let output = imgarch(images.path(), &[&["scan", "--images-from", "images.txt"], &args[..]].concat(), &[]);
    let mut written = said(&output).0;
    // A run without undecided images writes one more metric.
    let own = |name: &&str| name.contains("team/app000");
    let healthy = images.names.iter().map(String::as_str).find(own).unwrap();
    written += &said(&imgarch(images.path(), &[&["scan", healthy], &args[..]].concat(), &[])).0;
    let (dashboard, alerts) = (text_of("monitoring/dashboard.json"), text_of("monitoring/alerts.yaml"));
    let asked: BTreeSet<&str> = metrics(&dashboard).union(&metrics(&alerts)).copied().collect();
    assert_eq!(metrics(&written), asked);
    for label in ["verdict=\"broken\"", "severity=\"", "code=\""] {
        assert!(written.contains(label), "{written}");
    }
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.iter().all(|panel| panel["targets"][0]["expr"].as_str().unwrap().contains("imgarch_")));
    let [rule] = &documents_of(&alerts)[..] else { panic!("one PrometheusRule") };
    for alert in rule["spec"]["groups"][0]["rules"].as_sequence().unwrap() {
        assert!(alert["expr"].is_string() && alert["annotations"]["summary"].is_string(), "{alert:?}");
    }
}

#[test]
fn admission_policies_look_up_the_verdicts() {
    let images = Images::new(5);
    let args = ["scan", "--images-from", "images.txt", "--format", "verdicts"];
    let (text, code) = said(&imgarch(images.path(), &args, &[]));
    let map: serde_json::Value = serde_json::from_str(&text).unwrap();
    let data = map["data"].as_object().unwrap();
    assert_eq!((data.len(), code), (5, 1), "{text}");
    let is_key = |key: &String| key.strip_prefix("sha256.").is_some_and(|hex| hex.len() == 64);
    assert!(data.keys().all(is_key), "{text}");
    assert_eq!(data.values().filter(|verdict| **verdict == "broken").count(), 1, "{text}");
    let policies = documents_of(&text_of("admission/validating-admission-policy.yaml"));
    let by_kind = |kind: &str| policies.iter().filter(|policy| policy["kind"] == kind).collect::<Vec<_>>();
    for policy in by_kind("ValidatingAdmissionPolicy") {
        let variables = serde_yaml_ng::to_string(&policy["spec"]["variables"]).unwrap();
        assert!(variables.contains("'sha256.'"), "{variables}");
        assert!(variables.contains("'broken'") || variables.contains("['fine', 'warned']"), "{variables}");
    }
    let [binding] = by_kind("ValidatingAdmissionPolicyBinding")[..] else { panic!("one binding") };
    let names = by_kind("ValidatingAdmissionPolicy").into_iter().map(|policy| policy["metadata"]["name"].clone());
    assert!(names.into_iter().any(|name| name == binding["spec"]["policyName"]));
    let [kyverno] = &documents_of(&text_of("admission/kyverno.yaml"))[..] else { panic!("one ClusterPolicy") };
    let looked_up =
        [&binding["spec"]["paramRef"]["name"], &kyverno["spec"]["rules"][0]["context"][0]["configMap"]["name"]];
    assert!(looked_up.iter().all(|name| name.as_str() == map["metadata"]["name"].as_str()), "{looked_up:?}");
    // As in the other policy: without verdicts everything is admitted, and updates and ephemeral containers are checked.
    let rule = &kyverno["spec"]["rules"][0];
    assert_eq!(rule["context"][1]["variable"]["default"], Value::Mapping(Default::default()));
    let resources = &rule["match"]["any"][0]["resources"];
    let kinds: Vec<&str> = resources["kinds"].as_sequence().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(kinds, ["Pod"]);
    let other = &policies[0]["spec"]["matchConstraints"]["resourceRules"][0]["operations"];
    assert_eq!(&resources["operations"], other);
}

/// The values that a template uses, as paths.
fn values_used(text: &str) -> BTreeSet<String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let paths = text.split(".Values.").skip(1).map(|rest| rest.split(|c| !is_path(c)).next().unwrap().to_string());
    paths.collect()
}

fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        // A container's limits are passed through as a whole.
        Value::Mapping(fields) if !path.ends_with("resources") => {
            for (key, field) in fields {
                let path = if path.is_empty() { String::new() } else { format!("{path}.") };
                leaves(field, &format!("{path}{}", key.as_str().unwrap()), found);
            }
        }
        _ => drop(found.insert(path.to_string())),
    }
}

#[test]
fn the_chart_uses_each_value_and_runs_the_same_commands_as_the_manifests() {
    let chart = |path: &str| text_of(&format!("helm/imgarch/{path}"));
    let templates = ["_pod.tpl", "cluster.yaml", "registry.yaml"].map(|name| chart(&format!("templates/{name}")));
    let [values] = &documents_of(&chart("values.yaml"))[..] else { panic!("one document") };
    let mut stated = BTreeSet::new();
    leaves(values, "", &mut stated);
    assert_eq!(values_used(&templates.concat()), stated);
    for template in &templates {
        let count = |word: &str| template.matches(&format!("{{{{- {word}")).count();
        assert_eq!(count("if ") + count("range ") + count("define "), count("end"), "{template}");
        for name in template.split("include \"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(templates[0].contains(&format!("define \"{name}\"")), "{name}");
        }
    }
    let [about] = &documents_of(&chart("Chart.yaml"))[..] else { panic!("one document") };
    assert_eq!(about["appVersion"], env!("CARGO_PKG_VERSION"));
    // Flags and rights are the same as in the plain manifests.
    for (file, template) in
        [("job.yaml", &templates[2]), ("merge.yaml", &templates[2]), ("cronjob.yaml", &templates[1])]
    {
        for word in words(&documents(file)[0]) {
            let flag = word.split_inclusive('=').next().unwrap();
            assert!(flag.contains("://") || template.contains(&format!("- {flag}")), "{flag} of {file}");
        }
    }
    let rules = |text: &str| text.split("rules:\n").nth(1).unwrap().split("---").next().unwrap().to_string();
    assert_eq!(rules(&templates[1]), rules(&text_of("fleet/rbac.yaml")));
    let Some(rendered) = rendered() else { return };
    let jobs = rendered.iter().filter(|document| document["kind"] == "Job" || document["kind"] == "CronJob");
    assert_eq!(jobs.map(|job| words(job).len()).sum::<usize>(), 9 + 4 + 2);
}

/// The rendered chart with a registry, if this machine has helm.
fn rendered() -> Option<Vec<Value>> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/helm/imgarch");
    let helm =
        Command::new("helm").args(["template", "x", "--set", "registry.enabled=true"]).arg(chart).output().ok()?;
    assert!(helm.status.success(), "{}", String::from_utf8_lossy(&helm.stderr));
    Some(documents_of(&String::from_utf8(helm.stdout).unwrap()))
}

/// The Python program with the packages that `validate.py` needs.
const VALIDATOR: &str = "IMGARCH_KUBE_VALIDATOR";

#[test]
fn manifests_and_the_rendered_chart_fit_the_schemas_of_kubernetes() {
    let test = "manifests_and_the_rendered_chart_fit_the_schemas_of_kubernetes";
    let Some(python) = std::env::var_os(VALIDATOR) else {
        return machine::skip_for_good(test, &format!("{VALIDATOR} does not name a program"));
    };
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = project.join("tests/it/fleet/validate.py");
    let output = Command::new(python).arg(script).arg(project.join("deploy")).output().unwrap();
    let (text, code) = said(&output);
    assert_eq!(code, 0, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("problem"), "{text}");
    let unknown: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("unknown ")).collect();
    assert_eq!(unknown, ["kustomization.yaml Kustomization", "kyverno.yaml ClusterPolicy"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("valid ")).count(), 21, "{text}");
}
