//! Recognises which tool wrote a log, and the pod that it is about, so that next commands are those of that tool.

use super::symptom::Symptom;

/// Bytes at the start of a log that are searched. Symptoms are searched in addition.
pub const HEAD: usize = 64 << 10;

/// The tool from which a log was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogSource {
    /// A container engine, or nothing that says.
    #[default]
    Engine,
    Kubernetes,
    Compose,
    Podman,
    /// A builder of images.
    Build,
    /// The journal, about this unit.
    Systemd {
        unit: String,
    },
}

impl LogSource {
    /// How to find the image, for a log that does not name it. `pod`: arguments of kubectl.
    pub fn find_image(&self, pod: Option<&str>) -> String {
        const GIVE: &str = "add --image for the file, its layer and commands";
        match (self, pod) {
            (_, Some(pod)) => format!("imgarch diagnose {pod}   # reads its image, node and log from the cluster"),
            (LogSource::Kubernetes, None) => {
                "imgarch diagnose --failing -A   # reads images, nodes and logs from the cluster".to_string()
            }
            (LogSource::Compose, None) => format!("{GIVE}; docker compose images lists the images"),
            (LogSource::Podman, None) => format!("{GIVE}; podman ps -a lists the images"),
            (LogSource::Build, None) => format!("{GIVE}: the base image that FROM names"),
            (LogSource::Systemd { unit }, None) => format!("{GIVE}; systemctl cat {unit} names what it starts"),
            (LogSource::Engine, None) => format!("{GIVE}; docker ps -a lists the images"),
        }
    }
}

/// Texts that only one tool writes, the more specific tools first.
const MARKS: &[(&str, LogSource)] = &[
    ("kubelet", LogSource::Kubernetes),
    ("kubectl", LogSource::Kubernetes),
    ("Back-off ", LogSource::Kubernetes),
    ("BackOff", LogSource::Kubernetes),
    ("ErrImagePull", LogSource::Kubernetes),
    ("Defaulted container ", LogSource::Kubernetes),
    ("[pod/", LogSource::Kubernetes),
    (" stderr F ", LogSource::Kubernetes),
    (" stdout F ", LogSource::Kubernetes),
    ("did not complete successfully", LogSource::Build),
    ("returned a non-zero code", LogSource::Build),
    ("building at STEP", LogSource::Build),
    ("docker-compose", LogSource::Compose),
    ("docker compose", LogSource::Compose),
    ("Attaching to ", LogSource::Compose),
    ("exited with code ", LogSource::Compose),
    ("conmon", LogSource::Podman),
    ("podman", LogSource::Podman),
    ("crun: ", LogSource::Podman),
];

/// The source of a log, by its start and by its symptoms.
pub fn source_of(head: &str, symptoms: &[Symptom]) -> LogSource {
    let texts = || std::iter::once(head).chain(symptoms.iter().map(|symptom| symptom.line.as_str()));
    if let Some((_, source)) = MARKS.iter().find(|(mark, _)| texts().any(|text| text.contains(mark))) {
        return source.clone();
    }
    if let Some(unit) = symptoms.iter().find_map(|symptom| unit(&symptom.line)) {
        return LogSource::Systemd { unit: unit.to_string() };
    }
    // `web-1  | text`, as Compose prefixes each line.
    let is_prefixed = |line: &str| {
        let service = line.split_once("| ").map(|(service, _)| service.trim_end());
        service.is_some_and(|service| !service.is_empty() && service.chars().all(is_of_name))
    };
    let first = head.lines().find(|line| !line.trim().is_empty());
    if first.is_some_and(is_prefixed) { LogSource::Compose } else { LogSource::Engine }
}

/// The unit of a message of systemd: `app.service: Failed at step EXEC spawning`.
fn unit(line: &str) -> Option<&str> {
    const END: &str = ".service: ";
    let at = line.find(END)?;
    let start = line[..at].rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let unit = &line[start..at + END.len() - 2];
    unit.chars().all(|c| is_of_name(c) || "@:\\".contains(c)).then_some(unit)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Texts of the kubelet before a pod's name, with the character between its namespace and its name. Source: the
/// kubelet's `format.Pod` (`name_namespace(uid)`) and klog's `KObj` (`namespace/name`).
const PODS: &[(&str, PodName)] = &[
    ("in pod ", PodName::WithUid),
    ("(pod: \"", PodName::WithUid),
    ("pod=\"", PodName::OfKlog),
    ("pod=", PodName::WithUid),
    ("[pod/", PodName::Alone),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PodName {
    WithUid,
    OfKlog,
    Alone,
}

/// The pod that a log or its symptoms name, as arguments of kubectl: `app-1 -n shop`. `None` if several are named.
pub fn pod_of(head: &str, symptoms: &[Symptom]) -> Option<String> {
    let texts = std::iter::once(head).chain(symptoms.iter().map(|symptom| symptom.line.as_str()));
    let mut pods: Vec<String> = Vec::new();
    for (text, (mark, form)) in texts.flat_map(|text| PODS.iter().map(move |row| (text, row))) {
        let named = text.match_indices(mark).filter_map(|(at, _)| pod(&text[at + mark.len()..], *form));
        pods.extend(named.filter(|pod| !pods.contains(pod)).collect::<Vec<_>>());
    }
    pods.dedup();
    match pods.as_slice() {
        [pod] => Some(pod.clone()),
        _ => None,
    }
}

fn pod(text: &str, form: PodName) -> Option<String> {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
    };
    let (name, namespace) = match form {
        PodName::WithUid => {
            let (pod, _) = text.split_once('(')?;
            pod.split_once('_')?
        }
        PodName::OfKlog => {
            let (namespace, name) = text.split_once('"')?.0.split_once('/')?;
            (name, namespace)
        }
        PodName::Alone => {
            let name = text.split(['/', ']']).next()?;
            return is_name(name).then(|| name.to_string());
        }
    };
    (is_name(name) && is_name(namespace)).then(|| format!("{name} -n {namespace}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::recognise::recognise;

    #[test]
    fn a_next_command_is_of_the_tool_that_wrote_the_log() {
        let build = "#6 0.2 exec /bin/sh: exec format error\nERROR: process \"x\" did not complete successfully: exit code: 255";
        for (log, expected) in [
            ("exec /app: exec format error", "docker ps -a"),
            ("web-1  | exec /app: exec format error", "docker compose images"),
            ("Attaching to web\nweb | exec /app: exec format error", "docker compose images"),
            ("a || b\nexec /app: exec format error", "docker ps -a"),
            ("conmon[7]: exec container process `/app`: Exec format error", "podman ps -a"),
            (build, "the base image that FROM names"),
            (
                "systemd[1]: app.service: Failed at step EXEC spawning /usr/bin/app: Exec format error",
                "systemctl cat app.service",
            ),
            ("Warning  BackOff  kubelet  Back-off restarting failed container", "imgarch diagnose --failing -A"),
            (
                "Back-off restarting failed container app in pod app-1_shop(12-ab)\nexec /app: exec format error",
                "imgarch diagnose app-1 -n shop",
            ),
            ("E0101 \"Error syncing pod\" pod=\"shop/app-1\" podUID=\"1\"", "imgarch diagnose app-1 -n shop"),
            ("[pod/app-1/app] exec /app: exec format error", "imgarch diagnose app-1 "),
            (
                "[pod/app-1/app] exec /app: exec format error\n[pod/app-2/app] exec /app: exec format error",
                "imgarch diagnose --failing -A",
            ),
        ] {
            let symptoms = recognise(log);
            let line = source_of(log, &symptoms).find_image(pod_of(log, &symptoms).as_deref());
            assert!(line.contains(expected), "{log}: {line}");
        }
    }
}
