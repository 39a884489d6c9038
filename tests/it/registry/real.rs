//! Tests with the real server, for behaviour that the fake may get wrong.

use super::*;
use crate::kit::distribution::{Distribution, Mode, PASSWORD, USER};

fn image_of(host: &str, options: RegistryOptions, rest: &str) -> Registry {
    let reference = Reference::parse(&format!("{host}/{rest}")).unwrap();
    RegistryClient::new(options).unwrap().image(&reference)
}

/// Reads the pushed image with `options`, by its tag and by its digest.
fn check(server: &Distribution, options: RegistryOptions) {
    let stored = server.put_image("team/app", "1", &noise(500_000));
    for rest in ["team/app:1".to_string(), format!("team/app:other@{}", stored.digest)] {
        let image = image_of(&server.host, options.clone(), &rest);
        let root = image.root().unwrap();
        assert_eq!((&root.digest, root.media_type.as_str()), (&stored.digest, OCI_MANIFEST));
        assert_eq!(image.head().unwrap(), root);
        assert_eq!(read(&image, &root).unwrap(), stored.manifest);
        // By its own path, not through state that the root request left.
        assert_eq!(read(&image_of(&server.host, options.clone(), &rest), &root).unwrap(), stored.manifest);
        assert_eq!(read(&image, &layer_of(&stored)).unwrap(), stored.layer_bytes);
    }
}

#[test]
fn a_public_registry_is_read_over_plain_http() {
    let Some(server) = Distribution::start("a real registry", Mode::Plain) else { return };
    check(&server, options());
    let error = image_of(&server.host, options(), "team/app:2").root().unwrap_err();
    assert_eq!(error.to_string(), format!("tag {0}/team/app:2 was not found in {0}", server.host));
    let error = image_of(&server.host, options(), "nobody/home").root().unwrap_err();
    assert!(matches!(error.bare(), SourceError::NotFound { .. }), "{error}");
}

#[test]
fn a_registry_with_users_is_read_with_a_password() {
    let Some(server) = Distribution::start("a real registry", Mode::Htpasswd) else { return };
    check(&server, with_login(&server.host, basic(USER, PASSWORD)));
    let error = image_of(&server.host, options(), "team/app:1").root().unwrap_err();
    assert!(error.to_string().contains("there is no credential"), "{error}");
    let error =
        image_of(&server.host, with_login(&server.host, basic(USER, "wrong")), "team/app:1").root().unwrap_err();
    assert!(error.to_string().contains("the credential of user gives no access"), "{error}");
}

#[test]
fn a_registry_with_a_token_server_is_read_and_pushed_to() {
    let Some(server) = Distribution::start("a real registry", Mode::Token) else { return };
    let options = with_login(&server.host, basic(USER, PASSWORD));
    check(&server, options.clone());
    // A token that may only read is not used for writing. In the other direction, one is enough.
    let image = image_of(&server.host, options, "team/app:pushed");
    image.head().unwrap_err();
    check_push(&image);
    let error = image_of(&server.host, super::options(), "team/app:1").root().unwrap_err();
    assert!(error.to_string().contains("incorrect username or password"), "{error}");
}

#[test]
fn a_private_authority_is_trusted_if_given() {
    let Some(server) = Distribution::start("a real registry", Mode::Tls) else { return };
    check(&server, RegistryOptions { ca_certs: vec![server.ca_cert.clone()], ..options() });
    check(&server, RegistryOptions { trust: TlsTrust::Insecure, ..options() });
    let error = image_of(&server.host, options(), "team/app:1").root().unwrap_err();
    assert!(error.to_string().contains("its certificate is from an untrusted authority"), "{error}");
    assert!(error.hint().unwrap().contains("--ca-cert FILE"));
    let options = RegistryOptions { ca_certs: vec![server.ca_cert.clone()], ..options() };
    let error = image_of(&by_another_name(&server), options, "team/app:1").root().unwrap_err();
    assert!(error.to_string().contains("certificate not valid for name"), "{error}");
}

#[test]
fn a_self_signed_certificate_is_trusted_if_given_as_the_authority() {
    let Some(server) = Distribution::start("a real registry", Mode::SelfSigned) else { return };
    let given = |path: &std::path::Path| RegistryOptions { ca_certs: vec![path.to_path_buf()], ..options() };
    check(&server, given(&server.ca_cert));
    check(&server, RegistryOptions { trust: TlsTrust::Insecure, ..options() });
    let Some(other) = Distribution::start("a real registry", Mode::SelfSigned) else { return };
    for refused in [options(), given(&other.ca_cert)] {
        let error = image_of(&server.host, refused, "team/app:1").root().unwrap_err();
        assert!(error.to_string().contains("could not be reached: its certificate is"), "{error}");
        assert!(error.hint().unwrap().contains("--ca-cert FILE"));
    }
    let error = image_of(&by_another_name(&server), given(&server.ca_cert), "team/app:1").root().unwrap_err();
    assert!(error.to_string().contains("certificate not valid for name"), "{error}");
}

#[test]
fn a_setting_for_one_host_does_not_apply_to_others() {
    let (Some(server), Some(other)) =
        (Distribution::start("a real registry", Mode::Tls), Distribution::start("a real registry", Mode::Tls))
    else {
        return;
    };
    let with_host =
        |host: &HostOptions| RegistryOptions { hosts: [(server.host.clone(), host.clone())].into(), ..options() };
    for host in [
        HostOptions { ca_certs: vec![server.ca_cert.clone()], ..HostOptions::default() },
        HostOptions { is_insecure: true, ..HostOptions::default() },
    ] {
        check(&server, with_host(&host));
        let error = image_of(&other.host, with_host(&host), "team/app:1").root().unwrap_err();
        assert!(error.to_string().contains("from an untrusted authority"), "{error}");
    }
    // A mirror is a host like any other.
    let insecure = HostOptions { is_insecure: true, ..HostOptions::default() };
    let mirrors = [("registry.example".to_string(), vec![server.host.clone()])].into();
    server.put_image("team/app", "1", &noise(1000));
    image_of("registry.example", RegistryOptions { mirrors, ..with_host(&insecure) }, "team/app:1").root().unwrap();
}

/// Another name for the same server, whose certificate only has the address.
fn by_another_name(server: &Distribution) -> String {
    server.host.replace("127.0.0.1", "localhost")
}

#[test]
fn certificates_are_found_by_the_hosts_name() {
    let Some(server) = Distribution::start("a real registry", Mode::MutualTls) else { return };
    let directories = tempfile::tempdir().unwrap();
    let with_directory = || RegistryOptions { cert_folders: vec![directories.path().to_path_buf()], ..options() };
    assert!(image_of(&server.host, with_directory(), "team/app:1").root().is_err());
    let own = directories.path().join(&server.host);
    std::fs::create_dir(&own).unwrap();
    std::fs::copy(&server.ca_cert, own.join("ca.crt")).unwrap();
    // Now the server is trusted, but it does not trust this client.
    assert!(image_of(&server.host, with_directory(), "team/app:1").root().is_err());
    let (cert, key) = server.identity();
    std::fs::copy(&cert, own.join("client.cert")).unwrap();
    let error = image_of(&server.host, with_directory(), "team/app:1").root().unwrap_err();
    assert!(matches!(error.bare(), SourceError::File { path, .. } if path.ends_with("client.key")), "{error}");
    std::fs::copy(&key, own.join("client.key")).unwrap();
    check(&server, with_directory());
    std::fs::write(own.join("client.key"), "hunter2").unwrap();
    let error = image_of(&server.host, with_directory(), "team/app:1").root().unwrap_err().to_string();
    assert!(error.contains("client.cert is malformed") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_broken_body_resumes_with_a_range() {
    let Some(server) = Distribution::start("a real registry", Mode::Plain) else { return };
    let stored = server.put_image("team/app", "1", &noise(500_000));
    // The first connection breaks in the fake, and the second leads to the real server.
    let double = FakeRegistry::start();
    double.put_image("team/app", "1", &stored.layer_bytes);
    double.plan("/blobs/", Fault::Cut(200_000));
    double.plan("/blobs/", Fault::Redirect(format!("http://{}{{path}}", server.host)));
    assert_eq!(read(&image(&double, options(), "team/app:1"), &layer_of(&stored)).unwrap(), stored.layer_bytes);
}

#[test]
fn a_pushed_image_is_read_back() {
    let Some(server) = Distribution::start("a real registry", Mode::Htpasswd) else { return };
    let image = image_of(&server.host, with_login(&server.host, basic(USER, PASSWORD)), "team/app:pushed");
    check_push(&image);
    // This server has no referrers API: the fallback tag is looked up, and does not exist.
    let root = image.root().unwrap();
    assert_eq!(image.referrers(&root.digest).unwrap(), []);
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":{}}}]}}"#,
        root.digest, root.size
    );
    let tag = format!("sha256-{}", root.digest.hex());
    image.push_manifest(&tag, OCI_INDEX, index.as_bytes()).unwrap();
    let found: Vec<Digest> = image.referrers(&root.digest).unwrap().into_iter().map(|one| one.digest).collect();
    assert_eq!(found, [root.digest]);
}
