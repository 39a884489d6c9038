//! Packages of Python without native parts that load a library of the system by its name, as `ctypes` and `cffi` do. No
//! file of the package names the library in a form that a linker knows, so this is a table. Each row was seen to raise an
//! error on import without its library.

use crate::judge::code::{Code, Severity};
use crate::judge::facts::installed::InstalledPackage;
use crate::judge::facts::programs::Fit;
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;

/// A package and the library that it loads.
struct LoadingPackage {
    /// The name in the package's metadata, in lower case and with underscores.
    package: &'static str,
    library: &'static str,
    /// Debian's package of the library.
    debian: &'static str,
    /// Packages that bring the library, or another way to do the same.
    instead: &'static [&'static str],
}

const PACKAGES: &[LoadingPackage] = &[
    row("cairocffi", "libcairo.so.2", "libcairo2", &[]),
    row("libarchive_c", "libarchive.so.13", "libarchive13", &[]),
    row("psycopg", "libpq.so.5", "libpq5", &["psycopg_binary", "psycopg_c"]),
    row("pyenchant", "libenchant-2.so.2", "libenchant-2-2", &[]),
    row("pylibdmtx", "libdmtx.so.0", "libdmtx0b", &[]),
    row("pyvips", "libvips.so.42", "libvips42", &["pyvips_binary"]),
    row("pyzbar", "libzbar.so.0", "libzbar0", &[]),
    row("python_magic", "libmagic.so.1", "libmagic1", &["pylibmagic", "python_magic_bin"]),
    row("sounddevice", "libportaudio.so.2", "libportaudio2", &[]),
    row("weasyprint", "libpango-1.0.so.0", "libpango-1.0-0", &[]),
];

const fn row(
    package: &'static str,
    library: &'static str,
    debian: &'static str,
    instead: &'static [&'static str],
) -> LoadingPackage {
    LoadingPackage { package, library, debian, instead }
}

/// Findings on packages whose library is not in the image.
pub fn judge(files: &FileRuleInput<'_>, installed: &[InstalledPackage]) -> Vec<Finding> {
    let is_installed = |name: &str| installed.iter().any(|package| package.name == name);
    let mut findings = Vec::new();
    for row in PACKAGES {
        // Debian's packages depend on the library.
        let is_its = |package: &&InstalledPackage| {
            package.name == row.package && package.place() != "/usr/lib/python3/dist-packages"
        };
        let Some(InstalledPackage { path, layer, .. }) = installed.iter().find(is_its) else { continue };
        if row.instead.iter().any(|package| is_installed(package)) || has_library(files, row.library) {
            continue;
        }
        let message = format!(
            "the Python package {} loads {} by its name when it is imported, and the image has none",
            row.package, row.library
        );
        let mut finding = Finding::new(Code::ExtensionMissingLibrary, message).at(path, *layer);
        (finding.is, finding.expected) = ("no such library".to_string(), row.library.to_string());
        finding.group = Some(path.clone());
        finding.hint = vec![format!("install the library in the final stage: {} on Debian", row.debian)];
        finding.reached_by = files.chain.to_vec();
        finding.reached_by.extend(files.interpreter(RuntimeKind::Python));
        finding.reached_by.push(path.clone());
        findings.push(finding.severity(Severity::Warning));
    }
    findings
}

/// Whether the image has the library in any version, also as a copy in a package.
fn has_library(files: &FileRuleInput<'_>, library: &str) -> bool {
    let stem = library.split(".so").next().unwrap_or(library);
    files.programs.runnable().any(|program| {
        let rest = program.name().strip_prefix(stem);
        program.fit <= Fit::Compat && rest.is_some_and(|rest| rest.starts_with(['.', '-']) && rest.contains(".so"))
    })
}

#[cfg(test)]
mod tests {
    use crate::judge::rules::later_tests::{Put, found, own, text};

    #[test]
    fn a_library_that_a_package_loads_by_its_name_is_to_be_there() {
        let put = |info: &'static str| text(info, "Name: x\n");
        let magic = || put("usr/local/lib/python3.11/site-packages/python_magic-0.4.27.dist-info/METADATA");
        let path = "/usr/local/lib/python3.11/site-packages/python_magic-0.4.27.dist-info";
        assert_eq!(found(&[magic()]), [format!("warning extension-missing-library {path}")]);
        for library in ["usr/lib/libmagic.so.1.0.0", "usr/local/lib/python3.11/site-packages/m/libmagic-1a2b3c4d.so.1"]
        {
            assert_eq!(found(&[magic(), Put::Library(library, own().build())]), [""; 0], "{library}");
        }
        let other = put("usr/local/lib/python3.11/site-packages/pylibmagic-0.5.dist-info/METADATA");
        assert_eq!(found(&[magic(), other]), [""; 0]);
        let debian = put("usr/lib/python3/dist-packages/python_magic-0.4.26.dist-info/METADATA");
        assert_eq!(found(&[debian]), [""; 0]);
    }
}
