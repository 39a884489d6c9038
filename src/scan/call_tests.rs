use super::*;
use crate::platform::{Arch, Capabilities, Platform};

fn words(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

fn run() -> RunConfig {
    RunConfig {
        entrypoint: words(&["/entry"]),
        cmd: words(&["serve"]),
        env: words(&["PATH=/bin", "A=1", "AB=2"]),
        user: "web:staff".to_string(),
        ..RunConfig::default()
    }
}

#[test]
fn words_are_named_as_their_author_names_them() {
    let words_of = |call: CallOverride| call.start(&run()).said_by;
    let call = |stated_by| CallOverride { entrypoint: Some(words(&["/app"])), stated_by, ..CallOverride::default() };
    assert_eq!(words_of(call(StatedBy::Flags)), "--entrypoint [\"/app\"]");
    assert_eq!(words_of(call(StatedBy::Pod)), "command [\"/app\"]");
    assert_eq!(words_of(call(StatedBy::Compose)), "entrypoint [\"/app\"]");
    assert_eq!(words_of(CallOverride::default()), "ENTRYPOINT [\"/entry\"]");
    let args = CallOverride { args: Some(words(&["/app"])), stated_by: StatedBy::Pod, ..CallOverride::default() };
    assert_eq!(args.start(&RunConfig::default()).said_by, "args [\"/app\"]");
}

#[test]
fn a_user_that_may_be_root_is_refused_where_it_must_not_be() {
    let refusal = |pod: Option<&str>, own: &str| {
        let call = CallOverride { user: pod.map(str::to_string), non_root: true, ..CallOverride::default() };
        call.start(&RunConfig { user: own.to_string(), ..run() }).call.refused
    };
    let names = |user: &str| Some(RootRefusal::ImageNamesUser(user.to_string()));
    for own in ["", "0", "0:5", ":5"] {
        assert_eq!(refusal(None, own), Some(RootRefusal::ImageIsRoot), "{own:?}");
    }
    assert_eq!((refusal(None, "web:staff"), refusal(None, "root")), (names("web"), names("root")));
    assert_eq!((refusal(None, "1000:0"), refusal(Some("1000"), "root")), (None, None));
    assert_eq!(refusal(Some("0"), "1000"), Some(RootRefusal::PodIsRoot));
    assert_eq!(CallOverride::default().start(&run()).call.refused, None);
}

#[test]
fn variables_user_and_group_override_the_images_own() {
    let user = |user: Option<&str>, group: Option<&str>| {
        let of = |text: Option<&str>| text.map(str::to_string);
        CallOverride { user: of(user), group: of(group), ..CallOverride::default() }.start(&run()).call.user
    };
    assert_eq!(user(None, None), "web:staff");
    assert_eq!(user(Some("1000"), None), "1000");
    assert_eq!(user(Some("1000"), Some("5")), "1000:5");
    assert_eq!(user(None, Some("5")), "web:5");
    let env = vec![("A".to_string(), Some("x".to_string())), ("PATH".to_string(), None), ("S".to_string(), None)];
    let found = CallOverride { env, ..CallOverride::default() }.start(&run()).call.env;
    assert_eq!(found, ["PATH=/bin", "AB=2", "A=x", &format!("S={UNKNOWN_TEXT}")]);
}

#[test]
fn a_program_that_an_unknown_value_names_is_not_known() {
    let named = |word: &str| CallOverride { entrypoint: Some(words(&[word])), ..CallOverride::default() };
    assert_eq!(named("/app").unknown_program(), None);
    let unknown = named(&format!("/opt/{UNKNOWN_TEXT}/app")).unknown_program();
    assert_eq!(unknown.as_deref(), Some("the program name \"/opt/?/app\" contains an unknown value"));
}

#[test]
fn a_target_has_the_containers_capabilities_and_its_sandboxs_kernel() {
    let target = Target::of_platform(&Platform::linux(Arch::Amd64)).unwrap();
    let drop_all = CapabilityChange::new(false, &words(&["NET_BIND_SERVICE"]), &words(&["all"]));
    let call = CallOverride { capabilities: drop_all, ..CallOverride::default() };
    assert_eq!(call.on(&target).node.bounding, Capabilities::parse("net_bind_service").unwrap());
    let privileged = CapabilityChange::new(true, &[], &words(&["ALL"]));
    let call = CallOverride { capabilities: privileged, ..CallOverride::default() };
    assert_eq!(call.on(&target).node.bounding, Capabilities::all());
    let call = CallOverride { sandbox: Sandbox::Gvisor, ..CallOverride::default() };
    assert_eq!(call.on(&target).node.ia32, Fact::Known(false));
}

#[test]
fn a_volume_hides_the_images_content() {
    let mut contents = Contents::default();
    for (path, kind) in [
        ("opt", EntryKind::Directory),
        ("opt/tool", EntryKind::Directory),
        ("opt/tool/x", EntryKind::File),
        ("entry.sh", EntryKind::File),
        ("var", EntryKind::Directory),
        ("var/run", EntryKind::Symlink(b"/run")),
        ("run", EntryKind::Directory),
    ] {
        contents.push(&LayerMember::plain(path.as_bytes(), kind, 0o755), None::<()>);
    }
    let mut rootfs = crate::image::merge([Arc::new(contents)]);
    let call =
        CallOverride { mounts: words(&["/opt/tool", "/entry.sh", "/var/run/x/", "/"]), ..CallOverride::default() };
    call.mount(&mut rootfs);
    let is_unread = |path: &str| rootfs.resolve(path).is_ok_and(|id| rootfs.is_unread(id));
    assert!(is_unread("/opt/tool") && is_unread("/entry.sh") && is_unread("/run/x"));
    assert!(rootfs.resolve("/opt/tool/x").is_err() && !is_unread("/opt"));
}

#[test]
fn the_directories_of_volumes_exist() {
    let mut contents = Contents::default();
    contents.push(&LayerMember::plain(b"var", EntryKind::Directory, 0o755), None::<()>);
    let mut rootfs = crate::image::merge([Arc::new(contents)]);
    let run: RunConfig = serde_json::from_str(r#"{"Volumes": {"/var/log/app": {}, "/var": {}, "x": {}}}"#).unwrap();
    create_volumes(&mut rootfs, &run);
    assert!(rootfs.resolve("/var/log/app").is_ok() && rootfs.resolve("/x").is_err());
}
