//! Reads Compose files: each service that names an image becomes a workload, with its `extends` and the file's
//! `include` applied. Pure: the caller reads other files.
//! Source: the Compose specification; compose-go's loader and override.

mod service;
mod variables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::manifest_error::ManifestError;
use super::workload::Workload;
use crate::yaml;
use variables::{Variables, parse_env_file};

/// Maximum number of files in one project, with included and extended ones.
const FILES: usize = 100;
/// Maximum length of a chain of `extends`.
const EXTENDS: usize = 32;

/// Access to everything outside a Compose file that it refers to.
pub struct Outside<'a> {
    /// The user's environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The file's directory, to which its paths are relative.
    pub directory: PathBuf,
    /// Reads another file. The error states why it failed.
    pub read: &'a dyn Fn(&Path) -> Result<String, String>,
}

/// The services of a project.
#[derive(Debug, Default)]
pub struct Services {
    pub workloads: Vec<Workload>,
    /// Notes for the user: variables without a value, services that are built.
    pub notes: Vec<String>,
}

/// Reads a Compose file. `duplicate` is a key that occurs twice in one of its mappings.
pub fn services(
    name: &str,
    file: Value,
    duplicate: Option<String>,
    outside: &Outside<'_>,
) -> Result<Services, ManifestError> {
    let dotenv = (outside.read)(&outside.directory.join(".env")).unwrap_or_default();
    let variables =
        Variables { environment: outside.variable, file: parse_env_file(&dotenv), unset: BTreeSet::new(), spent: 0 };
    let mut files = Files { outside, variables, notes: Vec::new(), read: 0 };
    let place = Place { name: name.to_string(), directory: outside.directory.clone() };
    let services = files.load(file, duplicate, &place, &mut Vec::new())?;
    let mut found = Services::default();
    for (service, body) in &services {
        let refuse = |cause| ManifestError::Service { name: name.to_string(), service: service.clone(), cause };
        let texts = files.env_files(body);
        let workload = {
            let value = |name: &str| files.variables.value(name);
            service::workload(service, body, &service::Origin { files: texts, value: &value })
        };
        match workload.map_err(refuse)? {
            Some(workload) => found.workloads.push(workload),
            None if body.get("build").is_some() => {
                files
                    .notes
                    .push(format!("service/{service} is built and names no image; scan the built image instead"));
            }
            None => {}
        }
        let profiles: Vec<&str> = body["profiles"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !profiles.is_empty() {
            files.notes.push(format!("service/{service} starts only with the profile {}", profiles.join(" or ")));
        }
    }
    let unset = files.variables.unset.iter();
    found.notes.extend(unset.map(|name| format!("variable {name} is not set; an empty string is used")));
    found.notes.append(&mut files.notes);
    Ok(found)
}

/// A file's name, for messages, and its directory.
#[derive(Clone)]
struct Place {
    name: String,
    directory: PathBuf,
}

impl Place {
    fn refuse(&self, cause: impl Into<String>) -> ManifestError {
        ManifestError::Compose { name: self.name.clone(), cause: cause.into() }
    }
}

/// Reads the files of a project.
struct Files<'a, 'o> {
    outside: &'o Outside<'a>,
    variables: Variables<'a>,
    notes: Vec<String>,
    read: usize,
}

impl Files<'_, '_> {
    /// The contents of a service's `env_file`s. An unreadable one is only noted, because it often contains secrets and
    /// is not stored with the project.
    fn env_files(&mut self, body: &Value) -> Vec<String> {
        let mut texts = Vec::new();
        for entry in many(body["env_file"].clone()) {
            let Some(path) = entry.as_str().or_else(|| entry["path"].as_str()) else { continue };
            match (self.outside.read)(Path::new(path)) {
                Ok(text) => texts.push(text),
                Err(cause) if entry["required"] != false => {
                    self.notes.push(format!("could not read the variables in {path}: {cause}"));
                }
                Err(_) => {}
            }
        }
        texts
    }

    /// The services of a file and of the files that it includes, with `extends` applied.
    fn load(
        &mut self,
        file: Value,
        duplicate: Option<String>,
        place: &Place,
        open: &mut Vec<PathBuf>,
    ) -> Result<Map<String, Value>, ManifestError> {
        let (own, include) = self.filled(file, duplicate, place)?;
        let mut services = Map::new();
        for name in own.keys() {
            let body = self.extended(name, &own, place, &mut Vec::new())?;
            services.insert(name.clone(), body);
        }
        for entry in include.as_array().into_iter().flatten() {
            for (name, body) in self.included(entry, place, open)? {
                if services.get(&name).is_some_and(|known| *known != body) {
                    return Err(
                        place.refuse(format!("service {name:?} conflicts with an included service of the same name"))
                    );
                }
                services.insert(name, body);
            }
        }
        Ok(services)
    }

    /// Services and `include` of a file, with their variables filled in and their paths joined to the file's directory.
    fn filled(
        &mut self,
        mut file: Value,
        duplicate: Option<String>,
        place: &Place,
    ) -> Result<(Map<String, Value>, Value), ManifestError> {
        if let Some(key) = duplicate {
            return Err(place.refuse(format!("mapping key {key:?} already defined")));
        }
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
        place: &Place,
        open: &mut Vec<PathBuf>,
    ) -> Result<Map<String, Value>, ManifestError> {
        let paths = match entry {
            Value::String(path) => vec![path.clone()],
            entry => one_or_many(&entry["path"]),
        };
        let mut services = Map::new();
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
                    let own = parse_env_file(&(self.outside.read)(&file).unwrap_or_default());
                    // The outer project's values take precedence.
                    own.into_iter().for_each(|(name, value)| {
                        self.variables.file.entry(name).or_insert(value);
                    });
                }
            }
            let (file, duplicate) = self.file(&path, place)?;
            let inner = Place { name: path.display().to_string(), directory };
            open.push(path);
            let loaded = self.load(file, duplicate, &inner, open)?;
            open.pop();
            for (name, body) in loaded {
                let merged = match services.remove(&name) {
                    Some(known) => merge(known, body, ""),
                    None => body,
                };
                services.insert(name, merged);
            }
        }
        self.variables.file = outer;
        Ok(services)
    }

    /// A service merged over the service that it extends. `trail` lists the services that led here.
    fn extended(
        &mut self,
        name: &str,
        services: &Map<String, Value>,
        place: &Place,
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
                let (file, duplicate) = self.file(&path, place)?;
                let place = Place { name: path.display().to_string(), directory: parent(&path) };
                let (services, _) = self.filled(file, duplicate, &place)?;
                self.extended(&of, &services, &place, trail)?
            }
        };
        trail.pop();
        Ok(merge(base, body, ""))
    }

    /// The first document of a file.
    fn file(&mut self, path: &Path, place: &Place) -> Result<(Value, Option<String>), ManifestError> {
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
        let read = |node: &yaml::Node| (node.to_json(), node.duplicate_key().map(str::to_string));
        Ok(documents.first().map(read).unwrap_or_default())
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

/// Merges one service over another. Source: compose-go's override/merge.go and its `mergeSpecials`.
fn merge(base: Value, over: Value, key: &str) -> Value {
    match (key, base, over) {
        (_, base, Value::Null) => base,
        ("command" | "entrypoint" | "test", _, over) => over,
        ("environment" | "labels", base, over) => {
            let mut merged = named(base);
            merged.extend(named(over));
            merged.into()
        }
        ("env_file" | "tmpfs" | "dns", base, over) => [many(base), many(over)].concat().into(),
        (_, Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let merged = match base.remove(&key) {
                    Some(known) => merge(known, value, &key),
                    None => value,
                };
                base.insert(key, merged);
            }
            base.into()
        }
        (_, Value::Array(mut base), Value::Array(over)) => {
            base.extend(over);
            base.into()
        }
        (_, _, over) => over,
    }
}

fn many(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// Converts a list of `NAME=value` entries to a map, the other form of the same field.
fn named(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => many(other)
            .iter()
            .filter_map(Value::as_str)
            .map(|line| match line.split_once('=') {
                Some((name, value)) => (name.to_string(), Value::from(value)),
                None => (line.to_string(), Value::Null),
            })
            .collect(),
    }
}

#[cfg(test)]
#[path = "project_tests.rs"]
mod tests;
