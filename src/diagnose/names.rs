//! Fills the names of a failure into the texts about its cause, so that commands can be pasted.

use super::log_source::LogSource;
use super::step::Step;
use crate::scan::rebuild_command;
use crate::source::{ImageRef, Origin};

/// Names that are filled into the texts, so that commands can be pasted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub image: Option<String>,
    /// Where the image was read from. `None`: it was not read, and a registry is assumed.
    pub origin: Option<Origin>,
    /// In the syntax of `--target`.
    pub target: Option<String>,
    pub platform: Option<String>,
    pub path: Option<String>,
    pub node: Option<String>,
    /// With its namespace, as arguments of kubectl: `app-1 -n shop`.
    pub pod: Option<String>,
}

impl Names {
    fn origin(&self, image: &str) -> Origin {
        let assumed = || match ImageRef::parse(image).reference() {
            Some(reference) => Origin::Registry { reference, mirror: None },
            None => Origin::Unopened,
        };
        match &self.origin {
            // An image in a registry may have been read by the node's digest, but the rebuild needs its name.
            None | Some(Origin::Registry { .. }) => assumed(),
            Some(origin) => origin.clone(),
        }
    }

    /// The fix for an image that a rebuild by name cannot replace: a build in its source.
    pub fn build(&self) -> String {
        match &self.platform {
            Some(platform) => format!("docker buildx build --platform {platform} .   # in the image's source"),
            None => {
                "build the image for the node's platform too, or run it on a node of the image's platform".to_string()
            }
        }
    }

    /// Fills in a row's steps, without those that need an unknown name, for the tool that wrote the log. What is run on
    /// a node of Kubernetes is left out if another step reaches it through the cluster.
    pub fn fill_all(&self, steps: &[Step], source: &LogSource) -> Vec<String> {
        let is_of_cluster = self.node.is_some() || *source == LogSource::Kubernetes;
        let is_reached = is_of_cluster && steps.iter().any(|step| matches!(step, Step::ThroughCluster(_)));
        let mut filled: Vec<String> = steps.iter().filter_map(|step| self.step(*step, source, is_reached)).collect();
        if is_reached && self.node.is_none() {
            filled.push(source.find_image(self.pod.as_deref()));
        }
        filled
    }

    fn step(&self, step: Step, source: &LogSource, is_reached: bool) -> Option<String> {
        match step {
            Step::OnMachine(_) | Step::Privileged(..) if is_reached => None,
            Step::ThroughCluster(_) if !is_reached => None,
            Step::Anywhere(text) | Step::ThroughCluster(text) | Step::OnMachine(text) => self.fill(text),
            Step::Privileged(arguments, comment) => {
                let run = match source {
                    LogSource::Podman => "sudo podman run --privileged --rm docker.io/",
                    LogSource::Engine
                    | LogSource::Kubernetes
                    | LogSource::Compose
                    | LogSource::Build
                    | LogSource::Systemd { .. } => "docker run --privileged --rm ",
                };
                Some(format!("{run}{arguments}   # {comment}"))
            }
            Step::Rebuild => self.rebuild(),
        }
    }

    /// The command that rebuilds the image for the platform that it lacks. `None` for a digest without a tag, which
    /// cannot be rebuilt in place.
    fn rebuild(&self) -> Option<String> {
        let is_tagged = |image: &&String| {
            image.split_once('@').is_none_or(|(name, _)| name.rsplit('/').next().is_some_and(|last| last.contains(':')))
        };
        let image = self.image.as_ref().filter(is_tagged)?;
        Some(match &self.platform {
            Some(platform) => rebuild_command(image, &self.origin(image), platform),
            None => format!("imgarch rebuild {}", image.split('@').next().unwrap_or(image)),
        })
    }

    /// Fills in a row's text. `None` if the text needs an unknown name.
    pub fn fill(&self, text: &str) -> Option<String> {
        // Without a target, a scan judges every platform.
        let text = match self.target {
            None if !text.contains("{target},") => text.replace(" --target {target}", ""),
            _ => text.to_string(),
        };
        let tagged = self.image.as_ref().map(|image| image.split('@').next().unwrap_or(image).to_string());
        let holes = [
            ("{image}", &self.image),
            ("{tagged}", &tagged),
            ("{target}", &self.target),
            ("{platform}", &self.platform),
            ("{path}", &self.path),
            ("{node}", &self.node),
            ("{pod}", &self.pod),
        ];
        holes
            .iter()
            .filter(|(hole, _)| text.contains(hole))
            .try_fold(text.clone(), |text, (hole, value)| Some(text.replace(hole, value.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::cause::{SUSPECTS, Suspect};

    #[test]
    fn no_filled_in_line_has_a_placeholder() {
        const WORDS: &[&str] = &[
            "RUN",
            "COPY",
            "FROM",
            "USER",
            "CMD",
            "PATH",
            "WORKDIR",
            "ENTRYPOINT",
            "PAGESIZE",
            "CPU",
            "ELF",
            "LFS",
            "GNU",
        ];
        let some = |text: &str| Some(text.to_string());
        let names = Names {
            image: some("user/app:1"),
            origin: None,
            target: some("linux/arm64"),
            platform: some("linux/arm64"),
            path: some("/app"),
            node: some("n1"),
            pod: some("app-1 -n shop"),
        };
        for step in SUSPECTS.iter().flat_map(|row| row.check.iter().chain(row.cure)) {
            let filled = names.step(*step, &LogSource::Engine, matches!(step, Step::ThroughCluster(_))).unwrap();
            let words = filled.split(|c: char| c.is_whitespace() || "'\"`=,:;.()".contains(c));
            let is_placeholder = |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase());
            let found: Vec<&str> = words.filter(is_placeholder).filter(|word| !WORDS.contains(word)).collect();
            assert!(
                found.is_empty() && !filled.contains(['{', '}']) || filled.contains("jsonpath"),
                "{filled}: {found:?}"
            );
        }
    }

    #[test]
    fn a_pods_next_commands_are_run_from_outside_the_node() {
        let check = Suspect::OldKernel.row().check;
        let from_outside = ["kubectl get node n1 -o jsonpath='{.status.nodeInfo.kernelVersion}'"];
        let node = Names { node: Some("n1".into()), ..Names::default() };
        assert_eq!(node.fill_all(check, &LogSource::Engine), from_outside);
        assert_eq!(Names::default().fill_all(check, &LogSource::Engine), ["uname -r   # on the node"]);
    }

    #[test]
    fn commands_about_emulators_are_of_the_tool_that_started_the_container() {
        let node = Names { node: Some("n1".into()), ..Names::default() };
        let pod = Names { pod: Some("app-1 -n shop".into()), ..Names::default() };
        for suspect in [Suspect::Emulator, Suspect::EmulatorOutside] {
            for lines in [suspect.row().cure, suspect.row().check] {
                for (names, source, begins) in [
                    (&node, LogSource::Engine, "kubectl debug node/n1 -it "),
                    (&pod, LogSource::Kubernetes, "imgarch diagnose app-1 -n shop   # "),
                    (&Names::default(), LogSource::Kubernetes, "imgarch diagnose --failing -A   # "),
                ] {
                    let filled = names.fill_all(lines, &source);
                    assert!(filled.iter().any(|line| line.starts_with(begins)), "{suspect:?} {source:?}: {filled:?}");
                    assert!(
                        !filled.iter().any(|line| line.starts_with("docker ")),
                        "{suspect:?} {source:?}: {filled:?}"
                    );
                }
            }
            let cure = suspect.row().cure;
            let of = |source| Names::default().fill_all(cure, &source).join("\n");
            assert!(of(LogSource::Compose).contains("docker run --privileged --rm tonistiigi/binfmt --install all"));
            assert!(
                of(LogSource::Podman)
                    .contains("sudo podman run --privileged --rm docker.io/tonistiigi/binfmt --install")
            );
            assert!(!of(LogSource::Podman).contains("docker run"));
        }
    }

    #[test]
    fn a_question_to_the_cluster_is_only_for_logs_of_a_cluster() {
        let check = Suspect::CpuLevel.row().check;
        let of = |source| Names::default().fill_all(check, &source).join("\n");
        assert!(of(LogSource::Kubernetes).contains("imgarch nodes") && !of(LogSource::Kubernetes).contains("lscpu"));
        assert!(of(LogSource::Engine).contains("lscpu") && !of(LogSource::Engine).contains("imgarch nodes"));
    }

    #[test]
    fn a_line_that_needs_an_unknown_name_is_left_out() {
        let names = Names { image: Some("app:1@sha256:12".into()), ..Names::default() };
        let filled = |text| names.fill(text);
        assert_eq!(filled("imgarch scan {image} --target {target}").unwrap(), "imgarch scan app:1@sha256:12");
        assert_eq!(filled("inspect {tagged}").unwrap(), "inspect app:1");
        assert_eq!(filled("imgarch scan {image} --target {target},page=64k"), None);
        assert_eq!(filled("kubectl logs {pod} --previous"), None);
        assert_eq!(Names::default().rebuild(), None);
        assert_eq!(names.rebuild().unwrap(), "imgarch rebuild app:1");
        assert_eq!(Names::default().fill("see its log").unwrap(), "see its log");
    }
}
