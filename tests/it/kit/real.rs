//! A real execve in a chroot, without the fallback of std and libc: `Command` and execvp pass a file that the kernel
//! refuses to /bin/sh. Needs root.

use std::ffi::CString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use imgarch::platform::Capabilities;

use super::tree::Tree;

type Pointers<'p> = &'p [*const libc::c_char];

/// The kernel's answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Errno(i32),
    Exit(i32),
    Signal(i32),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Errno(number) => f.write_str(errno_name(*number)),
            Answer::Exit(code) => write!(f, "exit {code}"),
            Answer::Signal(number) => write!(f, "signal {number}"),
        }
    }
}

/// The name of an errno that execve returns.
pub fn errno_name(number: i32) -> &'static str {
    let names = [
        (libc::ENOEXEC, "ENOEXEC"),
        (libc::ENOENT, "ENOENT"),
        (libc::EACCES, "EACCES"),
        (libc::ELIBBAD, "ELIBBAD"),
        (libc::EINVAL, "EINVAL"),
        (libc::ELOOP, "ELOOP"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EPERM, "EPERM"),
        (libc::EIO, "EIO"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::E2BIG, "E2BIG"),
        (libc::ENAMETOOLONG, "ENAMETOOLONG"),
        (libc::ETXTBSY, "ETXTBSY"),
    ];
    names.iter().find(|(value, _)| *value == number).map_or("another errno", |(_, name)| name)
}

/// Seconds after which the kernel kills a program that does not end.
const ALARM_S: u32 = 60;

/// Writes `tree` to `root`, which already contains `written`, and makes its call there.
pub fn run(tree: &Tree, root: &Path, written: &mut Tree) -> Answer {
    tree.write_over(root, written);
    *written = tree.clone();
    execve(root, &tree.argv, &[PATH], own_capabilities()).0
}

/// The same in a separate directory, with docker's capability bounding set. Also returns what the call wrote to stderr.
pub fn run_alone(tree: &Tree) -> (Answer, String) {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    tree.write(root.path());
    let env = tree.exec().env;
    let env: Vec<&str> = env.iter().map(String::as_str).collect();
    execve(root.path(), &tree.argv, &env, Capabilities::of_docker())
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Calls execve in `root` with these words and this environment, as root. Discards stdout and returns stderr. The child
/// cannot write files or core dumps, and is killed after a minute.
pub fn execve(root: &Path, words: &[String], env: &[&str], bounding: Capabilities) -> (Answer, String) {
    let c = |text: &[u8]| CString::new(text).expect("no NUL in a call");
    let root = c(root.as_os_str().as_bytes());
    let words: Vec<CString> = words.iter().map(|word| c(word.as_bytes())).collect();
    let env: Vec<CString> = env.iter().map(|line| c(line.as_bytes())).collect();
    let pointers =
        |list: &[CString]| list.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (argv, envp) = (pointers(&words), pointers(&env));
    let (mut pipe, mut stderr) = ([0; 2], [0; 2]);
    // SAFETY: plain system calls on values that outlive them; the child calls nothing but async-signal-safe functions
    // before execve or _exit, as fork in a threaded process demands.
    unsafe {
        assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0, "pipe2 failed");
        assert_eq!(libc::pipe2(stderr.as_mut_ptr(), libc::O_CLOEXEC), 0, "pipe2 failed");
        let child = libc::fork();
        assert!(child >= 0, "fork failed");
        if child == 0 {
            let code = enter(&root, (&argv, &envp), stderr[1], bounding);
            libc::write(pipe[1], (&raw const code).cast(), size_of::<i32>());
            libc::_exit(1);
        }
        libc::close(pipe[1]);
        let (mut errno, mut status) = (0_i32, 0_i32);
        let got = libc::read(pipe[0], (&raw mut errno).cast(), size_of::<i32>());
        libc::close(pipe[0]);
        libc::close(stderr[1]);
        let said = read_all(stderr[0]);
        libc::close(stderr[0]);
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child, "waitpid failed");
        let answer = match () {
            () if got > 0 => Answer::Errno(errno),
            () if libc::WIFSIGNALED(status) => Answer::Signal(libc::WTERMSIG(status)),
            () => Answer::Exit(libc::WEXITSTATUS(status)),
        };
        (answer, String::from_utf8_lossy(&said).into_owned())
    }
}

/// Everything that is written to a pipe, up to its end.
///
/// # Safety
/// `fd` must be an open descriptor.
unsafe fn read_all(fd: i32) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0_u8; 4096]);
    loop {
        match unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) } {
            got if got > 0 => all.extend_from_slice(&buffer[..got as usize]),
            _ => return all,
        }
    }
}

/// Runs in the child. Returns the errno of the call that failed.
///
/// # Safety
/// Must run in a forked child; the pointers must be lists of C strings that end in a null pointer.
unsafe fn enter(
    root: &CString,
    (argv, envp): (Pointers<'_>, Pointers<'_>),
    stderr: i32,
    bounding: Capabilities,
) -> i32 {
    unsafe {
        let limit = |what, value| {
            let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
            libc::setrlimit(what, &raw const limit);
        };
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        libc::dup2(null, 0);
        libc::dup2(null, 1);
        libc::dup2(stderr, 2);
        if libc::chroot(root.as_ptr()) != 0 || libc::chdir(c"/".as_ptr()) != 0 {
            return -1;
        }
        for capability in (0..=40).filter(|bit| bounding.0 & 1 << bit == 0) {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        limit(libc::RLIMIT_CORE, 0);
        limit(libc::RLIMIT_FSIZE, 0);
        libc::alarm(ALARM_S);
        libc::execve(argv[0], argv.as_ptr(), envp.as_ptr());
        *libc::__errno_location()
    }
}

/// The capability bounding set of this process, which is smaller than the full set in most containers.
pub fn own_capabilities() -> Capabilities {
    let status = std::fs::read_to_string("/proc/self/status").expect("reading the process status");
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("Linux shows the bounding set");
    Capabilities(u64::from_str_radix(line.trim(), 16).expect("a number in hexadecimal"))
}
