//! `imgarch workflow`: writes a CI file for the repository.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::settings::{ConfigArgs, Settings, Typed};
use super::terminal::write_message;
use super::{CliError, Environment, opening};
use crate::files;
use crate::judge::code::Severity;
use crate::lint::{self, BakeRecipe, BuildNeeds, Outside, Position, SourceFormat};
use crate::platform::Platform;
use crate::platform::target::{self, TargetText};
use crate::report::escape::visible;
use crate::workflow::{self, CiService, Shape, WorkflowProject};

/// Which CI service to write for, and what to build.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  imgarch workflow github > .github/workflows/image.yml
  imgarch workflow github --write --platform linux/amd64 --platform linux/arm64
  imgarch workflow gitlab --simple --image registry.gitlab.com/user/app
  imgarch workflow dockerfile --entrypoint /app")]
pub struct WorkflowArgs {
    /// The CI service, or `dockerfile` for the build step that verifies the final stage.
    #[arg(value_enum, default_value_t = ServiceArg::Github)]
    service: ServiceArg,
    /// Registry and repository of the image; repeat it for other registries, which get the tags too. Without it, taken from
    /// the bake file or git's remote `origin`.
    #[arg(long, value_name = "NAME")]
    image: Vec<String>,
    /// A platform to build; repeatable. Without it those of the targets, or linux/amd64 and linux/arm64.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<String>,
    /// A node that the image must run on, as for `imgarch scan`; repeatable. Defaults to the targets of the project.
    #[arg(long, value_name = "TARGET")]
    target: Vec<String>,
    /// The Dockerfile; without it the one that is found.
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// The build context; without it, the bake target's, or the working directory.
    #[arg(long, value_name = "DIR")]
    context: Option<String>,
    /// The stage to build, as `docker build --target` names it.
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// A build argument; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
    /// The target of docker-bake.hcl or docker-bake.json to take over; without it, the only one.
    #[arg(long, value_name = "TARGET")]
    bake: Option<String>,
    /// Labels of a self-hosted runner, for one platform or for every job; repeatable.
    #[arg(long, value_name = "[PLATFORM=]LABEL[,LABEL]")]
    runner: Vec<String>,
    /// The branch whose image is `latest`; without it, the one that `origin` has as its default.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Use one job that emulates foreign platforms, instead of a runner for each platform.
    #[arg(long)]
    simple: bool,
    /// With `dockerfile`: follow the start of this program; repeat for each argument.
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Write the file to the path that the service reads. An existing file is not overwritten.
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ServiceArg {
    Github,
    Gitlab,
    Dockerfile,
}

pub fn run(args: &WorkflowArgs, environment: &Environment, out: &mut dyn Write) -> Result<u8, CliError> {
    let service = match args.service {
        ServiceArg::Github => CiService::Github,
        ServiceArg::Gitlab => CiService::Gitlab,
        ServiceArg::Dockerfile if args.write => {
            return Err(CliError::Usage {
                text: "--write does not support `dockerfile`".to_string(),
                hint: Some("copy the two parts of the output into the Dockerfile".to_string()),
            });
        }
        ServiceArg::Dockerfile => {
            write!(out, "{}", workflow::build_step(env!("CARGO_PKG_VERSION"), &args.entrypoint))?;
            return Ok(0);
        }
    };
    if !args.entrypoint.is_empty() {
        return Err(CliError::usage("--entrypoint requires `imgarch workflow dockerfile`"));
    }
    let usage = |error: String| CliError::Usage { text: error, hint: None };
    let mut platforms = Vec::new();
    for text in &args.platform {
        platforms.push(Platform::parse(text).map_err(|error| usage(error.to_string()))?);
    }
    let typed = Typed { targets: args.target.clone(), ..Typed::default() };
    let settings = Settings::load(&args.config, typed, &opening::SourceArgs::default(), environment)?;
    let targets = targets(&super::targets::within(&settings.targets.value, &platforms), environment)?;
    let recipe = recipe(args)?;
    if let Some(recipe) = &recipe {
        let unread = recipe.unread.join(", ");
        if !unread.is_empty() {
            write_message(&format!(
                "note: {unread} of bake target {} is an expression and is not taken over\n",
                visible(&recipe.name)
            ));
        }
        if platforms.is_empty() {
            platforms.extend(recipe.platforms.iter().filter_map(|text| Platform::parse(text).ok()));
        }
    }
    if platforms.is_empty() {
        for (platform, _) in &targets {
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
    }
    if platforms.is_empty() {
        platforms.extend(["linux/amd64", "linux/arm64"].iter().filter_map(|text| Platform::parse(text).ok()));
    }
    let branch = args.branch.clone().or_else(|| {
        let head = git(&["symbolic-ref", "--short", "refs/remotes/origin/HEAD"])?;
        head.split_once('/').map(|(_, branch)| branch.to_string())
    });
    let (image, also) = images(args, recipe.as_ref())?;
    let context = args.context.clone().or_else(|| recipe.as_ref().map(|recipe| recipe.context.clone()));
    let context = context.unwrap_or_else(|| ".".to_string());
    let dockerfile = match &recipe {
        Some(recipe) if args.file.is_none() => recipe.dockerfile.clone(),
        _ => dockerfile(args, &context)?,
    };
    let taken = recipe.iter().flat_map(|recipe| &recipe.build_args).filter(|argument| workflow::is_plain(argument));
    let build_args = taken.chain(&args.build_arg).cloned().collect();
    let needs = advise(&dockerfile, &platforms)?;
    let mut secrets = needs.secrets;
    for id in recipe.iter().flat_map(|recipe| &recipe.secrets).filter(|id| workflow::is_plain(id)) {
        if !secrets.contains(id) {
            secrets.push(id.clone());
        }
    }
    let project = WorkflowProject {
        image,
        also,
        unbuilt: needs.copied.into_iter().filter(|source| !is_in_git(&context, source)).collect(),
        dockerfile,
        context,
        stage: args.stage.clone().or_else(|| recipe.as_ref()?.stage.clone()),
        build_args,
        secrets,
        runners: args.runner.iter().map(|text| runner(text)).collect::<Result<_, _>>()?,
        platforms,
        targets,
        branch: branch.unwrap_or_else(|| "main".to_string()),
        imgarch: env!("CARGO_PKG_VERSION").to_string(),
        shape: if args.simple { Shape::Simple } else { Shape::Matrix },
    };
    if !project.unbuilt.is_empty() {
        write_message(&format!(
            "warning: the Dockerfile copies what git does not have: {}; write the step that is marked TODO\n",
            visible(&project.unbuilt.join(" "))
        ));
    }
    let text = workflow::write(service, &project).map_err(|error| usage(error.to_string()))?;
    if !args.write {
        out.write_all(text.as_bytes())?;
        return Ok(0);
    }
    let path = Path::new(service.path());
    let failed = |error: std::io::Error| CliError::Unknown { text: format!("{}: {error}", path.display()), hint: None };
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    super::write::create(path, text.as_bytes()).map_err(failed)?;
    writeln!(out, "wrote {}", path.display())?;
    Ok(0)
}

/// Returns the platforms of the targets, each with the text of its target. The workflow cannot reach a cluster or this
/// machine when it runs, so their targets are replaced with platforms.
fn targets(texts: &[String], environment: &Environment) -> Result<Vec<(Platform, String)>, CliError> {
    let mut found: Vec<(Platform, String)> = Vec::new();
    for text in texts {
        let is_lasting = matches!(target::parse(text), Ok(TargetText::Given(_)));
        for target in super::targets::of_text(text, environment)?.targets {
            let text = if is_lasting { text.clone() } else { target.platform.to_string() };
            if !found.iter().any(|(platform, known)| *platform == target.platform && *known == text) {
                found.push((target.platform, text));
            }
        }
    }
    Ok(found)
}

/// Returns the output of git. `None` if git is not installed, fails or prints nothing.
fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_string();
    (!text.is_empty()).then_some(text)
}

/// Returns the image of a remote: `ghcr.io/user/app` for `git@github.com:User/App.git`, and GitLab's own registry for
/// GitLab.
fn image_of_remote(url: &str) -> Option<String> {
    let without_user = |text: &str| text.rsplit_once('@').map_or(text, |(_, rest)| rest).to_string();
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            let authority = without_user(authority);
            (authority.split(':').next()?.to_string(), path)
        }
        // scp's form, `user@host:path`.
        None => url.split_once(':').map(|(host, path)| (without_user(host), path))?,
    };
    let path = path.trim_matches('/').trim_end_matches(".git").to_ascii_lowercase();
    // Both services also take ssh on port 443, at hosts of their own.
    let registry = match host.as_str() {
        "github.com" | "ssh.github.com" => "ghcr.io",
        "gitlab.com" | "altssh.gitlab.com" => "registry.gitlab.com",
        _ => return None,
    };
    (path.contains('/')).then(|| format!("{registry}/{path}"))
}

/// The image's names: those that are given, the bake target's, or the one that git's remote stands for.
fn images(args: &WorkflowArgs, recipe: Option<&BakeRecipe>) -> Result<(String, Vec<String>), CliError> {
    let named = if args.image.is_empty() { recipe.map_or(&[][..], |recipe| &recipe.images) } else { &args.image };
    if let [first, others @ ..] = named {
        return Ok((first.clone(), others.to_vec()));
    }
    let image = git(&["remote", "get-url", "origin"]).and_then(|url| image_of_remote(&url));
    let image = image.ok_or_else(|| CliError::Usage {
        text: "cannot infer the image name: git remote \"origin\" is not on a known host".to_string(),
        hint: Some("name it: --image ghcr.io/user/app".to_string()),
    })?;
    Ok((image, Vec::new()))
}

/// The bake target that is named, or the only one of a bake file where nothing else names a Dockerfile.
fn recipe(args: &WorkflowArgs) -> Result<Option<BakeRecipe>, CliError> {
    if args.bake.is_none() && (args.file.is_some() || args.context.is_some()) {
        return Ok(None);
    }
    let text = BAKE_FILES.iter().find_map(|name| read(Path::new(name)).ok());
    let Some(text) = text else {
        return match &args.bake {
            Some(_) => Err(CliError::usage(format!("there is no bake file: {}", BAKE_FILES.join(", ")))),
            None => Ok(None),
        };
    };
    let mut recipes = lint::bake_recipes(&text);
    let names = recipes.iter().map(|recipe| recipe.name.clone()).collect::<Vec<_>>().join(", ");
    match &args.bake {
        Some(name) => {
            let found = recipes.into_iter().find(|recipe| recipe.name == *name);
            let text = format!("the bake file has no target {name:?}");
            let missing = CliError::Usage { text, hint: Some(format!("its targets: {names}")) };
            found.map(Some).ok_or(missing)
        }
        None if recipes.len() < 2 => Ok(recipes.pop()),
        None => Err(CliError::Usage {
            text: "the bake file has several targets".to_string(),
            hint: Some(format!("name one: --bake {}", names.replace(", ", " | "))),
        }),
    }
}

/// Source: Docker's "Bake", "File format": the names that are looked for.
const BAKE_FILES: &[&str] = &["docker-bake.hcl", "docker-bake.json"];

fn read(path: &Path) -> std::io::Result<String> {
    files::read_named_text(path, FILE_LIMIT)
}

/// Bytes of a Dockerfile or bake file that are read.
const FILE_LIMIT: u64 = 4 << 20;

/// What the Dockerfile needs. What lint finds wrong with it is reported: the workflow would build broken images.
fn advise(dockerfile: &str, platforms: &[Platform]) -> Result<BuildNeeds, CliError> {
    let path = Path::new(dockerfile);
    let text =
        read(path).map_err(|error| CliError::Unknown { text: format!("{}: {error}", path.display()), hint: None })?;
    let project = lint::LintProject::read(path);
    let passes = |name: &str| project.passes(path, name);
    let outside = Outside { passes: &passes, platforms: platforms.to_vec(), ..Outside::nothing() };
    let linted = lint::lint(path, &text, SourceFormat::Dockerfile, &outside);
    let errors: Vec<_> = linted.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let problems = linted.problems.iter().map(|problem| (problem.at, problem.message.as_str()));
    let first = errors.iter().map(|error| (error.span.start, error.message.as_str())).chain(problems).next();
    if let Some((at, message)) = first {
        let line = Position::from_offset(&text, at).line;
        let more = errors.len().saturating_sub(1);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        write_message(&format!(
            "warning: imgarch lint rejects {dockerfile}: line {line}: {}{more}; run: imgarch lint {dockerfile}\n",
            visible(message)
        ));
    }
    Ok(lint::needs(&text))
}

/// Whether a checkout has a path or pattern of the context. Without git, whether it is on disk.
fn is_in_git(context: &str, source: &str) -> bool {
    let path = Path::new(context).join(source);
    if git(&["rev-parse", "--is-inside-work-tree"]).is_none() {
        return source.contains(['*', '?', '[']) || path.exists();
    }
    git(&["ls-files", "--", &path.to_string_lossy()]).is_some()
}

/// `linux/arm64=self-hosted,arm64`, or `self-hosted,linux` for every job.
fn runner(text: &str) -> Result<(Option<Platform>, Vec<String>), CliError> {
    let labels = |text: &str| text.split(',').map(str::to_string).collect();
    match text.split_once('=') {
        Some((platform, names)) => {
            let platform = Platform::parse(platform).map_err(|error| CliError::usage(error.to_string()))?;
            Ok((Some(platform), labels(names)))
        }
        None => Ok((None, labels(text))),
    }
}

/// The Dockerfile that was named, the usual one of the context, or the only one of the tree.
fn dockerfile(args: &WorkflowArgs, context: &str) -> Result<String, CliError> {
    const USUAL: &[&str] = &["Dockerfile", "Containerfile", "docker/Dockerfile", "build/Dockerfile"];
    let usual = USUAL.iter().map(|name| Path::new(context).join(name)).find(|path| path.is_file());
    let shown = |path: &Path| path.strip_prefix(".").unwrap_or(path).display().to_string();
    if let Some(found) = args.file.as_ref().or(usual.as_ref()) {
        return Ok(shown(found));
    }
    let found = lint::discover(Path::new(context)).map(|found| found.files).unwrap_or_default();
    let mut paths = found.iter().filter(|file| file.format == SourceFormat::Dockerfile).map(|file| shown(&file.path));
    match (paths.next(), paths.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(second)) => {
            let options: Vec<String> =
                [first, second].into_iter().chain(paths).map(|path| format!("--file {path}")).collect();
            Err(CliError::Usage {
                text: format!("{} Dockerfiles were found in {context}", options.len()),
                hint: Some(format!("choose one: {}", visible(&options.join(" | ")))),
            })
        }
        _ => Err(CliError::Usage {
            text: format!("no Dockerfile was found in {context}"),
            hint: Some("name it: --file path/to/Dockerfile".to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_names_the_image() {
        for (url, image) in [
            ("git@github.com:User/App.git", Some("ghcr.io/user/app")),
            ("https://github.com/user/app", Some("ghcr.io/user/app")),
            ("https://token@github.com/user/app.git", Some("ghcr.io/user/app")),
            ("ssh://git@gitlab.com/group/sub/app.git", Some("registry.gitlab.com/group/sub/app")),
            ("ssh://git@github.com:22/User/App.git", Some("ghcr.io/user/app")),
            ("ssh://git@ssh.github.com:443/user/app.git", Some("ghcr.io/user/app")),
            ("ssh://git@altssh.gitlab.com:443/g/app", Some("registry.gitlab.com/g/app")),
            ("git@github.com:/user/app/", Some("ghcr.io/user/app")),
            ("https://user:secret@gitlab.com:443/g/app.git", Some("registry.gitlab.com/g/app")),
            ("ssh://git@example.com:2222/user/app.git", None),
            ("https://github.com", None),
            ("https://example.com/user/app", None),
            ("/srv/git/app", None),
        ] {
            assert_eq!(image_of_remote(url).as_deref(), image, "{url}");
        }
    }
}
