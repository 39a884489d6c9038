//! Builds for older CPUs of programs that are known to need a newer one, by the words with which messages name them.

/// A program or package that needs more than its architecture's oldest CPU, and the build that does not.
struct BaselineBuild {
    /// Whole words in messages, file names or the image's name, in lower case.
    words: &'static [&'static str],
    cure: &'static str,
}

const fn build(words: &'static [&'static str], cure: &'static str) -> BaselineBuild {
    BaselineBuild { words, cure }
}

/// Source: docs/cpu.md for the packages of Python and Bun; MongoDB's production notes, "Platform Support Notes";
/// TensorFlow's release notes for 1.6; the release notes of sharp 0.34.
const BUILDS: &[BaselineBuild] = &[
    build(&["numpy", "_multiarray_umath"], "on an x86-64-v1 CPU, install \"numpy<2.4\""),
    build(&["polars"], "install \"polars[rtcompat]\", or polars-lts-cpu for older versions; both need x86-64-v2"),
    build(
        &["oven-sh/bun", "bun has crashed", "cpu lacks avx support", "to run bun"],
        "use the build bun-linux-x64-baseline; it needs x86-64-v2",
    ),
    build(
        &["mongo:", "mongo@", "mongod", "mongodb"],
        "use the tag mongo:4.4 (4.4.18 on arm64), which needs neither AVX nor ARMv8.2-A",
    ),
    build(&["tensorflow"], "build TensorFlow without AVX: its packages have needed it since version 1.6"),
    build(&["sharp"], "on an x86-64-v1 CPU, install sharp@0.33, or build sharp against the system's libvips"),
];

/// The builds for the programs that these texts name.
pub fn cures<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<String> {
    let texts: Vec<String> = texts.map(str::to_ascii_lowercase).collect();
    let is_named =
        |build: &&BaselineBuild| build.words.iter().any(|word| texts.iter().any(|text| has_word(text, word)));
    BUILDS.iter().filter(is_named).map(|build| build.cure.to_string()).collect()
}

/// Whether `text` contains `word`, and not as a part of another one.
fn has_word(text: &str, word: &str) -> bool {
    let continues = |end: bool| end && word.ends_with(|c: char| c.is_ascii_alphanumeric());
    text.match_indices(word).any(|(at, _)| {
        let after = text[at + word.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
        !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) && !continues(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_names_a_program_brings_its_baseline_build() {
        let first = |text: &str| cures([text].into_iter()).first().cloned().unwrap_or_default();
        assert!(first("RuntimeError: NumPy was built with baseline optimizations:").contains("numpy<2.4"));
        assert!(
            first("traps: python3[7] trap invalid opcode ip:7f sp:7ffd error:0 in _multiarray_umath.so")
                .contains("numpy<2.4")
        );
        assert!(first("warn: CPU lacks AVX support, strange crashes may occur. Reinstall Bun").contains("baseline"));
        assert!(first("docker.io/library/mongo:7").contains("mongo:4.4"));
        assert!(first("/usr/bin/mongod: Illegal instruction").contains("mongo:4.4"));
        for other in
            ["Illegal instruction (core dumped)", "docker.io/library/mongo-express:1", "r.example/csharp-api:2"]
        {
            assert_eq!(first(other), "", "{other}");
        }
    }
}
