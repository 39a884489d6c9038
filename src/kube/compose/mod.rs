//! Reads Compose files: each service that names an image becomes a workload, with its `extends` and the file's
//! `include` applied. Pure: the caller reads other files.
//! Source: the Compose specification; compose-go's loader and override.

mod build;
mod env_file;
mod merge;
mod service;
mod variables;
mod version1;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::manifest_error::ManifestError;
use super::workload::Workload;
use crate::yaml;
pub use build::ServiceBuild;
use merge::{many, merge, resolved};
use variables::ComposeVariables;
pub use version1::of_version_1;

/// Maximum number of files in one project, with included and extended ones.
const FILES: usize = 100;
/// Maximum length of a chain of `extends`.
const EXTENDS: usize = 32;

/// Access to everything outside a Compose file that it refers to.
pub struct ComposeSurroundings<'a> {
    /// The user's environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The file's directory, to which its paths are relative.
    pub directory: PathBuf,
    /// The name of that directory, from which Compose derives the project's name.
    pub directory_name: String,
    /// Reads another file. The error states why it failed.
    pub read: &'a dyn Fn(&Path) -> Result<String, String>,
}

/// The services of a project.
#[derive(Debug, Default)]
pub struct Services {
    pub workloads: Vec<Workload>,
    /// How services are built, whether or not they name an image.
    pub builds: Vec<ServiceBuild>,
    /// Services whose image is only built. Each is named as Compose names its image.
    pub built: Vec<String>,
    /// What names images in a place that is not read.
    pub unread: Vec<String>,
    /// Notes for the user: variables without a value, services that are built.
    pub notes: Vec<String>,
}

/// One YAML document of a Compose file.
pub struct ComposeDocument {
    pub value: Value,
    /// A key that occurs twice in one of its mappings.
    pub duplicate: Option<String>,
}

impl ComposeDocument {
    pub fn new(node: &yaml::YamlNode) -> ComposeDocument {
        ComposeDocument { value: node.to_json(), duplicate: node.duplicate_key().map(str::to_string) }
    }
}

/// Reads a project: the documents of its files, of which later ones override earlier ones. As in Compose, `extends` and
/// `include` of a document are applied first.
pub fn services(
    name: &str,
    documents: Vec<ComposeDocument>,
    outside: &ComposeSurroundings<'_>,
) -> Result<Services, ManifestError> {
    let variables =
        ComposeVariables { environment: outside.variable, file: BTreeMap::new(), unset: BTreeSet::new(), spent: 0 };
    let mut files = ComposeFiles { outside, variables, notes: Vec::new(), unread: Vec::new(), read: 0 };
    let place = ComposePath { name: name.to_string(), directory: outside.directory.clone() };
    files.set_variables(&outside.directory.join(".env"), &place)?;
    let documents =
        documents.into_iter().map(|document| place.one_of(vec![document])).collect::<Result<Vec<_>, _>>()?;
    let named = documents.iter().rev().find(|document| document["name"].is_string());
    let project = files.name_project(named.unwrap_or(&Value::Null), &place)?;
    let mut services = Map::new();
    for document in documents {
        merge_services(&mut services, files.load(document, &place, &mut Vec::new())?);
    }
    let mut found = Services::default();
    let Value::Object(services) = resolved(services.into()) else { return Ok(found) };
    for (service, body) in services {
        found.builds.extend(build::build(&service, &body, &outside.directory));
        let refuse = |cause| ManifestError::Service { name: name.to_string(), service: service.clone(), cause };
        let env_files = files.env_files(&body);
        let workload = {
            let value = |name: &str| files.variables.value(name);
            service::workload(&service, &body, &service::VariableOrigin { env_files, value: &value })
        };
        match workload.map_err(refuse)? {
            Some(workload) => found.workloads.push(workload),
            None if body.get("build").is_some() => {
                let image = format!("{project}-{service}");
                files
                    .notes
                    .push(format!("service/{service} is built and names no image; scan the built image {image}"));
                found.built.push(image);
            }
            // A service of another program, such as a tunnel to a cloud, runs no container.
            None if body.get("provider").is_some() => {}
            // Compose rejects such a service, unless another file completes it.
            None => files.unread.push(format!("service/{service}")),
        }
        let profiles: Vec<&str> = body["profiles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !profiles.is_empty() {
            files.notes.push(format!("service/{service} starts only with the profile {}", profiles.join(" or ")));
        }
    }
    let unset = files.variables.unset.iter();
    found.notes.extend(unset.map(|name| format!("variable {name} is not set; an empty string is used")));
    found.notes.append(&mut files.notes);
    found.unread = files.unread;
    Ok(found)
}

/// A file's name, for messages, and its directory.
#[derive(Clone)]
struct ComposePath {
    name: String,
    directory: PathBuf,
}

impl ComposePath {
    fn refuse(&self, cause: impl Into<String>) -> ManifestError {
        ManifestError::Compose { name: self.name.clone(), cause: cause.into() }
    }

    /// The documents of this file as one: the later ones override the first.
    fn one_of(&self, documents: Vec<ComposeDocument>) -> Result<Value, ManifestError> {
        let mut whole = Map::new();
        for ComposeDocument { value, duplicate } in documents {
            if let Some(key) = duplicate {
                return Err(self.refuse(format!("mapping key {key:?} already defined")));
            }
            let Value::Object(fields) = value else { continue };
            for (key, over) in fields {
                let merged = match (whole.remove(&key), over) {
                    (Some(Value::Object(mut known)), Value::Object(over)) if key == "services" => {
                        merge_services(&mut known, over);
                        known.into()
                    }
                    (Some(known), over) => merge(known, over, &key),
                    (None, over) => over,
                };
                whole.insert(key, merged);
            }
        }
        Ok(whole.into())
    }
}

/// Merges services over those of the same names.
fn merge_services(known: &mut Map<String, Value>, over: Map<String, Value>) {
    for (service, body) in over {
        let body = match known.remove(&service) {
            Some(known) => merge(known, body, ""),
            None => body,
        };
        known.insert(service, body);
    }
}

/// Reads the files of a project.
struct ComposeFiles<'a, 'o> {
    outside: &'o ComposeSurroundings<'a>,
    variables: ComposeVariables<'a>,
    notes: Vec<String>,
    unread: Vec<String>,
    read: usize,
}

impl ComposeFiles<'_, '_> {
    /// Reads the project's variables from `.env` or a file that replaces it. The user's environment, and files that were
    /// read before, take precedence.
    fn set_variables(&mut self, path: &Path, place: &ComposePath) -> Result<(), ManifestError> {
        let Ok(text) = (self.outside.read)(path) else { return Ok(()) };
        let refuse = |cause| place.refuse(format!("{}, {cause}", path.display()));
        let own = env_file::read(&text, BTreeMap::new(), &mut self.variables).map_err(refuse)?;
        for (name, value) in own {
            self.variables.file.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// Sets COMPOSE_PROJECT_NAME, to the file's `name` or the name of its directory, and returns it.
    fn name_project(&mut self, file: &Value, place: &ComposePath) -> Result<String, ManifestError> {
        const VARIABLE: &str = "COMPOSE_PROJECT_NAME";
        let named = match (self.variables.value(VARIABLE), file["name"].as_str()) {
            (Some(set), _) if !set.is_empty() => set,
            (_, Some(name)) => self.variables.interpolate(name).map_err(|cause| place.refuse(cause))?,
            _ => self.outside.directory_name.clone(),
        };
        let mut name = named.to_lowercase();
        name.retain(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_'));
        let name = name.trim_start_matches(['-', '_']).to_string();
        self.variables.file.insert(VARIABLE.to_string(), name.clone());
        Ok(name)
    }

    /// The variables of a service's `env_file`s. An unreadable one is only noted, because it often contains secrets and
    /// is not stored with the project.
    fn env_files(&mut self, body: &Value) -> BTreeMap<String, String> {
        let mut known = BTreeMap::new();
        for entry in many(body["env_file"].clone()) {
            let Some(path) = entry.as_str().or_else(|| entry["path"].as_str()) else { continue };
            let text = (self.outside.read)(Path::new(path));
            let read = text.and_then(|text| match entry["format"].as_str() {
                Some("raw") => Ok(known.clone().into_iter().chain(env_file::read_raw(&text)).collect()),
                _ => env_file::read(&text, known.clone(), &mut self.variables),
            });
            match read {
                Ok(all) => known = all,
                Err(cause) if entry["required"] != false => {
                    self.notes.push(format!("could not read the variables in {path}: {cause}"));
                }
                Err(_) => {}
            }
        }
        known
    }

    /// The services of a file and of the files that it includes, with `extends` applied.
    fn load(
        &mut self,
        file: Value,
        place: &ComposePath,
        open: &mut Vec<PathBuf>,
    ) -> Result<Map<String, Value>, ManifestError> {
        let (own, include) = self.filled(file, place)?;
        let mut services = Map::new();
        for name in own.keys() {
            let body = self.extended(name, &own, place, &mut Vec::new())?;
            services.insert(name.clone(), body);
        }
        for entry in include.as_array().into_iter().flatten() {
            for (name, body) in self.included(entry, place, open)? {
                // Before Compose 2.36, the same name in both was an error.
                let body = match services.remove(&name) {
                    Some(own) => merge(body, own, ""),
                    None => body,
                };
                services.insert(name, body);
            }
        }
        Ok(services)
    }

    /// Services and `include` of a file, with their variables filled in and their paths joined to the file's directory.
    fn filled(&mut self, mut file: Value, place: &ComposePath) -> Result<(Map<String, Value>, Value), ManifestError> {
        let mut services = match file.get_mut("services").map(Value::take) {
            Some(Value::Object(services)) => services,
            _ => Map::new(),
        };
        let mut include = file.get_mut("include").map(Value::take).unwrap_or_default();
        self.variables.fill(&mut include).map_err(|cause| place.refuse(cause))?;
        for (name, body) in &mut services {
            let refuse = |cause| ManifestError::Service { name: place.name.clone(), service: name.clone(), cause };
            self.variables.fill(body).map_err(refuse)?;
            anchor(body, &place.directory);
        }
        Ok((services, include))
    }

    fn included(
        &mut self,
        entry: &Value,
        place: &ComposePath,
        open: &mut Vec<PathBuf>,
    ) -> Result<Map<String, Value>, ManifestError> {
        let paths = match entry {
            Value::String(path) => vec![path.clone()],
            entry => one_or_many(&entry["path"]),
        };
        let mut services = Map::new();
        if let Some(remote) = paths.iter().find(|path| is_remote(path)) {
            self.unread.push(format!("include {remote}"));
            return Ok(services);
        }
        let outer = self.variables.file.clone();
        for (index, path) in paths.iter().enumerate() {
            let path = place.directory.join(path);
            if open.contains(&path) {
                return Err(place.refuse(format!("{} includes itself", path.display())));
            }
            let project = entry["project_directory"].as_str().map(|directory| place.directory.join(directory));
            let directory = project.unwrap_or_else(|| parent(&path));
            if index == 0 {
                let mut env_files: Vec<PathBuf> =
                    one_or_many(&entry["env_file"]).iter().map(|file| place.directory.join(file)).collect();
                if env_files.is_empty() {
                    env_files.push(directory.join(".env"));
                }
                for file in env_files {
                    self.set_variables(&file, place)?;
                }
            }
            let file = self.file(&path, place)?;
            let inner = ComposePath { name: path.display().to_string(), directory };
            open.push(path);
            let loaded = self.load(file, &inner, open)?;
            open.pop();
            merge_services(&mut services, loaded);
        }
        self.variables.file = outer;
        Ok(services)
    }

    /// A service merged over the service that it extends. `trail` lists the services that led here.
    fn extended(
        &mut self,
        name: &str,
        services: &Map<String, Value>,
        place: &ComposePath,
        trail: &mut Vec<(String, String)>,
    ) -> Result<Value, ManifestError> {
        let Some(body) = services.get(name) else {
            return Err(place.refuse(format!("service {name:?} is extended but not defined")));
        };
        let mut body = body.clone();
        let Some(extends) = body.as_object_mut().and_then(|fields| fields.remove("extends")) else { return Ok(body) };
        let step = (place.name.clone(), name.to_string());
        if trail.contains(&step) || trail.len() >= EXTENDS {
            return Err(place.refuse(format!("service {name:?} extends itself")));
        }
        trail.push(step);
        let Some(of) = extends.as_str().or_else(|| extends["service"].as_str()).map(str::to_string) else {
            return Err(place.refuse(format!("service {name:?} has an `extends` without a service")));
        };
        let base = match extends["file"].as_str() {
            None => self.extended(&of, services, place, trail)?,
            Some(path) => {
                let path = PathBuf::from(path);
                let file = self.file(&path, place)?;
                let place = ComposePath { name: path.display().to_string(), directory: parent(&path) };
                let (services, _) = self.filled(file, &place)?;
                self.extended(&of, &services, &place, trail)?
            }
        };
        trail.pop();
        Ok(merge(base, body, ""))
    }

    fn file(&mut self, path: &Path, place: &ComposePath) -> Result<Value, ManifestError> {
        self.read += 1;
        if self.read > FILES {
            return Err(place.refuse(format!("the project has more than {FILES} files")));
        }
        let text = (self.outside.read)(path).map_err(|cause| place.refuse(format!("{}: {cause}", path.display())))?;
        let documents = yaml::parse(&text).map_err(|error| ManifestError::Yaml {
            name: path.display().to_string(),
            document: error.document + 1,
            cause: error.message,
        })?;
        place.one_of(documents.iter().map(ComposeDocument::new).collect())
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

fn one_or_many(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    value.as_str().into_iter().chain(items).map(str::to_string).collect()
}

/// Joins the paths of a service to its file's directory, because other files may extend the service.
fn anchor(body: &mut Value, directory: &Path) {
    let join = |path: &mut Value| {
        if let Some(text) = path.as_str() {
            *path = Value::from(directory.join(text).to_string_lossy().into_owned());
        }
    };
    if let Some(build) = body.get_mut("build") {
        build::anchor(build, directory);
    }
    if let Some(file) = body.get_mut("extends").and_then(|extends| extends.get_mut("file")) {
        join(file);
    }
    match body.get_mut("env_file") {
        Some(Value::Array(entries)) => entries.iter_mut().for_each(|entry| match entry.get_mut("path") {
            Some(path) => join(path),
            None => join(entry),
        }),
        Some(entry) => join(entry),
        None => {}
    }
}

/// Whether the path is of a Git repository or an OCI artifact, which Compose downloads.
fn is_remote(path: &str) -> bool {
    path.contains("://") || path.starts_with("git@") || path.starts_with("github.com/")
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
