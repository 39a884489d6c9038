//! Modules that need a function which their runtime does not define: built for a newer Python's stable ABI, or for
//! another version of Lua in a directory without one. Both runtimes bind all symbols when they load a module. Source:
//! CPython's dynload_shlib.c, Lua's loadlib.c `lsys_load`: `RTLD_NOW`.

use crate::inspect::{Symbols, symbol_hash};
use crate::judge::code::Severity;
use crate::judge::facts::programs::{Fit, JudgedProgram};
use crate::judge::facts::runtimes::RuntimeKind;
use crate::judge::files::FileRuleInput;
use crate::judge::finding::Finding;
use crate::judge::rules::{modules, versions};

/// The interface between a runtime and its modules.
struct ModuleApi {
    runtime: RuntimeKind,
    /// How the names of its functions start.
    starts: &'static [&'static str],
    /// A function that every version defines.
    anchor: &'static str,
    /// How the names of its programs and libraries start.
    hosts: &'static [&'static str],
}

const APIS: &[ModuleApi] = &[
    ModuleApi {
        runtime: RuntimeKind::Python,
        starts: &["Py", "_Py"],
        anchor: "PyObject_Call",
        hosts: &["python3", "libpython3."],
    },
    ModuleApi {
        runtime: RuntimeKind::Lua,
        starts: &["lua_", "luaL_"],
        anchor: "lua_pushcclosure",
        hosts: &["lua", "liblua"],
    },
];

/// The finding on a module of `runtime` that needs a function which no host in the image defines.
pub fn judge(files: &FileRuleInput<'_>, program: &JudgedProgram<'_>, runtime: RuntimeKind) -> Option<Finding> {
    let api = APIS.iter().find(|api| api.runtime == runtime)?;
    let undefined = program.elf.dynamic.as_ref()?.undefined.as_deref()?;
    if !modules::is_applications(files, program, runtime) {
        return None;
    }
    let name = missing(api, undefined, &hosts(files, api)?)?;
    let message = format!(
        "a module of {runtime} needs {name}, which this image's {runtime} does not define: it is for another version"
    );
    let compared = (format!("needs {name}"), format!("this image's {runtime}"));
    let finding = versions::for_another_version(files, program, runtime, message, compared);
    Some(finding.severity(Severity::Error))
}

/// The first function of the interface in `undefined` that no host defines.
fn missing<'n>(api: &ModuleApi, undefined: &'n str, hosts: &[&Symbols]) -> Option<&'n str> {
    let is_defined = |name: &str| {
        let hash = symbol_hash(name.as_bytes());
        hosts.iter().any(|host| host.defined.binary_search(&hash).is_ok())
    };
    let is_its = |name: &&str| api.starts.iter().any(|start| name.starts_with(start));
    undefined.lines().filter(is_its).find(|name| !is_defined(name))
}

/// The symbols of everything in the image that modules may be loaded into. `None` if those of one host are not known.
fn hosts<'a>(files: &FileRuleInput<'a>, api: &ModuleApi) -> Option<Vec<&'a Symbols>> {
    let anchor = symbol_hash(api.anchor.as_bytes());
    let mut hosts = Vec::new();
    for program in files.programs.runnable().filter(|program| program.fit <= Fit::Compat) {
        let name = program.name();
        let is_named = api.hosts.iter().any(|host| {
            name.strip_prefix(host).is_some_and(|rest| {
                let version = rest.split_once(".so").map_or(rest, |(version, _)| version);
                version.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | 'j' | 'i' | 't' | 'm' | 'd'))
            })
        });
        // A library that only forwards to another one, for the stable ABI.
        if is_named && name == "libpython3.so" {
            continue;
        }
        let symbols = program.elf.dynamic.as_ref().and_then(|dynamic| dynamic.symbols.as_deref());
        match symbols {
            Some(own) if is_named || own.defined.binary_search(&anchor).is_ok() => hosts.push(own),
            None if is_named => return None,
            Some(_) | None => {}
        }
    }
    let has_anchor = hosts.iter().any(|host| host.defined.binary_search(&anchor).is_ok());
    has_anchor.then_some(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(names: &[&str]) -> Symbols {
        let mut defined: Vec<u32> = names.iter().map(|name| symbol_hash(name.as_bytes())).collect();
        defined.sort_unstable();
        Symbols { defined: defined.into(), ..Symbols::default() }
    }

    #[test]
    fn a_function_that_no_host_defines_is_missing() {
        let (python, lua) = (&APIS[0], &APIS[1]);
        // Python 3.9 has no `_Py_IncRef`.
        let (old, new) = (symbols(&["PyObject_Call"]), symbols(&["PyObject_Call", "_Py_IncRef"]));
        let wanted = "memcpy\nPyObject_Call\n_Py_IncRef\n";
        assert_eq!(missing(python, wanted, &[&old]), Some("_Py_IncRef"));
        assert_eq!(missing(python, wanted, &[&new]), None);
        assert_eq!(missing(python, wanted, &[&old, &new]), None);
        assert_eq!(missing(python, "memcpy\nSSL_new\n", &[&old]), None);
        let host = symbols(&["lua_pushcclosure", "lua_rawlen"]);
        assert_eq!(missing(lua, "lua_pushcclosure\nlua_objlen\n", &[&host]), Some("lua_objlen"));
    }
}
