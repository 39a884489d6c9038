//! Finds the interface that a native module was built for: Node.js's in the name of a symbol or in the module's
//! structure (see [`super::node_module`]), PHP's in its build ID,
//! PostgreSQL's in its magic block, nginx's in its module structure, Perl's in a constant.

use super::kind::ModuleInterface;
use super::node_module;
use super::window::Window;
use crate::platform::Endian;

/// Modules of PHP and PostgreSQL have up to a few MiB. Larger ones are not searched.
const MODULE_LIMIT: u64 = 4 << 20;

/// The runtime whose module a file is, by its path.
fn runtime(path: &[u8]) -> Option<ModuleRuntime> {
    let has = |part: &[u8]| path.windows(part.len()).any(|window| window == part);
    match path {
        _ if path.ends_with(b"/sbin/nginx") || path.ends_with(b"/bin/openresty") => Some(ModuleRuntime::NginxItself),
        _ if path.ends_with(b".node") => Some(ModuleRuntime::Node),
        _ if !path.ends_with(b".so") => None,
        _ if has(b"/php") => Some(ModuleRuntime::Php),
        _ if has(b"/postgresql") => Some(ModuleRuntime::Postgres),
        _ if has(b"/nginx") || has(b"/ngx_") => Some(ModuleRuntime::Nginx),
        _ if has(b"/perl") && has(b"/auto/") => Some(ModuleRuntime::Perl),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ModuleRuntime {
    Node,
    Php,
    Postgres,
    Nginx,
    NginxItself,
    Perl,
}

/// Requests the whole file if the interface may be anywhere in its data.
pub fn want(path: &[u8], window: &mut Window<'_>) {
    if runtime(path).is_some() && window.size() <= MODULE_LIMIT {
        window.want(0, window.size());
    }
}

/// `strings`: the table of dynamic strings. `bytes`: the start of the file, as far as it was kept.
pub fn read(path: &[u8], strings: &[u8], bytes: &[u8], endian: Endian) -> Option<ModuleInterface> {
    match runtime(path)? {
        ModuleRuntime::Node => node(strings, bytes),
        ModuleRuntime::Php => php(bytes),
        ModuleRuntime::Postgres => postgres(strings, bytes, endian),
        ModuleRuntime::Nginx => nginx_module(bytes, endian),
        ModuleRuntime::NginxItself => nginx(bytes),
        ModuleRuntime::Perl => perl(strings, bytes),
    }
}

/// The number that the bytes start with.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    let digits = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((digits.parse().ok()?, &bytes[end..]))
}

fn find_each(bytes: &[u8], needle: &'static [u8]) -> impl Iterator<Item = usize> {
    bytes.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle).map(|(at, _)| at)
}

fn find(bytes: &[u8], needle: &'static [u8]) -> Option<usize> {
    find_each(bytes, needle).next()
}

/// Source: Node.js's node.h `NODE_MODULE_INITIALIZER`, js_native_api.h `NAPI_MODULE_INITIALIZER`.
fn node(strings: &[u8], bytes: &[u8]) -> Option<ModuleInterface> {
    const SYMBOL: &[u8] = b"\0node_register_module_v";
    if find(strings, b"\0napi_register_module_v").is_some() {
        return None;
    }
    let Some(at) = find(strings, SYMBOL).map(|at| at + SYMBOL.len()) else {
        find(strings, b"\0node_module_register\0")?;
        return node_module::version(bytes).map(ModuleInterface::Node);
    };
    let (version, rest) = number(&strings[at..])?;
    rest.starts_with(b"\0").then_some(ModuleInterface::Node(version))
}

/// `API20220829,NTS`. Source: PHP's Zend/zend_modules.h `ZEND_MODULE_BUILD_ID`.
fn php(bytes: &[u8]) -> Option<ModuleInterface> {
    const DIGITS: usize = 8;
    find_each(bytes, b"API20").find_map(|at| {
        let (api, rest) = number(&bytes[at + 3..])?;
        let is_date = bytes[at + 3..].len() - rest.len() == DIGITS;
        match rest {
            [b',', b'N', b'T', b'S', ..] if is_date => Some(ModuleInterface::Php { api, is_zts: false }),
            [b',', b'T', b'S', ..] if is_date => Some(ModuleInterface::Php { api, is_zts: true }),
            _ => None,
        }
    })
}

/// The magic block: its length, the version, and the constants FUNC_MAX_ARGS, INDEX_MAX_KEYS and NAMEDATALEN with their
/// default values. Source: PostgreSQL's fmgr.h `Pg_magic_struct`.
fn postgres(strings: &[u8], bytes: &[u8], endian: Endian) -> Option<ModuleInterface> {
    find(strings, b"\0Pg_magic_func\0")?;
    let word = |at: usize| {
        let word: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(if endian == Endian::Little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) })
    };
    (8..bytes.len()).step_by(4).find_map(|at| {
        let is_constants = [100, 32, 64].iter().zip([0, 4, 8]).all(|(value, offset)| word(at + offset) == Some(*value));
        if !is_constants {
            return None;
        }
        let version = word(at.checked_sub(4)?)?;
        let len = word(at.checked_sub(8)?)?;
        // Since PostgreSQL 10: 1600 for 16.
        let is_block = (20..=128).contains(&len) && (900..10_000).contains(&version);
        is_block.then_some(ModuleInterface::Postgres(version / 100))
    })
}

/// A module's structure: two unset indices, its name, two spare words, the version. Source: nginx's ngx_module.h
/// `NGX_MODULE_V1`.
fn nginx_module(bytes: &[u8], endian: Endian) -> Option<ModuleInterface> {
    const START: &[u8] = &{
        let mut start = [0u8; 40];
        let mut at = 0;
        while at < 16 {
            start[at] = 0xff;
            at += 1;
        }
        start
    };
    find_each(bytes, START).find_map(|at| {
        let word: [u8; 8] = bytes.get(at + START.len()..at + START.len() + 8)?.try_into().ok()?;
        let version = if endian == Endian::Little { u64::from_le_bytes(word) } else { u64::from_be_bytes(word) };
        (1_000_000..2_000_000).contains(&version).then_some(ModuleInterface::Nginx(version as u32))
    })
}

/// `nginx/1.22.1` in the server itself.
fn nginx(bytes: &[u8]) -> Option<ModuleInterface> {
    let names: [&'static [u8]; 2] = [b"\0nginx/", b"\0openresty/"];
    names.into_iter().find_map(|name| {
        let at = find(bytes, name)? + name.len();
        let (major, rest) = number(&bytes[at..])?;
        let (minor, rest) = number(rest.strip_prefix(b".")?)?;
        let (patch, _) = number(rest.strip_prefix(b".")?)?;
        Some(ModuleInterface::Nginx(major * 1_000_000 + minor * 1_000 + patch))
    })
}

/// `v5.36.0`, which a module passes to `Perl_xs_handshake`. `None` if there are several. Source: perl's XSUB.h
/// `XS_APIVERSION_BOOTCHECK`.
fn perl(strings: &[u8], bytes: &[u8]) -> Option<ModuleInterface> {
    const START: &[u8] = b"\0v5.";
    find(strings, b"\0Perl_xs_handshake\0")?;
    let mut versions = find_each(bytes, START).filter_map(|at| {
        let (minor, rest) = number(&bytes[at + START.len()..])?;
        let (_, rest) = number(rest.strip_prefix(b".")?)?;
        rest.starts_with(b"\0").then_some(minor)
    });
    let minor = versions.next()?;
    versions.all(|other| other == minor).then_some(ModuleInterface::Perl(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_of_a_module_is_read_from_its_tables_and_data() {
        let of = |path: &str, strings: &[u8], bytes: &[u8]| read(path.as_bytes(), strings, bytes, Endian::Little);
        let node = |strings: &[u8]| of("a/build/Release/a.node", strings, b"");
        assert_eq!(node(b"\0puts\0node_register_module_v108\0"), Some(ModuleInterface::Node(108)));
        assert_eq!(node(b"\0napi_register_module_v1\0node_register_module_v93\0"), None);
        assert_eq!(node(b"\0node_register_module_vX\0"), None);
        let php = |bytes: &[u8]| of("usr/lib/php/20220829/redis.so", b"", bytes);
        let build = |api, is_zts| Some(ModuleInterface::Php { api, is_zts });
        assert_eq!(php(b"API2\0API20220829,NTS\0"), build(20_220_829, false));
        assert_eq!(php(b"API20210902,TS,debug\0"), build(20_210_902, true));
        assert_eq!((php(b"API202108,TS\0"), php(b"API20210902\0")), (None, None));
        let block = |version: u32| -> Vec<u8> {
            [0, 0, 64, version, 100, 32, 64, 1].iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
        };
        let postgres = |bytes: &[u8]| of("usr/lib/postgresql/15/lib/a.so", b"\0Pg_magic_func\0", bytes);
        assert_eq!(postgres(&block(1500)), Some(ModuleInterface::Postgres(15)));
        assert_eq!((postgres(&block(3)), postgres(&block(1500)[12..])), (None, None));
        let module = |version: u64| [[0xffu8; 16].as_slice(), &[0; 24], &version.to_le_bytes(), &[0; 8]].concat();
        let nginx = |path: &str, bytes: &[u8]| of(path, b"", bytes);
        let path = "usr/lib/nginx/modules/ngx_a.so";
        assert_eq!(nginx(path, &module(1_022_001)), Some(ModuleInterface::Nginx(1_022_001)));
        assert_eq!(nginx(path, &module(7)), None);
        assert_eq!(nginx("usr/sbin/nginx", b"\0nginx/1.22.1\0"), Some(ModuleInterface::Nginx(1_022_001)));
        assert_eq!(nginx("usr/sbin/nginx", b"\0nginx/x\0"), None);
        let perl =
            |bytes: &[u8]| of("opt/perl5/lib/perl5/x86_64-linux/auto/Clone/Clone.so", b"\0Perl_xs_handshake\0", bytes);
        assert_eq!(perl(b"Clone.c\0v5.36.0\0Clone\0"), Some(ModuleInterface::Perl(36)));
        assert_eq!((perl(b"\0v5.36.0\0v5.10.1\0"), perl(b"\0v5.x\0"), perl(b"\0v5.36\0")), (None, None, None));
        assert_eq!(of("usr/lib/libx.so", b"\0Pg_magic_func\0", &block(1500)), None);
    }
}
