//! Installs a package, runs it on each CPU model of QEMU, and scans it with imgarch for the same CPU.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};

use sha2::{Digest as _, Sha256};

use super::package::{Package, Start, Suite};
use crate::kit::engines::MIRROR;

const SIGILL: i32 = 4;

/// An architecture with the emulated CPUs that programs run on, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    X86_64,
    Aarch64,
    /// 32-bit Arm with Debian's hard-float packages.
    Armhf,
    /// 32-bit Arm with Debian's packages for older CPUs.
    Armel,
    Riscv64,
}

/// A CPU model of QEMU, and the target that describes it to imgarch.
pub struct Cpu {
    pub model: &'static str,
    pub target: &'static str,
}

const fn cpu(model: &'static str, target: &'static str) -> Cpu {
    Cpu { model, target }
}

impl Machine {
    pub const ALL: [Machine; 5] = [Machine::X86_64, Machine::Aarch64, Machine::Armhf, Machine::Armel, Machine::Riscv64];

    /// QEMU's Skylake-Server is left out: QEMU does not emulate AVX-512.
    pub fn cpus(self) -> &'static [Cpu] {
        const X86_64: &[Cpu] = &[
            cpu("core2duo", "core2duo"),
            cpu("Nehalem", "nehalem"),
            cpu("Westmere", "westmere"),
            cpu("SandyBridge", "sandybridge"),
            cpu("Haswell", "haswell"),
        ];
        const AARCH64: &[Cpu] = &[
            cpu("cortex-a53", "linux/arm64,cpu=cortex-a53,features=+aes"),
            cpu("cortex-a72", "graviton1"),
            cpu("cortex-a76", "rpi-5"),
            cpu("neoverse-n1", "graviton2"),
            cpu("max", "linux/arm64,level=v9"),
        ];
        const ARMHF: &[Cpu] = &[
            cpu("arm1176", "rpi-zero"),
            cpu("cortex-a8", "cortex-a8"),
            cpu("cortex-a7", "rpi-2"),
            cpu("max", "linux/arm,level=v8"),
        ];
        const ARMEL: &[Cpu] =
            &[cpu("arm926", "linux/arm,level=v5"), cpu("arm1176", "rpi-zero"), cpu("cortex-a7", "rpi-2")];
        const RISCV64: &[Cpu] = &[cpu("sifive-u54", "rva20")];
        match self {
            Machine::X86_64 => X86_64,
            Machine::Aarch64 => AARCH64,
            Machine::Armhf => ARMHF,
            Machine::Armel => ARMEL,
            Machine::Riscv64 => RISCV64,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Machine::X86_64 => "x86_64",
            Machine::Aarch64 => "aarch64",
            Machine::Armhf => "armhf",
            Machine::Armel => "armel",
            Machine::Riscv64 => "riscv64",
        }
    }

    fn debian(self) -> &'static str {
        match self {
            Machine::X86_64 => "amd64",
            Machine::Aarch64 => "arm64",
            Machine::Armhf | Machine::Armel | Machine::Riscv64 => self.name(),
        }
    }

    fn npm(self) -> &'static str {
        match self {
            Machine::X86_64 => "x64",
            Machine::Aarch64 => "arm64",
            Machine::Armhf | Machine::Armel => "arm",
            Machine::Riscv64 => "riscv64",
        }
    }

    fn qemu(self) -> &'static str {
        match self {
            Machine::X86_64 => "qemu-x86_64-static",
            Machine::Aarch64 => "qemu-aarch64-static",
            Machine::Armhf | Machine::Armel => "qemu-arm-static",
            Machine::Riscv64 => "qemu-riscv64-static",
        }
    }
}

/// How a program ended on an emulated CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Well,
    IllegalInstruction,
    /// With another error: the last line of stderr.
    Otherwise(String),
    /// Not run, because an older model runs it, whose features this one has too.
    NotRun,
}

impl Ended {
    /// The line of a file of answers.
    fn text(&self) -> String {
        match self {
            Ended::Well => "runs".to_string(),
            Ended::IllegalInstruction => "SIGILL".to_string(),
            Ended::Otherwise(line) => format!("error {}", line.replace(['\t', '\n'], " ")),
            Ended::NotRun => "not run".to_string(),
        }
    }

    fn parse(text: &str) -> Ended {
        match text {
            "runs" => Ended::Well,
            "SIGILL" => Ended::IllegalInstruction,
            "not run" => Ended::NotRun,
            other => Ended::Otherwise(other.strip_prefix("error ").unwrap_or(other).to_string()),
        }
    }
}

/// imgarch's verdict on the same program and CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Runs,
    /// A warning: the instruction may be reached.
    Doubt(String),
    /// An error, with its message.
    Fails(String),
}

impl Verdict {
    /// The line of a file of answers.
    fn text(&self) -> String {
        let line = |word: &str, message: &str| format!("{word} {}", message.replace(['\t', '\n'], " "));
        match self {
            Verdict::Runs => "runs".to_string(),
            Verdict::Doubt(message) => line("doubt", message),
            Verdict::Fails(message) => line("fails", message),
        }
    }

    fn parse(text: &str) -> Verdict {
        match text.split_once(' ') {
            Some(("doubt", message)) => Verdict::Doubt(message.to_string()),
            Some(("fails", message)) => Verdict::Fails(message.to_string()),
            _ => Verdict::Runs,
        }
    }
}

/// One CPU's row for a package.
pub struct Answer {
    pub cpu: &'static Cpu,
    pub ended: Ended,
    pub verdict: Verdict,
}

impl Answer {
    pub fn agrees(&self) -> bool {
        match (&self.ended, &self.verdict) {
            (Ended::Well | Ended::NotRun, Verdict::Runs) | (Ended::IllegalInstruction, Verdict::Fails(_)) => true,
            // A package that checks the CPU itself prints its own error.
            (Ended::Otherwise(_), Verdict::Fails(_) | Verdict::Doubt(_)) => true,
            (Ended::Otherwise(_), Verdict::Runs) | (Ended::Well | Ended::NotRun | Ended::IllegalInstruction, _) => {
                false
            }
        }
    }
}

/// Directory for Python modules, Node.js modules and programs, relative to the root.
const PYTHON: &str = "usr/local/lib/python3.11/dist-packages";
const APP: &str = "srv/app";

/// Installs `package`, if it has wheels with `pip`, and runs it on each CPU of its machine until one runs it. The
/// answers of QEMU and the verdicts of this imgarch are kept next to the root, so that an interrupted run does not
/// repeat them. The root is removed if they agree.
pub fn answers(directory: &Path, package: &Package, pip: &Path) -> Result<Vec<Answer>, String> {
    let judged = root(directory, package).with_extension("judged");
    if let Some(answers) = kept_answers(package, &judged) {
        return Ok(answers);
    }
    let root = install(directory, package, pip)?;
    let call = call(&root, package)?;
    let kept = root.with_extension("ended");
    let mut known: HashMap<String, Ended> = std::fs::read_to_string(&kept)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(model, text)| (model.to_string(), Ended::parse(text)))
        .collect();
    let (mut ended, mut runs) = (Vec::new(), false);
    for cpu in package.machine.cpus() {
        let answer = match known.remove(cpu.model) {
            Some(answer) => answer,
            None if runs => Ended::NotRun,
            None => emulate(&root, package.machine, cpu, &call),
        };
        runs |= answer == Ended::Well;
        ended.push((cpu, answer));
        let lines = ended.iter().map(|(cpu, answer)| format!("{}\t{}\n", cpu.model, answer.text()));
        let rest = known.iter().map(|(model, answer)| format!("{model}\t{}\n", answer.text()));
        std::fs::write(&kept, lines.chain(rest).collect::<String>()).unwrap();
    }
    // The emulator is a file of another architecture.
    let _ = std::fs::remove_file(root.join(package.machine.qemu()));
    let judge = |(cpu, ended): (&'static Cpu, Ended)| {
        let verdict = if ended == Ended::NotRun { Verdict::Runs } else { scan(&root, cpu, &call) };
        Answer { cpu, ended, verdict }
    };
    let answers: Vec<Answer> = ended.into_iter().map(judge).collect();
    let lines = answers.iter().map(|answer| format!("{}\t{}\n", answer.ended.text(), answer.verdict.text()));
    std::fs::write(&judged, format!("{}\n{}", fingerprint(), lines.collect::<String>())).unwrap();
    if answers.iter().all(Answer::agrees) {
        std::fs::remove_dir_all(&root).unwrap();
    }
    Ok(answers)
}

/// The imgarch that is compared.
fn program() -> PathBuf {
    std::env::var_os("IMGARCH_CPU_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_imgarch").into()).into()
}

/// The digest of the imgarch that is compared.
fn fingerprint() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    DIGEST.get_or_init(|| hex(&std::fs::read(program()).unwrap()))
}

/// The answers and verdicts of an earlier run with the same imgarch.
fn kept_answers(package: &Package, judged: &Path) -> Option<Vec<Answer>> {
    let text = std::fs::read_to_string(judged).ok()?;
    let (program, lines) = text.split_once('\n')?;
    let answer = |(cpu, line): (&'static Cpu, &str)| {
        let (ended, verdict) = line.split_once('\t')?;
        Some(Answer { cpu, ended: Ended::parse(ended), verdict: Verdict::parse(verdict) })
    };
    let cpus = package.machine.cpus();
    let is_current = program == fingerprint() && lines.lines().count() == cpus.len();
    is_current.then(|| cpus.iter().zip(lines.lines()).map(answer).collect()).flatten()
}

/// The directory of the package's root file system.
fn root(directory: &Path, package: &Package) -> PathBuf {
    let name = package.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    directory.join(package.machine.name()).join(name)
}

/// A root file system with the package in it.
fn install(directory: &Path, package: &Package, pip: &Path) -> Result<PathBuf, String> {
    let root = root(directory, package);
    let part = root.with_extension("part");
    if root.exists() {
        return Ok(root);
    }
    std::fs::create_dir_all(root.parent().unwrap()).unwrap();
    let _ = std::fs::remove_dir_all(&part);
    let base = base(directory, package.machine, package.suite, package.debian)?;
    if package.pip.is_empty() && package.npm.is_empty() {
        std::fs::rename(&base, &part).unwrap();
    } else {
        succeed(Command::new("cp").args(["--archive", "--link"]).args([&base, &part]))?;
    }
    if !package.pip.is_empty() {
        wheels(package, pip, &part)?;
    }
    if !package.npm.is_empty() {
        npm(package, &part)?;
    }
    let app = part.join(APP);
    std::fs::create_dir_all(&app).unwrap();
    match package.start {
        Start::Python(code) => std::fs::write(app.join("app.py"), code).unwrap(),
        Start::Node(code) => std::fs::write(app.join("app.js"), code).unwrap(),
        Start::Program(_) => {}
    }
    std::fs::rename(&part, &root).unwrap();
    Ok(root)
}

/// Links the libraries that Debian's alternatives would.
const LINKS: &str = "cd $1/usr/lib && for file in */blas/libblas.so.3 */lapack/liblapack.so.3; do \
     [ ! -e $file ] || ln -sf ${file#*/} ${file%%/*}/; done";

/// A root file system of Debian packages, extracted but not configured. Built once for packages of PyPI and npm.
fn base(directory: &Path, machine: Machine, suite: Suite, packages: &[&str]) -> Result<PathBuf, String> {
    static MADE: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MADE.lock().unwrap();
    let name: Vec<&str> = [suite.name(), machine.debian()].into_iter().chain(packages.iter().copied()).collect();
    let root = directory.join("base").join(name.join("-"));
    if root.exists() {
        return Ok(root);
    }
    std::fs::create_dir_all(root.parent().unwrap()).unwrap();
    let part = root.with_extension("part");
    let include: String = packages.iter().map(|package| format!(" --include={package}")).collect();
    let script = format!(
        "rm -rf {0}; mmdebstrap --quiet --variant=extract --architectures={1} --mode=root --aptopt='Acquire::Languages \"none\"' \
         --aptopt='Acquire::Check-Valid-Until \"false\"' --extract-hook='{LINKS}' \
         --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr {include} {2} {0} \"$({MIRROR})\"",
        part.display(),
        machine.debian(),
        suite.name(),
    );
    succeed(Command::new("sh").args(["-c", &script]).env("TMPDIR", directory))?;
    std::fs::rename(&part, &root).unwrap();
    Ok(root)
}

fn wheels(package: &Package, pip: &Path, root: &Path) -> Result<(), String> {
    let mut command = Command::new(pip);
    command.args(["install", "--quiet", "--only-binary=:all:", "--implementation=cp"]);
    command.args(["--python-version=3.11", "--ignore-installed", "--no-compile", "--root-user-action=ignore"]);
    let tags = ["2_35", "2_34", "2_31", "2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5"];
    command.args(tags.iter().map(|tag| format!("--platform=manylinux_{tag}_{}", package.machine.name())));
    command.args(["2014", "2010", "1"].map(|tag| format!("--platform=manylinux{tag}_{}", package.machine.name())));
    succeed(command.arg("--no-cache-dir").arg("--target").arg(root.join(PYTHON)).args(package.pip))
}

fn npm(package: &Package, root: &Path) -> Result<(), String> {
    let app = root.join(APP);
    std::fs::create_dir_all(&app).unwrap();
    std::fs::write(app.join("package.json"), "{\"private\": true}\n").unwrap();
    let mut command = Command::new("npm");
    // An install script would download for this machine.
    command.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--force", "--os=linux"]);
    let cpu = format!("--cpu={}", package.machine.npm());
    succeed(command.args(["--libc=glibc", &cpu]).args(package.npm).current_dir(app))
}

/// Maximum number of attempts, and of seconds for one: downloads fail now and then, and some never end.
const ATTEMPTS: u64 = 3;
const DOWNLOAD: &str = "1200";

fn succeed(command: &Command) -> Result<(), String> {
    let mut stderr = String::new();
    for attempt in 1..=ATTEMPTS {
        let mut limited = Command::new("timeout");
        limited.arg(DOWNLOAD).arg(command.get_program()).args(command.get_args());
        limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(directory) = command.get_current_dir() {
            limited.current_dir(directory);
        }
        let output = limited.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{limited:?}: {error}"));
        if output.status.success() {
            return Ok(());
        }
        stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        std::thread::sleep(std::time::Duration::from_secs(attempt * 5));
    }
    Err(format!("{command:?}: {stderr}"))
}

/// The command line that a container would start. Paths are those of the root file system.
fn call(root: &Path, package: &Package) -> Result<Vec<String>, String> {
    let words: Vec<String> = match package.start {
        Start::Python(_) => vec!["/usr/bin/python3.11".to_string(), format!("/{APP}/app.py")],
        Start::Node(_) => vec!["/usr/bin/node".to_string(), format!("/{APP}/app.js")],
        Start::Program(words) => words.iter().map(|word| (*word).to_string()).collect(),
    };
    let program = root.join(words[0].trim_start_matches('/'));
    if program.symlink_metadata().is_err() {
        return Err(format!("{} is missing", words[0]));
    }
    Ok(words)
}

/// The longest run of a program, and the address space of its emulator.
const SECONDS: &str = "900";
const MEMORY: &str = "--as=6144000000";

/// Runs the call in a chroot that contains the emulator.
fn emulate(root: &Path, machine: Machine, cpu: &Cpu, call: &[String]) -> Ended {
    let emulator = root.join(machine.qemu());
    if !emulator.exists() {
        std::fs::copy(Path::new("/usr/bin").join(machine.qemu()), &emulator).unwrap();
    }
    for directory in ["tmp", "proc", "dev"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    let mut command = Command::new("timeout");
    command.args([SECONDS, "prlimit", MEMORY, "unshare"]);
    let script = "mount --bind /proc \"$1/proc\" && mount --bind /dev \"$1/dev\" && root=$1 && shift && exec chroot \"$root\" \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(root);
    command.arg(format!("/{}", machine.qemu())).args(["-cpu", cpu.model]).args(call);
    command.env_clear().envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8")]);
    // Threads make emulation slow.
    command.envs([("OPENBLAS_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "1"), ("RAYON_NUM_THREADS", "1")]);
    // A JVM reserves a quarter of the machine's memory.
    command.env("JAVA_TOOL_OPTIONS", "-Xmx256m");
    // A file, because a pipe stays open as long as a program that was started in the background.
    let errors = root.with_extension("stderr");
    command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.stderr(File::create(&errors).unwrap()).status().unwrap();
    let text = std::fs::read(&errors).unwrap();
    std::fs::remove_file(&errors).unwrap();
    ended(status, &String::from_utf8_lossy(&text))
}

fn ended(status: ExitStatus, stderr: &str) -> Ended {
    if status.success() {
        return Ended::Well;
    }
    let is_illegal = status.signal() == Some(SIGILL) || status.code() == Some(128 + SIGILL);
    if is_illegal || stderr.contains("uncaught target signal 4") {
        return Ended::IllegalInstruction;
    }
    let last = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    Ended::Otherwise(last.chars().take(120).collect())
}

fn scan(root: &Path, cpu: &Cpu, call: &[String]) -> Verdict {
    let mut command = Command::new(program());
    command.args(["scan", "--no-cache", "--no-config", "--format", "json", "--target", cpu.target]);
    command.arg("--entrypoint").arg(&call[0]);
    command.args(call[1..].iter().map(|word| format!("--arg={word}")));
    let output = command.arg(format!("rootfs:{}", root.display())).env("HOME", root).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let findings = report["images"][0]["platforms"][0]["findings"].as_array().expect("findings").clone();
    let message = |severity: &str| {
        let found = findings.iter().find(|finding| finding["severity"] == severity)?;
        Some(found["message"].as_str().unwrap_or_default().to_string())
    };
    match (message("error"), message("warning")) {
        (Some(message), _) => Verdict::Fails(message),
        (None, Some(message)) => Verdict::Doubt(message),
        (None, None) => Verdict::Runs,
    }
}
