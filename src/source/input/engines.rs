//! Looks names up in local engines, either directly or after the registry.

use super::super::engine::{EngineEndpoint, RunningEngine, docker_endpoints, podman_endpoints};
use super::super::transport::Origin;
use super::super::{Selector, SourceError, process};
use super::{ImageOpener, Opened, OpenedInput, query_registry};
use crate::oci::Reference;

/// Opens an image of the Docker Engine that the `docker` command would use.
pub(super) fn docker(name: &str, options: &ImageOpener) -> Result<Opened, SourceError> {
    let search = EngineSearch::run(name, docker_endpoints(&options.engines)?);
    search.opened(name).unwrap_or_else(|| Err(search.missing(name, "Docker Engine")))
}

/// Opens an image of podman's storage, through its service or its command.
pub(super) fn containers_storage(name: &str, options: &ImageOpener) -> Result<Opened, SourceError> {
    let search = EngineSearch::run(name, podman_endpoints(&options.engines)?);
    match search.opened(name) {
        Some(opened) => opened,
        // Without a service, the command reads the same storage.
        None if search.absent.is_empty() && search.failed.is_empty() => save_by_podman("podman", name),
        None => Err(search.missing(name, "podman")),
    }
}

const PODMAN_SERVICE: &str = "start podman's service: systemctl --user start podman.socket";

fn save_by_podman(command: &str, name: &str) -> Result<Opened, SourceError> {
    let output = process::start(command, &["save", "--format", "oci-archive", "--", name], PODMAN_SERVICE)?;
    let place = "podman save".to_string();
    let input = OpenedInput::stream(Box::new(output), Selector::All, &place);
    Ok(Opened::new(input, Origin::Store { place }, name))
}

/// Whether podman's storage has an image that `podman images` lists under this name. Also `false` without podman.
fn is_listed_by_podman(command: &str, name: &str) -> bool {
    process::list(command, &["image", "exists", "--", name], PODMAN_SERVICE).is_ok()
}

/// Opens a bare reference from its registry. If the registry does not have it or cannot be queried, tries local
/// engines.
pub(super) fn bare(reference: &Reference, options: &ImageOpener) -> Result<Opened, SourceError> {
    let refused = match &options.registry {
        Some(opener) => match query_registry(reference, opener) {
            Ok(opened) => return Ok(opened),
            Err(error) => Some(error),
        },
        None => None,
    };
    let name = reference.to_string();
    let (mut endpoints, mut refusals) = (Vec::new(), Vec::new());
    let podman = podman_endpoints(&options.engines);
    let has_service = !podman.as_ref().is_ok_and(Vec::is_empty);
    for found in [docker_endpoints(&options.engines), podman] {
        match found {
            Ok(found) => endpoints.extend(found),
            Err(error) => refusals.push(error),
        }
    }
    let mut search = EngineSearch::run(&name, endpoints);
    search.failed.extend(refusals);
    let why = match refused.as_ref().map(SourceError::bare) {
        None => None,
        Some(SourceError::NotFound { .. }) => Some(format!("not in the registry {}", reference.registry)),
        Some(SourceError::Denied { .. }) => {
            Some(format!("not in the registry {}, or not accessible to this user", reference.registry))
        }
        Some(error @ SourceError::Unreachable { .. }) => Some(error.to_string()),
        // The registry has this image but it is faulty, and a copy elsewhere shows nothing about that one.
        Some(_) => return Err(search.hinted(refused.expect("it was matched"))),
    };
    let podman = options.engines.podman_command.as_deref().filter(|_| !has_service);
    let listed_by = |command: &&str| is_listed_by_podman(command, &name);
    let opened =
        search.opened(&name).or_else(|| podman.filter(listed_by).map(|command| save_by_podman(command, &name)));
    match (opened, refused) {
        (Some(opened), _) => {
            let mut opened = opened?;
            opened.note = why.map(|why| format!("{why}; read from {}", opened.origin));
            Ok(opened)
        }
        (None, Some(refused)) => Err(search.hinted(refused)),
        (None, None) => Err(search.missing_offline(&name)),
    }
}

/// The results of looking a name up in engines.
#[derive(Default)]
struct EngineSearch {
    has: Option<(RunningEngine, String)>,
    /// Engines that do not have the image.
    absent: Vec<String>,
    /// Errors of engines that could not be queried.
    failed: Vec<SourceError>,
}

impl EngineSearch {
    /// Queries the engines until one has the image.
    fn run(name: &str, endpoints: Vec<EngineEndpoint>) -> EngineSearch {
        let mut search = EngineSearch::default();
        for endpoint in endpoints {
            let found = RunningEngine::connect(&endpoint).and_then(|engine| Ok((engine.find(name)?, engine)));
            match found {
                Ok((Some(name), engine)) => {
                    search.has = Some((engine, name));
                    break;
                }
                Ok((None, engine)) => search.absent.push(engine.place),
                Err(error) => search.failed.push(error),
            }
        }
        search
    }

    /// The image from the engine that has it; `None` if none has it.
    fn opened(&self, name: &str) -> Option<Result<Opened, SourceError>> {
        let (engine, found) = self.has.as_ref()?;
        let stream = |reader| OpenedInput::stream(reader, Selector::All, &engine.place);
        Some(engine.export(found).map(|reader| Opened::new(stream(reader), engine.origin(), name)))
    }

    /// The error for a name that was looked up in engines only.
    fn missing(mut self, name: &str, engine: &str) -> SourceError {
        if !self.absent.is_empty() {
            let place = self.absent.join(" and ");
            return SourceError::NotFound { what: "image", name: name.to_string(), place };
        }
        if !self.failed.is_empty() {
            return self.failed.remove(0);
        }
        let cause = "no socket was found".to_string();
        SourceError::Unreachable { place: engine.to_string(), cause }.with_hint("set DOCKER_HOST=unix:///PATH")
    }

    /// The error for a name whose registry was not queried because of --offline.
    fn missing_offline(self, name: &str) -> SourceError {
        if !self.absent.is_empty() {
            let (what, name, place) = ("image", name.to_string(), self.absent.join(" and "));
            return SourceError::NotFound { what, name, place }.with_hint("omit --offline to query its registry");
        }
        let hint = self.failed.iter().find_map(SourceError::hint).unwrap_or("set DOCKER_HOST=unix:///PATH");
        let hint = format!("{hint}; or omit --offline to query its registry");
        let causes: Vec<String> = self.failed.iter().map(ToString::to_string).collect();
        let causes =
            if causes.is_empty() { "no local engine's socket was found".to_string() } else { causes.join("; ") };
        let cause = format!("--offline disables access to its registry, and {causes}");
        SourceError::Unreachable { place: format!("the image {name}"), cause }.with_hint(hint)
    }

    /// Adds the engines' results to a registry's error, after its own hint.
    fn hinted(self, error: SourceError) -> SourceError {
        let extra = match self.has {
            Some((engine, name)) => {
                let prefix = engine.kind.transport().row().prefix;
                Some(format!("{} has an image of that name: {prefix}{name}", engine.place))
            }
            None if !self.absent.is_empty() => Some(format!("it is not in {} either", self.absent.join(" or "))),
            None => self.failed.first().map(|failed| format!("local engines could not be queried: {failed}")),
        };
        match (error.hint().map(str::to_string), extra) {
            (_, None) => error,
            (None, Some(extra)) => error.with_hint(extra),
            (Some(hint), Some(extra)) => error.with_hint(format!("{hint}; {extra}")),
        }
    }
}
