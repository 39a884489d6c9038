//! Writes the answers of `imgarch diagnose`: one screen of text with the cause first and commands to paste, or JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::escape::{plural, visible};
use super::terminal::fill;
use super::view::is_command;
use crate::diagnose::{Answer, Likelihood};

/// The output format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerStyle {
    Text,
    Json,
}

/// Version of the JSON document.
const SCHEMA: u32 = 1;
/// Width of the labels on the left, in columns.
const LABEL: usize = 12;
/// How many workloads of one cause are named at the top. The rest are counted.
const NAMED: usize = 4;
/// With more answers than this, only the first of each cause is written in full.
const MANY: usize = 10;
/// How many answers of one cause are written as a command only. The rest are counted.
const LISTED: usize = 20;
/// How many other suspects are named, without unlikely ones. JSON contains all.
const OTHERS: usize = 3;

pub fn write(answers: &[Answer], format: AnswerStyle, width: usize, out: &mut dyn Write) -> io::Result<()> {
    if format == AnswerStyle::Json {
        let answers: Vec<Value> = answers.iter().map(answer_json).collect();
        serde_json::to_writer_pretty(&mut *out, &json!({"schema": SCHEMA, "answers": answers}))?;
        return writeln!(out);
    }
    lead(answers, width, out)?;
    // Many that fail of one cause are one block.
    let full = if answers.len() > MANY { 1 } else { answers.len() };
    for (index, of_one) in answers.chunk_by(|one, next| one.suspect == next.suspect).enumerate() {
        for (place, answer) in of_one.iter().take(full).enumerate() {
            if index + place > 0 {
                writeln!(out)?;
            }
            text(answer, width, out)?;
        }
        let others = of_one.get(full..).unwrap_or_default();
        let mut lines: Vec<String> = others.iter().take(LISTED).map(again).collect();
        if others.len() > LISTED {
            lines.push(format!("and {} more; --format json has each in full", others.len() - LISTED));
        }
        section("the same", &lines, Fold::Never, out)?;
    }
    Ok(())
}

/// Formats the command that gives an answer alone, with the number of its pods.
fn again(answer: &Answer) -> String {
    format!("{}   # {}", answer.again, plural(answer.pods, "pod"))
}

/// Writes a summary before several answers: each cause with its workloads and pods.
fn lead(answers: &[Answer], width: usize, out: &mut dyn Write) -> io::Result<()> {
    if answers.len() < 2 || answers.iter().all(|answer| answer.pods == 0) {
        return Ok(());
    }
    let pods = answers.iter().map(|answer| answer.pods).sum::<usize>();
    writeln!(out, "{} of {}:", plural(pods, "failing pod"), plural(answers.len(), "group"))?;
    for of_one in answers.chunk_by(|one, next| one.suspect == next.suspect) {
        let pods = of_one.iter().map(|answer| answer.pods).sum::<usize>();
        let subjects =
            of_one.iter().map(|answer| subject(answer).split([' ', ',']).next().unwrap_or_default().to_string());
        let named = subjects.take(NAMED).collect::<Vec<_>>().join(", ");
        let more = match of_one.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let sentence = of_one[0].suspect.row().sentence;
        let line = format!("{sentence}: {named}{more}");
        writeln!(out, "{}", fill(&format!("{:>5}  ", pods), &visible(&line), LABEL, width))?;
    }
    writeln!(out)
}

/// What an answer is about, with its namespace where there are several.
pub fn subject(answer: &Answer) -> String {
    match &answer.namespace {
        Some(namespace) => format!("{namespace}/{}", answer.subject),
        None => answer.subject.clone(),
    }
}

fn text(answer: &Answer, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let subject = if answer.subject.is_empty() { String::new() } else { format!("{}: ", subject(answer)) };
    let hedge = match answer.likelihood {
        Likelihood::Certain => "",
        Likelihood::Likely => "probably ",
        Likelihood::Possible | Likelihood::Unlikely => "perhaps ",
    };
    let heading = format!("{subject}{hedge}{}", answer.suspect.row().sentence);
    writeln!(out, "{}\n", fill("", &visible(&heading), 2, width))?;
    section("cause", &[format!("{}   [{}]", answer.cause, answer.likelihood.word())], Fold::Prose(width), out)?;
    section("now", &answer.now, Fold::Steps(width), out)?;
    section("then", &answer.then, Fold::Steps(width), out)?;
    section("check", &answer.check, Fold::Steps(width), out)?;
    section("evidence", &answer.evidence, Fold::Prose(width), out)?;
    section("not", &answer.excluded, Fold::Prose(width), out)?;
    let others: Vec<String> = answer
        .others
        .iter()
        .filter(|other| other.likelihood > Likelihood::Unlikely)
        .take(OTHERS)
        .map(|other| format!("{}: {}", other.likelihood.word(), other.suspect.row().sentence))
        .collect();
    section("or", &others, Fold::Prose(width), out)
}

/// Which lines are folded. Commands never are, because a folded command cannot be pasted.
#[derive(Clone, Copy)]
enum Fold {
    Prose(usize),
    /// Prose and commands.
    Steps(usize),
    Never,
}

fn section(label: &str, lines: &[String], fold: Fold, out: &mut dyn Write) -> io::Result<()> {
    let mut label = label;
    for line in lines {
        let lead = format!("  {label:<width$}", width = LABEL - 2);
        match fold {
            Fold::Steps(_) if is_command(line) => writeln!(out, "{lead}{}", visible(line))?,
            // Continuation lines are indented more than the next item.
            Fold::Prose(width) | Fold::Steps(width) => {
                writeln!(out, "{}", fill(&lead, &visible(line), LABEL + 2, width))?
            }
            Fold::Never => writeln!(out, "{lead}{}", visible(line))?,
        }
        label = "";
    }
    Ok(())
}

fn answer_json(answer: &Answer) -> Value {
    json!({
        "subject": answer.subject,
        "namespace": answer.namespace,
        "pods": answer.pods,
        "cause": {
            "code": answer.suspect.name(),
            "sentence": answer.suspect.row().sentence,
            "text": answer.cause,
            "likelihood": answer.likelihood.word(),
        },
        "evidence": answer.evidence,
        "excluded": answer.excluded,
        "others": answer.others.iter().map(|other| json!({
            "code": other.suspect.name(), "likelihood": other.likelihood.word(), "why": other.why,
        })).collect::<Vec<_>>(),
        "check": answer.check,
        "now": answer.now,
        "then": answer.then,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::recognise::recognise;
    use crate::diagnose::{Evidence, answer};

    fn written(format: AnswerStyle) -> String {
        let symptoms = recognise("exec /app: exec format error");
        let answer =
            answer(&Evidence { subject: "pod/app\u{1b}[2J".into(), symptoms: &symptoms, ..Evidence::default() });
        let mut out = Vec::new();
        write(&[answer.unwrap()], format, 80, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_answer_comes_first_and_fits_its_width() {
        let text = written(AnswerStyle::Text);
        assert!(
            text.starts_with("pod/app\\x1b[2J: probably the program is for another architecture than the node\n\n"),
            "{text}"
        );
        for line in text.lines().skip(2).filter(|line| !line.contains("imgarch ")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let at = |label: &str| text.find(label).unwrap_or_else(|| panic!("{text}"));
        assert!(at("  cause ") < at("  then ") && at("  then ") < at("  evidence "), "{text}");
        assert!(
            text.contains("  check     add --image for the file, its layer and commands")
                && text.contains("  then      build the image"),
            "{text}"
        );
        assert!(!text.contains("IMAGE") && !text.contains("PLATFORM"), "{text}");
    }

    #[test]
    fn several_answers_start_with_a_summary_of_causes() {
        let symptoms = recognise("exec /app: exec format error");
        let one = |subject: &str, pods: usize| {
            let evidence = Evidence { subject: subject.into(), symptoms: &symptoms, ..Evidence::default() };
            Answer { pods, ..answer(&evidence).unwrap() }
        };
        let mut out = Vec::new();
        let answers =
            [one("deployment/a (3 of 3 pods), container c, Error", 3), one("deployment/b, container c, Error", 1)];
        write(&answers, AnswerStyle::Text, 80, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lead = "4 failing pods of 2 groups:\n    4  the program is for another architecture than the node: deployment/a,\n";
        assert!(text.starts_with(lead), "{text}");
    }

    #[test]
    fn many_answers_of_one_cause_are_one_block_with_a_command_for_each() {
        let symptoms = recognise("exec /app: exec format error");
        let one = |number: usize| {
            let subject = format!("deployment/a{number} (1 of 1 pods), container c, Error");
            let evidence = Evidence { subject, symptoms: &symptoms, ..Evidence::default() };
            let again = format!("imgarch diagnose deployment/a{number} -n shop");
            Answer { pods: 1, namespace: Some("shop".into()), again, ..answer(&evidence).unwrap() }
        };
        let text = |count: usize| {
            let mut out = Vec::new();
            write(&(0..count).map(one).collect::<Vec<_>>(), AnswerStyle::Text, 80, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(MANY).matches("  cause  ").count(), MANY);
        let many = text(LISTED + 5);
        assert_eq!(
            (many.matches("  cause  ").count(), many.matches("imgarch diagnose deployment/").count()),
            (1, LISTED)
        );
        assert!(many.contains("shop/deployment/a0, shop/deployment/a1"), "{many}");
        assert!(many.contains("  the same  imgarch diagnose deployment/a1 -n shop   # 1 pod\n"), "{many}");
        assert!(many.ends_with("            and 4 more; --format json has each in full\n"), "{many}");
    }

    #[test]
    fn json_carries_its_schema() {
        let value: Value = serde_json::from_str(&written(AnswerStyle::Json)).unwrap();
        assert_eq!(value["schema"], 1);
        assert_eq!(value["answers"][0]["cause"]["code"], "foreign-architecture");
    }
}
