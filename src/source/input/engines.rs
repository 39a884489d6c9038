//! Names that local engines may know, alone or after the registry was asked.

use super::super::engine::{Endpoint, Engine, docker_endpoints, podman_endpoints};
use super::super::transport::Origin;
use super::super::{Selector, SourceError, process};
use super::{Input, Opened, Opener, ask_registry};
use crate::oci::Reference;

/// An image of the Docker Engine that the `docker` command would ask.
pub(super) fn docker(name: &str, options: &Opener) -> Result<Opened, SourceError> {
    let asked = Asked::of(name, docker_endpoints(&options.engines)?);
    asked.opened(name).unwrap_or_else(|| Err(asked.missing(name, "Docker Engine")))
}

/// An image of podman's storage, of which its service gives images, or else its command.
pub(super) fn containers_storage(name: &str, options: &Opener) -> Result<Opened, SourceError> {
    let asked = Asked::of(name, podman_endpoints(&options.engines)?);
    match asked.opened(name) {
        Some(opened) => opened,
        // There is no service: the command reads the same storage.
        None if asked.absent.is_empty() && asked.failed.is_empty() => save_by_podman("podman", name),
        None => Err(asked.missing(name, "podman")),
    }
}

const PODMAN_SERVICE: &str = "start podman's service: systemctl --user start podman.socket";

fn save_by_podman(command: &str, name: &str) -> Result<Opened, SourceError> {
    let output = process::start(command, &["save", "--format", "oci-archive", "--", name], PODMAN_SERVICE)?;
    let place = "podman save".to_string();
    let input = Input::stream(Box::new(output), Selector::All, &place);
    Ok(Opened::new(input, Origin::Store { place }, name))
}

/// Whether podman's storage has what `podman images` lists by this name. `false` too where there is no podman.
fn is_listed_by_podman(command: &str, name: &str) -> bool {
    process::list(command, &["image", "exists", "--", name], PODMAN_SERVICE).is_ok()
}

/// A bare reference: the registry's; where the registry does not have it, or cannot be asked, a local engine's.
pub(super) fn bare(reference: &Reference, options: &Opener) -> Result<Opened, SourceError> {
    let refused = match &options.registry {
        Some(opener) => match ask_registry(reference, opener) {
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
    let mut asked = Asked::of(&name, endpoints);
    asked.failed.extend(refusals);
    let why = match refused.as_ref().map(SourceError::bare) {
        None => None,
        Some(SourceError::NotFound { .. }) => Some(format!("not in the registry {}", reference.registry)),
        Some(SourceError::Denied { .. }) => {
            Some(format!("the registry {} does not have it, or not for this user", reference.registry))
        }
        Some(error @ SourceError::Unreachable { .. }) => Some(error.to_string()),
        // The registry has something, and it is not what it should be: another copy says nothing of that.
        Some(_) => return Err(asked.hinted(refused.expect("it was matched"))),
    };
    let podman = options.engines.podman_command.as_deref().filter(|_| !has_service);
    let listed_by = |command: &&str| is_listed_by_podman(command, &name);
    let opened = asked.opened(&name).or_else(|| podman.filter(listed_by).map(|command| save_by_podman(command, &name)));
    match (opened, refused) {
        (Some(opened), _) => {
            let mut opened = opened?;
            opened.note = why.map(|why| format!("{why}; read from {}", opened.origin));
            Ok(opened)
        }
        (None, Some(refused)) => Err(asked.hinted(refused)),
        (None, None) => Err(asked.missing_offline(&name)),
    }
}

/// What the engines said of a name.
#[derive(Default)]
struct Asked {
    has: Option<(Engine, String)>,
    /// Places that do not have it.
    absent: Vec<String>,
    /// Why others could not say.
    failed: Vec<SourceError>,
}

impl Asked {
    /// Asks until one has it.
    fn of(name: &str, endpoints: Vec<Endpoint>) -> Asked {
        let mut asked = Asked::default();
        for endpoint in endpoints {
            let found = Engine::connect(&endpoint).and_then(|engine| Ok((engine.find(name)?, engine)));
            match found {
                Ok((Some(name), engine)) => {
                    asked.has = Some((engine, name));
                    break;
                }
                Ok((None, engine)) => asked.absent.push(engine.place),
                Err(error) => asked.failed.push(error),
            }
        }
        asked
    }

    /// The image of the engine that has it; `None`: none has.
    fn opened(&self, name: &str) -> Option<Result<Opened, SourceError>> {
        let (engine, found) = self.has.as_ref()?;
        let stream = |reader| Input::stream(reader, Selector::All, &engine.place);
        Some(engine.export(found).map(|reader| Opened::new(stream(reader), engine.origin(), name)))
    }

    /// The error of a name that was looked for in engines only.
    fn missing(mut self, name: &str, engine: &str) -> SourceError {
        if !self.absent.is_empty() {
            let place = self.absent.join(" and ");
            return SourceError::NotFound { what: "image", name: name.to_string(), place };
        }
        if !self.failed.is_empty() {
            return self.failed.remove(0);
        }
        let cause = "no socket of it was found".to_string();
        SourceError::Unreachable { place: engine.to_string(), cause }.with_hint("set DOCKER_HOST=unix:///PATH")
    }

    /// The error of a name whose registry was not to be asked.
    fn missing_offline(self, name: &str) -> SourceError {
        if !self.absent.is_empty() {
            let (what, name, place) = ("image", name.to_string(), self.absent.join(" and "));
            return SourceError::NotFound { what, name, place }.with_hint("leave out --offline to ask its registry");
        }
        let hint = self.failed.iter().find_map(SourceError::hint).unwrap_or("set DOCKER_HOST=unix:///PATH");
        let hint = format!("{hint}; or leave out --offline to ask its registry");
        let said: Vec<String> = self.failed.iter().map(ToString::to_string).collect();
        let said = if said.is_empty() { "no local engine's socket was found".to_string() } else { said.join("; ") };
        let cause = format!("its registry was left out by --offline, and {said}");
        SourceError::Unreachable { place: format!("the image {name}"), cause }.with_hint(hint)
    }

    /// A registry's error with what the engines said, beside its own hint.
    fn hinted(self, error: SourceError) -> SourceError {
        let said = match self.has {
            Some((engine, name)) => {
                let prefix = engine.kind.transport().row().prefix;
                Some(format!("{} has an image of that name: {prefix}{name}", engine.place))
            }
            None if !self.absent.is_empty() => Some(format!("it is not in {} either", self.absent.join(" or "))),
            None => self.failed.first().map(|failed| format!("local engines were not asked: {failed}")),
        };
        match (error.hint().map(str::to_string), said) {
            (_, None) => error,
            (None, Some(said)) => error.with_hint(said),
            (Some(hint), Some(said)) => error.with_hint(format!("{hint}; {said}")),
        }
    }
}
