//! The index is written with the same registry settings as in every other command: a private certificate authority, a
//! password.

use std::process::Stdio;

use serde_json::Value;

use super::site::{Run, Site, digest_of};
use crate::kit::engines::run;
use crate::kit::machine::{self, Need};

/// A registry of its own with TLS and a password. Dropping it ends the server.
struct Guarded {
    server: std::process::Child,
    address: String,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = (self.server.kill(), self.server.wait());
    }
}

/// `user` with the password `secret`, in bcrypt.
const PASSWORDS: &str = "user:$2y$05$7z7hQ6gq.dbQ8WpMJ2w7xeCMCqBYM94i4JiD9lM98MtFh4XgB7asO\n";

fn guarded(site: &Site, passwords: Option<&str>) -> Guarded {
    let path = |name: &str| site.path(name).display().to_string();
    let (ca, key, request, certificate) = (path("ca.pem"), path("ca.key"), path("server.csr"), path("server.pem"));
    run(
        "openssl",
        &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &ca, "-subj", "/CN=test ca"],
    );
    let server_key = path("server.key");
    run(
        "openssl",
        &["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &server_key, "-out", &request, "-subj", "/CN=registry"],
    );
    site.write("names.cnf", "subjectAltName=IP:127.0.0.1\n");
    let signed = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-out", &certificate];
    run("openssl", &[&signed[..], &["-extfile", &path("names.cnf")]].concat());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let auth = passwords.map_or(String::new(), |text| {
        site.write("passwords", text);
        format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path("passwords"))
    });
    let text = format!(
        "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n{auth}http: {{addr: \"127.0.0.1:{port}\", secret: test, tls: {{certificate: {certificate}, key: {server_key}}}}}\n",
        path("guarded")
    );
    site.write("guarded.yml", text);
    let server = site
        .command("docker-registry")
        .args(["serve", &path("guarded.yml")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..250 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Guarded { server, address: format!("127.0.0.1:{port}") }
}

#[test]
fn a_private_authority_and_a_password_apply_to_the_tag_too() {
    let test = "a_private_authority_and_a_password_apply_to_the_tag_too";
    let Some(site) = Site::new(test).filter(|_| machine::has(test, &[Need::Openssl])) else { return };
    let registry = guarded(&site, Some(PASSWORDS));
    let image = format!("{}/app:v1", registry.address);
    // The engine does not verify registries on this machine.
    let login =
        site.command("docker").args(["login", "-u", "user", "-p", "secret", &registry.address]).output().unwrap();
    assert!(login.status.success(), "{login:?}");
    site.docker(&[
        "buildx",
        "build",
        "-q",
        "-f",
        "Faulty.Dockerfile",
        "--platform",
        "linux/amd64,linux/arm64",
        "-t",
        &image,
        "--push",
        ".",
    ]);
    let authority = site.path("ca.pem").display().to_string();
    let imgarch = |words: &[&str]| Run::of(&site.command(env!("CARGO_BIN_EXE_imgarch")).args(words).output().unwrap());
    imgarch(&["rebuild", &image, "--yes"]).check(3, &["from an untrusted authority", "--ca-cert"]);
    imgarch(&["rebuild", &image, "--yes", "--ca-cert", &authority]).check(0, &["is rebuilt and verified"]);
    imgarch(&["scan", &image, "--ca-cert", &authority]).check(0, &["2 platforms"]);
}

/// An index as other tools create them: nested, with unknown fields.
#[test]
fn unchanged_platforms_of_a_nested_index_keep_their_bytes() {
    let Some(site) = Site::new("unchanged_platforms_of_a_nested_index_keep_their_bytes") else { return };
    let image = site.publish_fault("nested:v1");
    let inner = site.index(&image);
    let put = |tag: &str, text: &str| site.put("nested", tag, "application/vnd.oci.image.index.v1+json", text);
    let manifest = site.docker(&["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", &image]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let nested = format!(
        r#"{{"mediaType":"application/vnd.oci.image.index.v1+json", "size":{}, "digest":{},"artifactType":"a/b","annotations":{{"k":"v"}}}}"#,
        manifest["size"], manifest["digest"]
    );
    let text = format!(r#"{{"schemaVersion":2,"unknown":[1, 2.50],"manifests":[{nested}],"annotations":{{"o":"p"}}}}"#);
    put("v1", &text);
    site.imgarch(&["rebuild", &image, "--yes"], None)
        .check(0, &["is rebuilt and verified", "linux/amd64", "unchanged"]);
    let raw = site.docker(&["buildx", "imagetools", "inspect", "--raw", &image]);
    assert!(raw.contains(r#""unknown":[1, 2.50]"#) && raw.contains(r#""annotations":{"o":"p"}"#), "{raw}");
    let after = site.index(&image);
    assert_eq!(digest_of(&inner, "amd64"), digest_of(&after, "amd64"));
    site.imgarch(&["scan", &image], None).check(0, &["2 platforms"]);
    // If none of its platforms is rebuilt, the nested index stays whole.
    let manifest = site.docker(&["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", &image]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let nested = format!(
        r#"{{ "mediaType":"application/vnd.oci.image.index.v1+json","digest":{},"size":{},"urls":["https://x"]}}"#,
        manifest["digest"], manifest["size"]
    );
    put("v2", &format!(r#"{{"schemaVersion":2,"manifests":[{nested}]}}"#));
    let other = site.image("nested:v2");
    site.imgarch(&["rebuild", &other, "--platform", "linux/riscv64", "--yes"], None)
        .check(0, &["is rebuilt and verified"]);
    let raw = site.docker(&["buildx", "imagetools", "inspect", "--raw", &other]);
    assert!(raw.contains(&nested), "{raw}");
    site.imgarch(&["scan", &other], None).check(0, &["3 platforms"]);
}
