//! Every message of the table is recognised in every format that wraps log lines.

use super::message::{Sign, messages};
use super::reader::read_log;
use super::recognise::recognise;

/// A tool or service that wraps a program's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrapper {
    None,
    Compose,
    ComposeV1,
    ColouredCompose,
    Kubectl,
    Stern,
    Cri,
    DockerJson,
    StructuredJson,
    Journal,
    Syslog,
    CloudWatch,
    CloudWatchEvents,
    CloudLogging,
    GitLab,
    GitHub,
    BuildKit,
    Heroku,
    Crlf,
    Utf16,
}

impl Wrapper {
    const ALL: [Wrapper; 20] = [
        Wrapper::None,
        Wrapper::Compose,
        Wrapper::ComposeV1,
        Wrapper::ColouredCompose,
        Wrapper::Kubectl,
        Wrapper::Stern,
        Wrapper::Cri,
        Wrapper::DockerJson,
        Wrapper::StructuredJson,
        Wrapper::Journal,
        Wrapper::Syslog,
        Wrapper::CloudWatch,
        Wrapper::CloudWatchEvents,
        Wrapper::CloudLogging,
        Wrapper::GitLab,
        Wrapper::GitHub,
        Wrapper::BuildKit,
        Wrapper::Heroku,
        Wrapper::Crlf,
        Wrapper::Utf16,
    ];

    fn wrap(self, line: &str) -> Vec<u8> {
        let json = |text: &str| serde_json::to_string(text).unwrap();
        let wrapped = match self {
            Wrapper::None => line.to_string(),
            Wrapper::Compose => format!("web-1  | {line}"),
            Wrapper::ComposeV1 => format!("web_1      | {line}\nmesh_web_1 exited with code 1"),
            Wrapper::ColouredCompose => format!("\u{1b}[36mweb-1  | \u{1b}[0m{line}\u{1b}[0m"),
            Wrapper::Kubectl => format!("[pod/web-5c9d-x2v4k/app] {line}"),
            Wrapper::Stern => format!("\u{1b}[1;32mweb-5c9d-x2v4k\u{1b}[0m \u{1b}[32mapp\u{1b}[0m {line}"),
            Wrapper::Cri => format!("2026-03-01T10:00:00.123456789Z stderr F {line}"),
            Wrapper::DockerJson => {
                format!(
                    "{{\"log\":{},\"stream\":\"stderr\",\"time\":\"2026-03-01T10:00:00Z\"}}",
                    json(&format!("{line}\n"))
                )
            }
            Wrapper::StructuredJson => format!("{{\"level\":\"error\",\"msg\":{},\"ts\":1700000000.1}}", json(line)),
            Wrapper::Journal => format!("Mar 01 10:00:00 node-a app[812]: {line}"),
            Wrapper::Syslog => format!("<11>1 2026-03-01T10:00:00Z node-a app 812 - - {line}"),
            Wrapper::CloudWatch => format!("2026-03-01T10:00:00.123Z\t{line}"),
            Wrapper::CloudWatchEvents => {
                format!(
                    "{{\"events\":[{{\"timestamp\":1700000000000,\"message\":{},\"ingestionTime\":1700000000100}}]}}",
                    json(line)
                )
            }
            Wrapper::CloudLogging => format!("severity: \"ERROR\"\ntextPayload: {}", json(line)),
            Wrapper::GitLab => format!("2026-03-01T10:00:00.123456Z 01O \u{1b}[0K\u{1b}[31;1m{line}\u{1b}[0;m"),
            Wrapper::GitHub => format!("2026-03-01T10:00:00.1234567Z ##[error]{line}"),
            Wrapper::BuildKit => format!("#12 0.213 {line}"),
            Wrapper::Heroku => format!("2026-03-01T10:00:00.000000+00:00 app[web.1]: {line}"),
            Wrapper::Crlf => format!("starting\r\n{line}\r\n"),
            Wrapper::Utf16 => {
                return format!("\u{feff}starting\r\n{line}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
            }
        };
        wrapped.into_bytes()
    }
}

#[test]
fn every_row_is_recognised_within_every_wrapper() {
    let mut wrong = Vec::new();
    for message in messages().filter(|message| message.sign != Some(Sign::Unrelated)) {
        let plain = recognise(message.example);
        let Some(expected) = plain.first() else {
            wrong.push(format!("{:?} is not recognised", message.example));
            continue;
        };
        for wrapper in Wrapper::ALL {
            let found = read_log(&wrapper.wrap(message.example)[..]).unwrap().symptoms;
            let is_same = found.iter().any(|symptom| symptom.sign == expected.sign && symptom.path == expected.path);
            if !is_same {
                let found: Vec<_> = found.iter().map(|symptom| (symptom.sign, symptom.path.clone())).collect();
                wrong.push(format!(
                    "{wrapper:?}: {:?}\n    wants {:?} {:?}, found {found:?}",
                    message.example, expected.sign, expected.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn unrelated_messages_are_ignored_within_every_wrapper() {
    for message in messages().filter(|message| message.sign == Some(Sign::Unrelated)) {
        for wrapper in Wrapper::ALL {
            let found = read_log(&wrapper.wrap(message.example)[..]).unwrap().symptoms;
            let found: Vec<Sign> =
                found.iter().map(|symptom| symptom.sign).filter(|sign| *sign != Sign::Exited).collect();
            assert_eq!(found, [], "{wrapper:?}: {:?}", message.example);
        }
    }
}
