//! Turns the build of a Compose service into the request for a recipe. Pure.

use std::path::{Path, PathBuf};

use super::recipe::{BakeChoice, RecipeRequest};
use super::tool::BuildTool;
use crate::kube::compose::ServiceBuild;

/// Why a service cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("service {service} uses {}, which {} does not build", .fields.join(", "), .tool.name())]
pub struct ServiceError {
    service: String,
    fields: Vec<String>,
    tool: BuildTool,
}

/// Returns the recipe of a service in `files`. buildx reads the files itself. For podman and buildah, the fields become
/// options.
pub fn recipe_of(build: &ServiceBuild, files: &[PathBuf], tool: BuildTool) -> Result<RecipeRequest, ServiceError> {
    let mut recipe = RecipeRequest { context: Some(build.context.clone()), ..RecipeRequest::default() };
    let mut add = |name: &str, value: &str| recipe.extra.extend([name.to_string(), value.to_string()]);
    match tool {
        BuildTool::Docker => {
            files.iter().for_each(|file| add("--file", &file.display().to_string()));
            // Source: docker/buildx, bake/compose.go, `sanitizeTargetName`.
            recipe.bake = Some(BakeChoice::Target(build.service.replace('.', "_")));
        }
        BuildTool::Podman | BuildTool::Buildah => {
            if !build.others.is_empty() {
                let (service, fields) = (build.service.clone(), build.others.clone());
                return Err(ServiceError { service, fields, tool });
            }
            build.target.iter().for_each(|target| add("--target", target));
            build.args.iter().for_each(|arg| add("--build-arg", arg));
            recipe.dockerfile = build.dockerfile.as_ref().map(|file| Path::new(&build.context).join(file));
        }
    }
    Ok(recipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_built_by_bake_or_with_options() {
        let build = ServiceBuild {
            service: "web.app".into(),
            context: "src".into(),
            dockerfile: Some("D".into()),
            target: Some("prod".into()),
            args: vec!["V=1".into()],
            ..ServiceBuild::default()
        };
        let of = |build: &ServiceBuild, tool| recipe_of(build, &["compose.yaml".into()], tool);
        let docker = of(&build, BuildTool::Docker).unwrap();
        assert_eq!((docker.bake, docker.dockerfile), (Some(BakeChoice::Target("web_app".into())), None));
        assert_eq!(docker.extra, ["--file", "compose.yaml"]);
        let podman = of(&build, BuildTool::Podman).unwrap();
        assert_eq!((podman.context.as_deref(), podman.bake), (Some("src"), None));
        assert_eq!(podman.dockerfile, Some("src/D".into()));
        assert_eq!(podman.extra, ["--target", "prod", "--build-arg", "V=1"]);
        let secret = ServiceBuild { others: vec!["secrets".into()], ..build };
        assert_eq!(
            of(&secret, BuildTool::Buildah).unwrap_err().to_string(),
            "service web.app uses secrets, which buildah does not build"
        );
        assert!(of(&secret, BuildTool::Docker).is_ok());
    }
}
