//! The manifests under `deploy/fleet`: the command lines in them are run as they stand, but for the registry and the place
//! of the results.

use std::path::Path;

use serde_yaml_ng::Value;

use super::Images;
use crate::kit::small::{imgarch, said};

fn documents(name: &str) -> Vec<Value> {
    use serde::Deserialize;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/fleet").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    serde_yaml_ng::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

/// Words of the only container of a Job's or CronJob's pods.
fn words(job: &Value) -> Vec<String> {
    let job = job["spec"].get("jobTemplate").unwrap_or(job);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    container["args"].as_sequence().unwrap().iter().map(|word| word.as_str().unwrap().to_string()).collect()
}

#[test]
fn the_jobs_of_deploy_scan_a_registry_in_parts_and_merge_them() {
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
    // Six repositories, the newest three of four tags each; some have a program for another architecture.
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
            assert_eq!(verbs, ["get", "list"]);
            rules += 1;
        }
        let job = document["spec"].get("jobTemplate").unwrap_or(document);
        if let Some(account) = job["spec"]["template"]["spec"]["serviceAccountName"].as_str() {
            assert!(accounts.contains(&account), "{account}");
        }
    }
    assert_eq!((accounts.len(), rules), (2, 4));
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
