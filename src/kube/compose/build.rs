//! Reads the `build` section of a Compose service. Pure. Source: the Compose specification, build.

use std::path::Path;

use serde_json::Value;

/// How a service is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceBuild {
    pub service: String,
    /// The image that the build is pushed to. `None` if the service does not name one.
    pub image: Option<String>,
    /// A directory, joined to that of the file, or a URL.
    pub context: String,
    /// Relative to the context.
    pub dockerfile: Option<String>,
    pub target: Option<String>,
    /// `NAME=VALUE`, or `NAME` for a value from the environment.
    pub args: Vec<String>,
    pub platforms: Vec<String>,
    /// The other fields, which only buildx interprets.
    pub others: Vec<String>,
}

/// Returns the build of a service; `None` if it has none. Without a context it is the project's directory.
pub fn build(service: &str, body: &Value, directory: &Path) -> Option<ServiceBuild> {
    let build = body.get("build").filter(|build| !build.is_null())?;
    let text = |key: &str| build[key].as_str().map(str::to_string);
    let platforms = build["platforms"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let known = ["context", "dockerfile", "target", "args", "platforms", "tags", "labels"];
    let others = build.as_object().into_iter().flatten().map(|(key, _)| key.clone());
    Some(ServiceBuild {
        service: service.to_string(),
        image: body["image"].as_str().filter(|image| !image.is_empty()).map(str::to_string),
        context: text("context").unwrap_or_else(|| directory.join(".").to_string_lossy().into_owned()),
        dockerfile: text("dockerfile"),
        target: text("target"),
        args: arguments(&build["args"]),
        platforms: platforms.map(str::to_string).collect(),
        others: others.filter(|key| !known.contains(&key.as_str()) && !key.starts_with("x-")).collect(),
    })
}

/// Reads build arguments, a mapping or a list.
fn arguments(args: &Value) -> Vec<String> {
    let pair = |(name, value): (&String, &Value)| match value {
        Value::Null => name.clone(),
        Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    };
    let mapped = args.as_object().into_iter().flatten().map(pair);
    let listed = args.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string);
    mapped.chain(listed).collect()
}

/// Joins the context of a service to its file's directory, because other files may extend the service. `build: DIR` is
/// short for `build: {context: DIR}`.
pub fn anchor(build: &mut Value, directory: &Path) {
    if build.is_string() {
        *build = serde_json::json!({"context": build.take()});
    }
    if let Some(Value::String(context)) = build.get_mut("context")
        && !is_url(context)
    {
        *context = directory.join(context.as_str()).to_string_lossy().into_owned();
    }
}

/// Whether only buildx can read the context. Source: docker/docs, "Build context".
fn is_url(context: &str) -> bool {
    context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/")
}
