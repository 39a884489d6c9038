use super::*;

fn state(vars: &[(&str, &str, bool)]) -> ShellState {
    let var = |(name, value, is_exported): &(&str, &str, bool)| {
        let value = Some(ShellValue::Text(value.to_string()));
        (name.to_string(), Var { value, is_exported: *is_exported })
    };
    ShellState {
        vars: Rc::new(vars.iter().map(var).collect()),
        args: Rc::new(vec!["a".to_string(), "b".to_string()]),
        cwd: Some("/srv".into()),
        weight: WHOLE / 2,
        ..ShellState::default()
    }
}

fn merged(mut first: ShellState, second: &ShellState) -> ShellState {
    first.absorb(second);
    first
}

fn text(state: &ShellState, name: &str) -> Option<String> {
    match state.vars.get(name)?.value.as_ref()? {
        ShellValue::Text(text) => Some(text.clone()),
        ShellValue::List(_) | ShellValue::Map(_) => None,
    }
}

#[test]
fn a_value_stays_known_only_if_both_branches_have_it() {
    let first = state(&[("SAME", "x", false), ("OTHER", "x", false), ("FIRST", "x", false)]);
    let second = state(&[("SAME", "x", true), ("OTHER", "y", true), ("SECOND", "y", true)]);
    let both = merged(first.clone(), &second);
    assert_eq!(text(&both, "SAME").as_deref(), Some("x"));
    for name in ["OTHER", "FIRST", "SECOND"] {
        assert!(!text(&both, name).is_some_and(|text| is_known(&text)), "{name}");
    }
    let exported: Vec<&str> =
        both.vars.iter().filter(|(_, var)| var.is_exported).map(|(name, _)| name.as_str()).collect();
    assert_eq!(exported, ["OTHER", "SAME", "SECOND"]);
    assert_eq!(both.weight, WHOLE);
}

#[test]
fn a_branch_that_only_a_user_takes_does_not_change_the_usual_values() {
    let usual = state(&[("A", "x", false)]);
    let mut rare = ShellState { weight: 0, cwd: Some("/opt".into()), ..state(&[("A", "y", false), ("B", "y", false)]) };
    rare.args = Rc::new(vec!["c".to_string()]);
    rare.status = ExitStatus::from_truth(Truth::No);
    let both = merged(usual.clone(), &rare);
    assert_eq!(text(&both, "A"), Some(format!("{SOFT}x")));
    assert_eq!(text(&both, "B"), None);
    assert_eq!((&both.args, &both.cwd, &both.status), (&usual.args, &usual.cwd, &usual.status));
    // Two rare branches are alike.
    let both = merged(ShellState { weight: 0, ..usual }, &rare);
    assert!(!text(&both, "A").is_some_and(|text| is_known(&text)));
    assert_eq!((both.cwd, both.status.truth), (None, Truth::Maybe));
}

#[test]
fn arguments_directories_and_streams_that_differ_are_not_known() {
    let first = ShellState { output: Some("x".into()), input: Some(Rc::new(vec!["x".into()])), ..state(&[]) };
    let second = ShellState {
        args: Rc::new(vec!["a".to_string(), "c".to_string()]),
        cwd: Some("/opt".into()),
        output: Some("y".into()),
        input: Some(Rc::new(vec!["y".into()])),
        status: ExitStatus::from_truth(Truth::No),
        ..state(&[])
    };
    let both = merged(first.clone(), &second);
    assert_eq!(*both.args, ["a".to_string(), HOLE.to_string()]);
    assert_eq!((both.cwd, both.input, both.output), (None, None, Some(HOLE.to_string())));
    assert_eq!(both.status, ExitStatus { truth: Truth::Maybe, code: None, blame: None, open: None });
    let fewer = ShellState { args: Rc::new(Vec::new()), ..second };
    assert_eq!(*merged(first.clone(), &fewer).args, [MANY.to_string()]);
    assert_eq!(merged(first.clone(), &first), ShellState { weight: WHOLE, ..first });
}

#[test]
fn what_either_branch_did_may_have_been_done() {
    let plain = state(&[]);
    let written = |path: &str| Rc::new(BTreeSet::from([path.to_string()]));
    let function = |name: &str| {
        let script = Rc::new(super::super::ScriptSource {
            script: crate::shell::parse("f() { :; }"),
            path: "e".into(),
            from: crate::exec::launch::walk::ShellText::Script,
            line_ends: None,
        });
        let body = Rc::new(script.script.list.items[0].first.commands[0].clone());
        Rc::new(BTreeMap::from([(name.to_string(), ShellFunction { body, script })]))
    };
    let other = ShellState {
        ends_on_error: true,
        is_open: true,
        has_unknown_commands: true,
        globs_to_nothing: true,
        ignores_case: true,
        written: written("/b"),
        functions: function("g"),
        ..plain.clone()
    };
    let first = ShellState { written: written("/a"), functions: function("f"), ..plain.clone() };
    for both in [merged(first.clone(), &other), merged(other, &first)] {
        assert!(!both.ends_on_error && both.is_open && both.has_unknown_commands);
        assert!(both.globs_to_nothing && both.ignores_case);
        assert_eq!(both.written.iter().map(String::as_str).collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(both.functions.keys().map(String::as_str).collect::<Vec<_>>(), ["f", "g"]);
    }
    let strict = ShellState { ends_on_error: true, ..plain };
    assert!(merged(strict.clone(), &strict).ends_on_error);
}

#[test]
fn states_with_different_options_are_not_alike() {
    let plain = state(&[]);
    assert!(plain.is_alike(&ShellState { is_open: true, status: ExitStatus::from_truth(Truth::No), ..plain.clone() }));
    for other in [
        ShellState { ends_on_error: true, ..plain.clone() },
        ShellState { ignores_case: true, ..plain.clone() },
        ShellState { globs_to_nothing: true, ..plain.clone() },
        ShellState { cwd: None, ..plain.clone() },
        ShellState { args: Rc::new(Vec::new()), ..plain.clone() },
        state(&[("A", "x", false)]),
    ] {
        assert!(!plain.is_alike(&other));
    }
}
