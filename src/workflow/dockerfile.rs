//! The build step that fails where a program of the stage is for another platform. The exec form of RUN needs neither a
//! shell nor an emulator in the stage: imgarch is static and runs natively on the builder, whatever the stage is for.

/// Dockerfile lines. `version` is imgarch's; `entrypoint` is the program that the image starts, where it is to be followed.
pub fn build_step(version: &str, entrypoint: &[String]) -> String {
    let mut words = vec!["/imgarch", "scan", "rootfs:/", "--no-cache"];
    for word in entrypoint {
        words.extend(["--entrypoint", word.as_str()]);
    }
    let command = serde_json::to_string(&words).unwrap_or_default().replace("\",\"", "\", \"");
    format!(
        "# Written by `imgarch workflow dockerfile`: the build fails where a program of the final stage is for another platform.
# 1. A stage of its own, before the final one:
FROM --platform=$BUILDPLATFORM ghcr.io/imgarch/imgarch:v{version} AS imgarch

# 2. The end of the final stage, before USER:
ARG TARGETPLATFORM
ARG IMGARCH_TARGET=$TARGETPLATFORM
RUN --mount=type=bind,from=imgarch,source=/usr/local/bin/imgarch,target=/imgarch {command}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_in_exec_form_with_the_words_of_the_start() {
        let text = build_step("1.2.3", &["/app".to_string(), "a \"b\"".to_string()]);
        let run = text.lines().last().unwrap();
        let command =
            r#"["/imgarch", "scan", "rootfs:/", "--no-cache", "--entrypoint", "/app", "--entrypoint", "a \"b\""]"#;
        assert!(run.ends_with(&format!(",target=/imgarch {command}")), "{run}");
        assert!(text.contains("ghcr.io/imgarch/imgarch:v1.2.3 AS imgarch\n"));
    }
}
