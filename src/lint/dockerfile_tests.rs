//! Tests of the Dockerfile parser.

use super::*;

fn parse(text: &str) -> Dockerfile<'_> {
    Dockerfile::parse(text).unwrap_or_else(|error| panic!("{error:?}: {text}"))
}

fn commands(file: &Dockerfile<'_>) -> Vec<String> {
    let steps = file.stages.iter().flat_map(|stage| &stage.steps);
    let runs = steps.filter_map(|step| match &step.kind {
        StepKind::Run(run) => Some(run),
        _ => None,
    });
    let words =
        |command: &SimpleCommand| command.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join("|");
    runs.flat_map(|run| run.commands.iter().map(words)).collect()
}

#[test]
fn stages_know_their_parents_and_platforms() {
    let file = parse("ARG B=alpine\nFROM --platform=$BUILDPLATFORM $B AS Build\nFROM build\nFROM scratch as x\n");
    let platform = file.stages[0].platform.as_ref().unwrap();
    assert_eq!(
        (platform.value.as_str(), &file.text[platform.span.clone()]),
        ("$BUILDPLATFORM", "--platform=$BUILDPLATFORM")
    );
    assert_eq!((file.stages[1].parent, file.stages[2].parent), (Some(0), None));
    assert_eq!(file.stage_named("BUILD", 2), Some(0));
    assert_eq!(file.stage_named("1", 2), Some(1));
    assert_eq!(&file.text[file.stages[2].span.clone()], "FROM scratch as x");
}

#[test]
fn run_is_read_in_every_form() {
    let text = "FROM a\nRUN --mount=type=cache,target=/x a \\\n # c\n && b\nRUN [\"c\", \"d e\"]\nRUN <<EOF\nf\ng\nEOF\nRUN <<EOF sh\nh\nEOF\nRUN cat <<EOF > /i\nj\nEOF\nrun k\n";
    assert_eq!(commands(&parse(text)), ["a", "b", "c|d e", "f", "g", "sh", "h", "cat", "k"]);
}

#[test]
fn the_escape_directive_changes_what_joins_lines() {
    let file = parse("# escape=`\nFROM a\nRUN x `\n  y\n");
    assert_eq!(commands(&file), ["x|y"]);
}

#[test]
fn variables_come_from_env_arg_and_the_global_arg() {
    let file =
        parse("ARG G=1\nARG H=2\nFROM a AS b\nARG G\nENV E=x F='y z'\nENV old value here\nFROM b\nARG H=3\nRUN z\n");
    let known = file.variables_at(1, 1);
    let value = |name: &str| known.get(name).and_then(|v| v.value.as_ref()).map(|(value, _)| value.as_str());
    assert_eq!(
        (value("G"), value("H"), value("E"), value("F"), value("old")),
        (Some("1"), Some("3"), Some("x"), Some("y z"), Some("value here"))
    );
    assert_eq!(expand("${G}-$E-${NO:-d}-${NO}-$", &known).0, "1-x-d-${NO}-$");
}

#[test]
fn a_heredoc_of_copy_is_not_a_source() {
    let file = parse("FROM a\nCOPY b <<EOF /c\n#!/bin/sh\nEOF\nUSER u\n");
    let StepKind::Copy { sources, heredocs, .. } = &file.stages[0].steps[0].kind else { panic!() };
    assert_eq!((sources.len(), heredocs.len()), (1, 1));
    assert_eq!(&file.text[file.stages[0].steps[0].span.clone()], "COPY b <<EOF /c\n#!/bin/sh\nEOF");
}

#[test]
fn a_parse_error_has_a_position() {
    let error = Dockerfile::parse("FROM a\nFOO b\n").unwrap_err();
    assert_eq!(error.at, 7, "{error:?}");
    assert!(Dockerfile::parse("").is_err());
    assert_eq!(Dockerfile::parse("FROM a\nRUN <<E\n").unwrap_err().message, "heredoc <<E is not terminated");
}
