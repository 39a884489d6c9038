//! Writes the answers of `imgarch diagnose`: one screen of text with the cause first and commands to paste, or JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::escape::{plural, visible};
use super::terminal::fill;
use crate::diagnose::{Answer, Likelihood};

/// The output format of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AnswerFormat {
    Text,
    Json,
}

/// Version of the JSON document.
const SCHEMA: u32 = 1;
/// Width of the labels on the left, in columns.
const LABEL: usize = 12;
/// How many workloads of one cause are named at the top. The rest are counted.
const NAMED: usize = 4;
/// How many other suspects are named, without unlikely ones. JSON contains all.
const OTHERS: usize = 3;

pub fn write(answers: &[Answer], format: AnswerFormat, width: usize, out: &mut dyn Write) -> io::Result<()> {
    if format == AnswerFormat::Json {
        let answers: Vec<Value> = answers.iter().map(answer_json).collect();
        serde_json::to_writer_pretty(&mut *out, &json!({"schema": SCHEMA, "answers": answers}))?;
        return writeln!(out);
    }
    lead(answers, width, out)?;
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        text(answer, width, out)?;
    }
    Ok(())
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
        let subjects = of_one.iter().filter_map(|answer| answer.subject.split([' ', ',']).next());
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

fn text(answer: &Answer, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let subject = if answer.subject.is_empty() { String::new() } else { format!("{}: ", answer.subject) };
    let hedge = match answer.likelihood {
        Likelihood::Certain => "",
        Likelihood::Likely => "probably ",
        Likelihood::Possible | Likelihood::Unlikely => "perhaps ",
    };
    let heading = format!("{subject}{hedge}{}", answer.suspect.row().sentence);
    writeln!(out, "{}\n", fill("", &visible(&heading), 2, width))?;
    section("cause", &[format!("{}   [{}]", answer.cause, answer.likelihood.word())], Fold::Words(width), out)?;
    section("evidence", &answer.evidence, Fold::Words(width), out)?;
    section("not", &answer.excluded, Fold::Words(width), out)?;
    let others: Vec<String> = answer
        .others
        .iter()
        .filter(|other| other.likelihood > Likelihood::Unlikely)
        .take(OTHERS)
        .map(|other| format!("{}: {}", other.likelihood.word(), other.suspect.row().sentence))
        .collect();
    section("or", &others, Fold::Words(width), out)?;
    section("check", &answer.check, Fold::Never, out)?;
    section("now", &answer.now, Fold::Never, out)?;
    section("then", &answer.then, Fold::Never, out)
}

/// Whether lines are folded. Commands never are, because a folded command cannot be pasted.
#[derive(Clone, Copy)]
enum Fold {
    Words(usize),
    Never,
}

fn section(label: &str, lines: &[String], fold: Fold, out: &mut dyn Write) -> io::Result<()> {
    let mut label = label;
    for line in lines {
        let lead = format!("  {label:<width$}", width = LABEL - 2);
        match fold {
            // Continuation lines are indented more than the next item.
            Fold::Words(width) => writeln!(out, "{}", fill(&lead, &visible(line), LABEL + 2, width))?,
            Fold::Never => writeln!(out, "{lead}{}", visible(line))?,
        }
        label = "";
    }
    Ok(())
}

fn answer_json(answer: &Answer) -> Value {
    json!({
        "subject": answer.subject,
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

    fn written(format: AnswerFormat) -> String {
        let symptoms = recognise("exec /app: exec format error");
        let answer =
            answer(&Evidence { subject: "pod/app\u{1b}[2J".into(), symptoms: &symptoms, ..Evidence::default() });
        let mut out = Vec::new();
        write(&[answer.unwrap()], format, 80, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_answer_comes_first_and_fits_its_width() {
        let text = written(AnswerFormat::Text);
        assert!(
            text.starts_with("pod/app\\x1b[2J: probably the program is for another architecture than the node\n\n"),
            "{text}"
        );
        for line in text.lines().skip(2).filter(|line| !line.contains("imgarch ")) {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("  check     add --image to get commands"), "{text}");
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
        write(&answers, AnswerFormat::Text, 80, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lead = "4 failing pods of 2 groups:\n    4  the program is for another architecture than the node: deployment/a,\n";
        assert!(text.starts_with(lead), "{text}");
    }

    #[test]
    fn json_carries_its_schema() {
        let value: Value = serde_json::from_str(&written(AnswerFormat::Json)).unwrap();
        assert_eq!(value["schema"], 1);
        assert_eq!(value["answers"][0]["cause"]["code"], "foreign-architecture");
    }
}
