//! Results that outlive a run: shards, a run that is killed, and the merged report.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Images;
use crate::kit::elf::ElfBuilder;
use crate::kit::small::{Small, imgarch, said};
#[cfg(feature = "shared-cache")]
use crate::kit::web_store::{Manner, WebStore};
use imgarch::scan::Shard;

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.path().is_dir() { pending.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found
}

/// Records of judged images. A run that is killed may leave an unfinished file without its final name.
fn records(place: &Path) -> Vec<PathBuf> {
    let is_record = |path: &PathBuf| {
        let is_whole = path.extension().is_some_and(|extension| extension == "json");
        is_whole && path.components().any(|part| part.as_os_str() == "records")
    };
    files(place).into_iter().filter(is_record).collect()
}

fn merge(images: &Images, args: &[&str]) -> (String, i32) {
    said(&imgarch(images.path(), &[&["merge"], args].concat(), &[]))
}

/// JSON without the fields that differ between runs.
fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// `IMGARCH_FLEET=2000` runs it with that many images.
#[test]
fn four_shards_with_one_killed_merge_into_the_report_of_one_process() {
    let count = std::env::var("IMGARCH_FLEET").map_or(160, |count| count.parse().unwrap());
    let images = Images::new(count);
    // The largest of the four is killed. Which one that is depends on the registry's port.
    let size = |number| images.names.iter().filter(|name| Shard { number, count: 4 }.has(name)).count();
    let mut order: Vec<u32> = (1..=4).collect();
    order.sort_by_key(|number| size(*number));
    let [first, second, third, largest] = order[..] else { panic!("four shards") };
    let one = images.scan(&["--no-cache"]);
    let whole = imgarch(images.path(), &["scan", "--no-cache", "--images-from", "images.txt", "--format", "json"], &[]);
    let place = images.path().join("results");
    let shard = |number: u32| {
        ["--no-cache", "--results", "results", "--shard"]
            .map(str::to_string)
            .into_iter()
            .chain([format!("{number}/4")])
            .collect::<Vec<_>>()
    };
    let scan = |number: u32| {
        let args = shard(number);
        images.scan(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    scan(first);
    let done_before = records(&place).len();
    images.registry.set_latency(Duration::from_millis(60));
    let asked_before = images.registry.asked().len();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imgarch"));
    command
        .args(["scan", "--images-from", "images.txt", "--jobs", "1"])
        .args(shard(largest))
        .current_dir(images.path());
    command.env_clear().env("HOME", images.path()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = command.spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while records(&place).len() <= done_before {
        assert!(Instant::now() < end, "no result was stored");
        std::thread::sleep(Duration::from_millis(2));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    images.registry.set_latency(Duration::ZERO);
    let (text, code) = merge(&images, &["results", "--format", "plain"]);
    assert_eq!(code, 1, "{text}");
    let missing = format!("problem\tshard {third} of 4\tit has not run");
    assert!(text.contains(&missing) && text.contains("it has no result in"), "{text}");
    scan(second);
    scan(third);
    let kept_before = records(&place).len();
    scan(largest);
    let layers = images.registry.asked().split_off(asked_before);
    assert!(kept_before > done_before && records(&place).len() == count, "{kept_before}");
    // Only the layers of the eight images in progress were requested again.
    let of_layers = layers.iter().filter(|asked| images.layers.iter().any(|layer| asked.ends_with(layer.as_str())));
    let (mut once, mut again) = (BTreeSet::new(), 0);
    of_layers.for_each(|asked| again += usize::from(!once.insert(asked)));
    assert_eq!(once.len(), count - size(first));
    assert!(again <= 8, "{again}");
    assert_eq!(merge(&images, &["results", "--format", "plain"]), one);
    let (merged, _) = merge(&images, &["results", "--format", "json"]);
    assert_eq!(json(&merged), json(&said(&whole).0));
    // A run without shards finds everything done.
    let asked_before = images.registry.asked().len();
    scan(largest);
    let asked = images.registry.asked().split_off(asked_before);
    assert!(!asked.is_empty() && asked.iter().all(|asked| !asked.contains("/blobs/")), "{asked:?}");
}

#[test]
fn shards_split_by_repository_and_take_their_number_from_an_indexed_job() {
    let images = Images::new(160);
    let part = |args: &[&str], env: &[(&str, &str)]| {
        let args = [&["scan", "--images-from", "images.txt", "--format", "plain"], args].concat();
        let output = imgarch(images.path(), &args, env);
        let (text, code) = said(&output);
        let names = text.lines().filter_map(|line| line.strip_prefix("image\t")?.split('\t').next());
        (names.map(str::to_string).collect::<Vec<_>>(), code, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let mut all = Vec::new();
    for index in 0..3 {
        let (names, ..) = part(&["--shard", &format!("{}/3", index + 1)], &[]);
        assert_eq!(part(&["--shard", "3"], &[("JOB_COMPLETION_INDEX", &index.to_string())]).0, names);
        // All four tags of a repository are in one shard.
        assert!(!names.is_empty() && names.len() % 4 == 0, "{names:?}");
        all.extend(names);
    }
    all.sort();
    assert_eq!(all, images.names);
    let empty = (1..=64).map(|number| part(&["--shard", &format!("{number}/64")], &[])).find(|part| part.0.is_empty());
    let (_, code, errors) = empty.expect("forty repositories do not fill 64 shards");
    assert!(code == 0 && errors.contains(" of 64 has no images"), "{code} {errors}");
    // The report has the same exit code as the process, and the merged shards are complete.
    let number =
        (1..=64).find(|number| !images.names.iter().any(|name| Shard { number: *number, count: 64 }.has(name)));
    let shard = format!("{}/64", number.unwrap());
    let args = ["scan", "--images-from", "images.txt", "--shard", &shard];
    let output = imgarch(images.path(), &[&args[..], &["--format", "json"]].concat(), &[]);
    let (text, code) = said(&output);
    assert_eq!(
        (json(&text)["exit_code"].as_i64(), json(&text)["images"].as_array().unwrap().len(), code),
        (Some(0), 0, 0)
    );
    let (text, _) = said(&imgarch(images.path(), &[&args[..], &["--format", "openmetrics"]].concat(), &[]));
    assert!(text.contains("imgarch_exit_code 0\n") && text.contains("imgarch_last_success"), "{text}");
    for (args, env, words) in [
        (["--shard", "0/4"], "", "expected I/N with I from 1 to N"),
        (["--shard", "4"], "", "--shard 4: JOB_COMPLETION_INDEX is not set"),
        (["--shard", "4"], "4", "JOB_COMPLETION_INDEX=4 is not one of 4 shards, from 0"),
        (["--shard", "x"], "", "shard \"x\" is neither I/N nor N"),
    ] {
        let (_, code, errors) = part(&args, &[("JOB_COMPLETION_INDEX", env)]);
        assert!(code == 2 && errors.contains(words), "{args:?}: {code} {errors}");
    }
}

/// A manifest of Deployments that run the images, each with its own arguments, and an object that cannot be read.
fn manifest(images: &Images) -> String {
    let deployment = |(number, image): (usize, &String)| {
        serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("app{number}"), "namespace": "shop"},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": image, "args": [number.to_string()]}]}}}
        })
    };
    let objects: Vec<String> = images.names.iter().enumerate().map(|one| deployment(one).to_string()).collect();
    let unread = r#"{"apiVersion": "x.example/v1", "kind": "Chart", "metadata": {"name": "c"}, "spec": {"image": "a:$(params.tag)"}}"#;
    format!("---\n{}\n---\n{unread}\n", objects.join("\n---\n"))
}

#[test]
fn a_manifest_is_stored_and_split_like_a_list_of_images() {
    let images = Images::new(24);
    fs::write(images.path().join("all.yaml"), manifest(&images)).unwrap();
    let scan = |args: &[&str]| {
        let args = [&["scan", "-f", "all.yaml", "--no-cache", "--format", "json"], args].concat();
        let (text, code) = said(&imgarch(images.path(), &args, &[]));
        (json(&text), code)
    };
    let merged = || {
        let (text, code) = merge(&images, &["results", "--format", "json"]);
        (json(&text), code)
    };
    let one = scan(&[]);
    assert_eq!((one.0["images"].as_array().unwrap().len(), one.1), (25, 1), "{:#}", one.0);
    assert!(one.0.to_string().contains("used by shop/deployment/app0, container app"), "{:#}", one.0);
    for shard in ["1/3", "2/3", "3/3"] {
        scan(&["--results", "results", "--shard", shard]);
    }
    assert_eq!(merged(), one);
    // Nothing is read again, and further names can be scanned together with the manifest.
    let layers = |from: usize| {
        let asked = images.registry.asked().split_off(from);
        asked.iter().filter(|asked| images.layers.iter().any(|layer| asked.ends_with(layer.as_str()))).count()
    };
    let before = images.registry.asked().len();
    assert_eq!(scan(&["--results", "results"]), one);
    assert_eq!(layers(before), 0);
    let both = scan(&["--results", "results", &images.names[0]]);
    assert_eq!((both.0["images"].as_array().unwrap().len(), layers(before)), (26, 1));
    assert_eq!(merged(), both);
    let is_empty = |(report, _): &(serde_json::Value, i32)| report["images"] == serde_json::json!([]);
    let empty = (1..=64).map(|number| scan(&["--shard", &format!("{number}/64")])).find(is_empty);
    assert_eq!(empty.expect("seven names do not fill 64 shards").1, 0);
}

#[test]
fn an_unfinished_file_of_a_killed_run_is_deleted_by_the_next() {
    let images = Images::new(1);
    let place = images.path().join("results");
    fs::create_dir(&place).unwrap();
    fs::write(place.join(".new-left"), "half").unwrap();
    let writing = fs::File::create(place.join(".new-writing")).unwrap();
    writing.lock().unwrap();
    images.scan(&["--results", "results"]);
    let unfinished: Vec<PathBuf> =
        files(&place).into_iter().filter(|path| path.to_string_lossy().contains("/.new-")).collect();
    assert_eq!(unfinished, [place.join(".new-writing")]);
    drop(writing);
    images.scan(&["--results", "results"]);
    assert!(!place.join(".new-writing").exists());
}

#[test]
fn a_record_with_wrong_content_is_ignored() {
    let images = Images::new(4);
    let args = ["--no-cache", "--results", "results"];
    let one = images.scan(&args);
    let place = images.path().join("results");
    let paths = records(&place);
    assert_eq!(paths.len(), 4);
    let whole = fs::read_to_string(&paths[0]).unwrap();
    let other = fs::read_to_string(&paths[1]).unwrap();
    let wrong = [
        whole[..whole.len() / 2].to_string(),
        whole.replace("\"entries\":", "\"entries\":1"),
        other,
        "{}".to_string(),
        "[".repeat(100_000),
        String::new(),
    ];
    for text in &wrong {
        assert_ne!(*text, whole);
        fs::write(&paths[0], text).unwrap();
        let (text, code) = merge(&images, &["results", "--format", "plain"]);
        assert!(code == 3 || code == 1, "{code}");
        assert_eq!(text.matches("it has no result in").count(), 1, "{text}");
        assert_eq!(images.scan(&args), one);
        assert_eq!(fs::read_to_string(&paths[0]).unwrap(), whole);
    }
    fs::remove_file(&paths[0]).unwrap();
    fs::create_dir(&paths[0]).unwrap();
    assert_ne!(merge(&images, &["results"]).1, 0);
}

#[test]
fn results_are_those_of_a_digest_and_of_the_targets_and_only_of_images_that_were_read() {
    let images = Images::new(1);
    let place = images.path().join("results");
    let scan = |args: &[&str]| images.scan(&[&["--results", "results"], args].concat());
    assert_eq!(scan(&[]).1, 0);
    assert_eq!(scan(&["--target", "linux/arm64"]).1, 1);
    assert_eq!(merge(&images, &["results"]).1, 1);
    assert_eq!(records(&place).len(), 2);
    assert_eq!(scan(&[]).1, 0);
    assert_eq!((merge(&images, &["results"]).1, records(&place).len()), (0, 2));
    // The tag moves.
    let layer = Small::new("amd64", ElfBuilder::arm64().build()).layer();
    let stored = images.registry.put_image("team/app000", "v0", &layer);
    assert_eq!(scan(&[]).1, 1);
    assert_eq!((merge(&images, &["results"]).1, records(&place).len()), (1, 3));
    // An unreadable image is reported, and the next run reads it again.
    let hidden = images.registry.put_image("team/app000", "v0", b"not a tar");
    assert_ne!(stored.digest, hidden.digest);
    let (text, code) = scan(&["--no-cache"]);
    assert_eq!((code, records(&place).len()), (3, 3), "{text}");
    assert_eq!(merge(&images, &["results", "--format", "plain"]), (text, 3));
    assert_eq!(merge(&images, &["results", "--max-age", "3600"]).1, 3);
    std::thread::sleep(Duration::from_millis(2100));
    let (text, code) = merge(&images, &["results", "--max-age", "1", "--format", "plain"]);
    assert!(code == 3 && text.contains("shard 1 of 1\tits results are older than --max-age"), "{text}");
}

#[test]
fn merge_takes_the_flags_of_a_report_and_names_missing_results() {
    let images = Images::new(5);
    images.scan(&["--results", "results"]);
    assert_eq!(merge(&images, &["results", "--fail-on", "never"]).1, 0);
    assert_eq!(merge(&images, &["results", "--fail-on", "warning"]).1, 1);
    let (_, code) =
        merge(&images, &["results", "--format", "sarif=out.sarif", "--format", "plain", "--all", "--explain"]);
    assert_eq!(code, 1);
    assert!(fs::read_to_string(images.path().join("out.sarif")).unwrap().contains("entrypoint-wrong-arch"));
    assert_eq!(merge(&images, &["results", "--format", "plain", "--output", "out.txt"]), (String::new(), 1));
    assert!(fs::read_to_string(images.path().join("out.txt")).unwrap().contains("entrypoint-wrong-arch"));
    let output = imgarch(images.path(), &["merge", "results", "--baseline", "b.json", "--update-baseline"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(merge(&images, &["results", "--baseline", "b.json", "--strict"]).1, 0);
    fs::create_dir(images.path().join("empty")).unwrap();
    let output = imgarch(images.path(), &["merge", "empty"], &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && errors.contains("empty has no results of this version"), "{errors}");
    let output = imgarch(images.path(), &["merge", "missing"], &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && errors.contains("no such directory"), "{errors}");
}

#[cfg(feature = "shared-cache")]
#[test]
fn a_store_over_the_network_keeps_results_and_one_that_fails_is_an_error() {
    let (images, store) = (Images::new(5), WebStore::start());
    let place = format!("{}/fleet", store.url.replace("://", "://runner:open-sesame@"));
    let one = images.scan(&["--results", &place]);
    assert_eq!(merge(&images, &[&place, "--format", "plain"]), one);
    store.behave(Manner::Status(500));
    let args = ["scan", "--images-from", "images.txt", "--results", &place];
    let output = imgarch(images.path(), &args, &[("IMGARCH_TIMEOUT", "1")]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("saving results to http://127.0.0.1") && errors.contains("500"), "{errors}");
    assert!(!errors.contains("open-sesame"), "{errors}");
    let (_, code) = said(&imgarch(images.path(), &["merge", &place], &[("IMGARCH_TIMEOUT", "1")]));
    assert_eq!(code, 3);
    let (_, code) = said(&imgarch(images.path(), &["scan", "--offline", "x", "--results", &place], &[]));
    assert_eq!(code, 2);
}
