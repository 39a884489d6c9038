//! What building a Dockerfile needs from outside it: files of the context and secrets.

use super::dockerfile::{Dockerfile, StepKind};

/// What a build must be given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BuildNeeds {
    /// The sources of COPY and ADD in the context, files and patterns; without those that a variable names.
    pub copied: Vec<String>,
    /// The ids of the secrets that RUN mounts.
    pub secrets: Vec<String>,
}

/// The needs of a Dockerfile; none where it cannot be parsed. Each is listed once.
pub fn needs(text: &str) -> BuildNeeds {
    let mut needs = BuildNeeds::default();
    let Ok(file) = Dockerfile::parse(text.strip_prefix('\u{feff}').unwrap_or(text)) else { return needs };
    for step in file.stages.iter().flat_map(|stage| &stage.steps).filter(|step| !step.is_onbuild) {
        let has_from = step.options.iter().any(|option| option.name == "from");
        if let (StepKind::Copy { sources, .. }, false) = (&step.kind, has_from) {
            let is_local = |text: &str| !text.contains("://") && !text.contains(['$', '@']) && !text.starts_with("<<");
            for source in sources.iter().map(|source| source.text.as_str()).filter(|text| is_local(text)) {
                let path = source.trim_start_matches('/').trim_start_matches("./").trim_end_matches('/');
                if !matches!(path, "" | "." | "*") {
                    push(&mut needs.copied, path);
                }
            }
        }
        for option in step.options.iter().filter(|option| option.name == "mount") {
            let fields: Vec<&str> = option.value.split(',').collect();
            let field = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
            if field("type") == Some("secret") {
                let id = field("id").or_else(|| field("target").or_else(|| field("dst"))?.rsplit('/').next());
                id.into_iter().for_each(|id| push(&mut needs.secrets, id));
            }
        }
    }
    needs
}

fn push(list: &mut Vec<String>, text: &str) {
    if !list.iter().any(|known| known == text) {
        list.push(text.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_secrets_are_listed_once() {
        let text = "FROM a AS b\nCOPY ./dist/app conf/*.d /x/\nCOPY . .\nADD https://x.io/a /\nCOPY $F /\nRUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=cache,target=/c x\nRUN --mount=type=secret,id=npmrc y\nFROM c\nCOPY --from=b /y /y\nCOPY dist/app /\n";
        let expected = BuildNeeds {
            copied: vec!["dist/app".to_string(), "conf/*.d".to_string()],
            secrets: vec!["npmrc".to_string()],
        };
        assert_eq!(needs(text), expected);
        assert_eq!(needs("NONSENSE"), BuildNeeds::default());
    }
}
