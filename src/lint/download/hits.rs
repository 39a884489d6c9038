//! Finds architecture names in a command's files, paths and URLs, including the values of variables.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::lint::compilers::makes_code;
use crate::lint::dockerfile::{self, BuildVariable, Expanded};
use crate::lint::shell::{PlainWord, SimpleCommand};
use crate::platform::word::{self, ArchToken, Spelling};

/// One occurrence of an architecture name.
pub struct Hit<'a> {
    pub token: ArchToken,
    pub spelled: String,
    pub word: &'a PlainWord,
    /// Bytes of the word's text.
    pub range: Range<usize>,
    /// The variables that contain it. Empty if the word itself does.
    pub origins: Vec<BuildVariable>,
    /// It is an argument of a compiler.
    pub is_compiler_argument: bool,
    /// It does not select a file, but names one that another word selects.
    pub is_follower: bool,
    /// The path or URL with its variables expanded, and where the token is in it.
    pub path: String,
    pub at: Range<usize>,
}

impl Hit<'_> {
    /// Whether a variable in its place would be expanded: in place of the name, or of a variable that contains only the
    /// name.
    pub fn is_replaceable(&self) -> bool {
        match self.origins.as_slice() {
            [] => self.word.expands_at(&self.range),
            [BuildVariable { name, value: Some((value, _)), .. }] => {
                let reference = &self.word.text[self.range.clone()];
                *value == self.spelled && (reference == format!("${name}") || reference == format!("${{{name}}}"))
            }
            _ => false,
        }
    }

    pub fn is_url(&self) -> bool {
        self.path.contains("://")
    }

    /// The path without the architecture: equal for the files of all architectures.
    pub fn skeleton(&self) -> String {
        format!("{}*{}", &self.path[..self.at.start], &self.path[self.at.end..])
    }

    /// The path component with the name, without extensions of archives and checksums. Equal for all parts of a
    /// download.
    pub fn stem(&self) -> &str {
        let start = self.path[..self.at.start].rfind('/').map_or(0, |slash| slash + 1);
        let end = self.at.end + self.path[self.at.end..].find('/').unwrap_or(self.path.len() - self.at.end);
        let mut stem = &self.path[start..end];
        while let Some(rest) = ADDED.iter().find_map(|added| stem.strip_suffix(added)) {
            stem = rest;
        }
        stem
    }

    /// The path without extensions of archives and checksums: equal for a file and its checksum.
    pub fn download(&self) -> &str {
        let mut path = self.path.as_str();
        while let Some(rest) = ADDED.iter().find_map(|added| path.strip_suffix(added)) {
            path = rest;
        }
        path
    }

    pub fn base_name(&self) -> &str {
        self.path.trim_end_matches('/').rsplit('/').next().unwrap_or("")
    }
}

/// Extensions of archives, checksums and signatures.
const ADDED: &[&str] = &[
    ".tar",
    ".gz",
    ".tgz",
    ".xz",
    ".txz",
    ".bz2",
    ".zst",
    ".zip",
    ".sha256",
    ".sha256sum",
    ".sha512",
    ".md5",
    ".asc",
    ".sig",
    ".minisig",
    ".deb",
    ".rpm",
    ".apk",
    ".xip",
];

/// Extensions of files without machine code.
const TEXTS: &[&str] = &[
    ".sh",
    ".bash",
    ".py",
    ".rb",
    ".pl",
    ".js",
    ".mk",
    ".cmake",
    ".patch",
    ".diff",
    ".txt",
    ".md",
    ".json",
    ".yml",
    ".yaml",
    ".toml",
    ".conf",
    ".cfg",
    ".ini",
    ".list",
    ".sources",
    ".path",
    ".sha256",
    ".sha256sum",
    ".sha512",
    ".md5",
    ".asc",
    ".sig",
    ".minisig",
    ".pem",
    ".pub",
    ".key",
    ".gpg",
    ".xml",
    ".html",
    ".template",
    ".tmpl",
    ".in",
    ".env",
    ".lock",
    ".repo",
    ".defconfig",
    ".dll",
    ".dts",
    ".s",
    ".spec",
];

/// Index files of repositories and releases.
const INDEXES: &[&str] = &[
    "APKINDEX",
    "Packages",
    "Release",
    "InRelease",
    "repomd",
    "SHA256SUMS",
    "SHASUMS",
    "sha256sum",
    "checksums",
    "latest.yml",
];

/// Programs whose arguments are not files of the image.
const NOT_FILES: &[&str] = &[
    "sed",
    "grep",
    "egrep",
    "awk",
    "tr",
    "expr",
    "[",
    "[[",
    "test",
    "docker",
    "buildah",
    "rustup",
    "uname",
    "dpkg-architecture",
    "update-alternatives",
    "ldconfig",
    "qemu-img",
    "git",
    "printf",
];

/// Programs that read or copy the files that their arguments name.
const TAKES_FILES: &[&str] = &[
    "curl", "wget", "aria2c", "axel", "http", "tar", "bsdtar", "unzip", "gunzip", "gzip", "xz", "unxz", "7z", "cpio",
    "dpkg", "rpm", "gdebi", "apt", "apt-get", "apk", "yum", "dnf", "microdnf", "zypper", "pip", "pip3", "cp", "mv",
    "ln", "install", "rsync", "gsutil", "gcloud", "aws", "gh", "oras", "ADD", "python", "python3",
];

/// Package managers. Their arguments are files only with a slash or an extension; `gcc-aarch64-linux-gnu` is a cross
/// compiler.
const PACKAGE_MANAGERS: &[&str] = &[
    "apt", "apt-get", "aptitude", "apk", "yum", "dnf", "microdnf", "tdnf", "zypper", "pacman", "cargo", "brew",
    "conda", "mamba", "pip", "pip3", "python", "python3", "uv", "npm", "npx", "yarn", "pnpm", "bun",
];

/// Programs whose last argument is the name of the result.
const GIVES_NAME: &[&str] = &["mv", "cp", "ln", "install", "rsync"];

/// Whether a command selects the architecture in another way, such as `xx-apk` or `docker run --platform`.
pub fn chooses_for_itself(command: &SimpleCommand) -> bool {
    let program = command.program();
    NOT_FILES.contains(&program) || program.starts_with("xx-") || program.ends_with("-strip")
}

/// Returns the names that a command gives to its output files. They do not describe the content.
pub fn given_names(command: &SimpleCommand) -> Vec<&str> {
    const OPTIONS: &[&str] =
        &["-o", "-O", "--output", "--output-document", "-fsSLo", "-Lo", "-sSLo", "-sLo", "-fLo", "-qO"];
    let mut names: Vec<&str> = command.outputs.iter().map(|word| word.text.as_str()).collect();
    let program = command.program();
    if matches!(program, "curl" | "wget" | "aria2c" | "go" | "gcc" | "cc" | "clang") {
        // The -O of curl takes no name: the URL follows.
        let named = command.option(OPTIONS).map(|(word, at)| &word.text[at..]);
        names.extend(named.filter(|name| !name.contains("://")));
    }
    let words = command.arguments();
    if GIVES_NAME.contains(&program) && words.len() > 1 {
        names.extend(words.last().map(|word| word.text.as_str()));
    }
    if matches!(program, "mkdir" | "touch" | "tee") {
        names.extend(words.iter().map(|word| word.text.as_str()));
    }
    names
}

pub fn hits_of<'a>(command: &'a SimpleCommand, known: &BTreeMap<String, BuildVariable>) -> Vec<Hit<'a>> {
    let program = command.program();
    let is_package_manager = PACKAGE_MANAGERS.contains(&program);
    let is_compiler_argument = makes_code(command);
    let takes_files = TAKES_FILES.contains(&program) || is_compiler_argument;
    let mut hits: Vec<Hit<'_>> = Vec::new();
    // A program found in PATH is a build tool: `aarch64-linux-gnu-gcc`.
    let is_program = |word: &PlainWord| word.text.rsplit('/').next() == Some(program);
    let is_tool = |word: &PlainWord| is_program(word) && !word.text.contains(['/', '$']);
    for word in command.words.iter().filter(|word| !is_tool(word)) {
        if let Some((_, value_at)) = word.assignment() {
            // The value of a variable counts where it is used, unless it is a URL.
            if word.text.contains("://") {
                hits.extend(hits_in(word, &word.text[value_at..], value_at, known));
            }
            continue;
        }
        let is_called = is_program(word);
        for piece in word.pieces() {
            let text = &word.text[piece.clone()];
            let is_option = text.starts_with('-') && !text.contains("://");
            let is_package = is_package_manager && !text.contains('/') && !has_package_extension(text);
            if is_option || is_package || is_toolchain_path(text) {
                continue;
            }
            let mut found = hits_in(word, text, piece.start, known);
            // A printed sentence names files without reading them.
            let is_sentence = text.len() < word.text.trim().len() && !is_compiler_argument;
            for hit in &mut found {
                let selects = hit.is_url() || takes_files || is_called;
                // `python -c "...urlretrieve('https://...')"`
                let is_code = program.starts_with("python") && hit.is_url() && text.contains("urlretrieve(");
                hit.is_follower |=
                    !selects || is_sentence && !is_code || matches!(program, "echo" | "cat" | "rm" | "chmod" | "chown");
            }
            hits.extend(found);
        }
    }
    hits.iter_mut().for_each(|hit: &mut Hit<'_>| hit.is_compiler_argument = is_compiler_argument);
    // A link in the place of one architecture to its own file is harmless on the others.
    if program == "ln" && command.arguments().last().is_some_and(|link| !word::find(&link.text).is_empty()) {
        hits.iter_mut().for_each(|hit| hit.is_follower = true);
    }
    hits
}

fn has_package_extension(text: &str) -> bool {
    [".deb", ".rpm", ".apk", ".whl"].iter().any(|extension| text.ends_with(extension))
}

/// Whether a path is in a cross compiler's directory, `/usr/aarch64-linux-gnu/...`, or is a platform like
/// `linux/amd64`.
fn is_toolchain_path(text: &str) -> bool {
    let directory = text.strip_prefix("/usr/").and_then(|rest| rest.split('/').next()).unwrap_or("");
    let is_triplet = directory.contains("-linux-") && !word::find(directory).is_empty();
    // In `linux/amd64/tool`, the last part is a file.
    let is_version =
        |variant: &str| variant.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    let platform = crate::platform::Platform::parse(text);
    is_triplet || platform.is_ok_and(|platform| platform.variant.as_deref().is_none_or(is_version))
}

/// Whether a path is a script's that is named for what it does: `/build/setup-arm64`. It selects what its lines say.
fn is_task(path: &str) -> bool {
    const VERBS: &[&str] = &["setup", "install", "configure", "prepare", "bootstrap", "init", "test", "run"];
    let base = path.rsplit('/').next().unwrap_or("");
    let stem = base.strip_suffix(".sh").unwrap_or(base);
    let verb = stem.split(['-', '_']).next().unwrap_or("");
    !path.contains("://") && !stem.contains('.') && VERBS.contains(&verb)
}

/// Whether a package is the same for every architecture, although one's directory contains it. One that describes a
/// repository is not: it names that directory.
fn is_same_for_all(base: &str) -> bool {
    let is_noarch = [".noarch.rpm", "_all.deb", "-any.whl"].iter().any(|ending| base.ends_with(ending));
    is_noarch && !["repo", "release", "keyring"].iter().any(|word| base.contains(word))
}

/// Whether a name is a cross compiler's, so that this token is what it compiles for: `aarch64-linux-musl-cross.tgz`,
/// `arm-gnu-toolchain-13-x86_64-aarch64-none-linux-gnu.tar.xz`. The first of two names is that of its own machine.
fn is_cross_target(path: &str, tokens: &[ArchToken], token: &ArchToken) -> bool {
    let component = |at: usize| {
        let start = path[..at].rfind('/').map_or(0, |slash| slash + 1);
        start..at + path[at..].find('/').unwrap_or(path.len() - at)
    };
    let own = component(token.range.start);
    let name = path[own.clone()].to_ascii_lowercase();
    let mut others = tokens.iter().filter(|other| own.contains(&other.range.start) && other.arch != token.arch);
    let is_cross = name.contains("-cross") || name.contains("toolchain") || name.starts_with("gcc-");
    is_cross && (name.contains("-cross.") || others.any(|other| other.range.start < token.range.start))
}

/// Whether a variable's value is another's with parts replaced: `${TARGETARCH/amd64/x86_64}`, which is no constant.
fn is_computed(variable: &BuildVariable) -> bool {
    let value = variable.value.as_ref().map_or("", |(value, _)| value.as_str());
    let is_replacing = |operator: &str| operator.starts_with(['/', '#', '%']);
    dockerfile::references(value).iter().any(|(_, reference)| is_replacing(reference.operator))
}

/// The architecture names of one blank-separated piece, `offset` bytes into its word: in the text itself, or in what its
/// variables hold.
pub fn hits_in<'a>(
    word: &'a PlainWord,
    text: &str,
    offset: usize,
    known: &BTreeMap<String, BuildVariable>,
) -> Vec<Hit<'a>> {
    if mentions_choice(text) {
        return Vec::new();
    }
    let Expanded { text: path, pieces } = dockerfile::expand_pieces(text, known);
    if !word::is_file_like(&path) || mentions_choice(&path) {
        return Vec::new();
    }
    let base = path.rsplit('/').next().unwrap_or("");
    let is_text = TEXTS.iter().any(|ending| base.to_ascii_lowercase().ends_with(ending))
        || INDEXES.iter().any(|index| base.starts_with(index));
    let mut hits: Vec<Hit<'a>> = Vec::new();
    let tokens = word::find(&path);
    for token in tokens.iter().filter(|token| !is_cross_target(&path, &tokens, token)).cloned() {
        let spelled = path[token.range.clone()].to_string();
        let piece = pieces.iter().find(|piece| piece.range.contains(&token.range.start));
        let Some(piece) = piece else { continue };
        let range = match &piece.variable {
            None if token.range.end <= piece.range.end => {
                let start = offset + piece.source.start + (token.range.start - piece.range.start);
                start..start + token.range.len()
            }
            None => continue,
            Some(_) => offset + piece.source.start..offset + piece.source.end,
        };
        // The commands of a substitution are checked separately.
        if piece.variable.is_none() && word.is_in_expansion(range.start) {
            continue;
        }
        let origins: Vec<BuildVariable> =
            piece.variable.iter().map(|variable| origin(variable, &spelled, known).clone()).collect();
        if origins.iter().chain(piece.variable).any(is_computed) || is_task(&path) || is_same_for_all(base) {
            continue;
        }
        let at = token.range.clone();
        // A script or the description of a repository selects what is installed.
        let selects = path.contains("://") && (path.ends_with(".sh") || path.ends_with(".repo"));
        let is_follower = is_text && !selects;
        hits.push(Hit {
            spelled,
            range,
            word,
            token,
            origins,
            is_compiler_argument: false,
            is_follower,
            path: path.clone(),
            at,
        });
    }
    hits
}

/// Returns the variable whose text contains the word, following variables that refer to others.
fn origin<'v>(
    variable: &'v BuildVariable,
    spelled: &str,
    known: &'v BTreeMap<String, BuildVariable>,
) -> &'v BuildVariable {
    let mut at = variable;
    for _ in 0..dockerfile::MAX_EXPANSIONS {
        let Some((value, _)) = at.value.as_ref().filter(|(value, _)| !value.contains(spelled)) else { break };
        let inner = dockerfile::references(value).into_iter().filter_map(|(_, reference)| known.get(reference.name));
        let has_word = |inner: &&BuildVariable| inner.value.as_ref().is_some_and(|(value, _)| value.contains(spelled));
        let Some(next) = inner.into_iter().find(has_word) else { break };
        at = next;
    }
    at
}

/// Whether the name already depends on the platform. Another architecture in it is then part of a choice.
fn mentions_choice(text: &str) -> bool {
    ["TARGETARCH", "TARGETPLATFORM", "TARGETVARIANT", "BUILDARCH", "uname", "print-arch"]
        .iter()
        .any(|name| text.contains(name))
}

/// Whether a path is one of Debian's multiarch directories, which exist for one architecture only.
pub fn is_library_path(hit: &Hit<'_>) -> bool {
    hit.token.spelling == Spelling::Triple && hit.path.contains('/')
}
