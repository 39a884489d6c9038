//! Recognises Compose files of version 1, which have no `services:`. Pure.
//! Source: docker-compose 1.29, config_schema_v1.json.

use serde_json::{Value, json};

/// The file in the form of later versions. `None` if it is not a file of version 1.
pub fn of_version_1(value: &Value) -> Option<Value> {
    let services = value.as_object().filter(|services| !services.is_empty())?;
    let is_service = |body: &Value| {
        body.as_object().is_some_and(|fields| {
            let is_source = |key: &str| fields.get(key).is_some_and(Value::is_string) || fields.contains_key("extends");
            ["image", "build"].iter().any(|key| is_source(key)) && fields.keys().all(|key| KEYS.contains(&key.as_str()))
        })
    };
    services.values().all(is_service).then(|| json!({"services": value}))
}

/// Every field of a service.
const KEYS: &[&str] = &[
    "build",
    "cap_add",
    "cap_drop",
    "cgroup_parent",
    "command",
    "container_name",
    "cpu_quota",
    "cpu_shares",
    "cpuset",
    "devices",
    "dns",
    "dns_search",
    "dockerfile",
    "domainname",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "external_links",
    "extra_hosts",
    "group_add",
    "hostname",
    "image",
    "ipc",
    "labels",
    "links",
    "log_driver",
    "log_opt",
    "mac_address",
    "mem_limit",
    "mem_swappiness",
    "memswap_limit",
    "net",
    "oom_score_adj",
    "pid",
    "ports",
    "privileged",
    "read_only",
    "restart",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_signal",
    "tty",
    "ulimits",
    "user",
    "volume_driver",
    "volumes",
    "volumes_from",
    "working_dir",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_version_1_are_distinguished_from_other_files_with_images() {
        let v1 = json!({"web": {"image": "web:1", "links": ["db"]}, "db": {"build": "."}});
        assert_eq!(of_version_1(&v1), Some(json!({"services": v1})));
        for other in [
            json!({}),
            json!({"web": {"image": "web:1", "replicaCount": 2}}),
            json!({"image": {"repository": "a", "tag": "1"}}),
            json!({"web": {"image": {"repository": "a"}}}),
            json!({"web": {"image": "web:1"}, "name": "x"}),
            json!([]),
        ] {
            assert_eq!(of_version_1(&other), None, "{other}");
        }
    }
}
