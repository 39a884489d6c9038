//! Every text is translated back to English.

use super::*;
use crate::diagnose::message::Sign;
use crate::diagnose::recognise::recognise;
use crate::exec::Errno;

#[test]
fn every_text_is_translated_to_english() {
    for (text, english) in texts() {
        let line = format!("./app: {text}");
        let expected = format!("./app: {english}");
        assert_eq!(to_english(&line).as_deref(), Some(expected.as_str()), "{text}");
    }
}

#[test]
fn an_exec_format_error_of_bash_is_recognised_in_every_language() {
    for catalogue in CATALOGUES {
        let binary = [catalogue.execute_binary, "cannot execute binary file"].into_iter().find(|text| !text.is_empty());
        let line = format!("web-1  | bash: ./app: {}: {}", binary.unwrap(), catalogue.exec_format);
        let found = recognise(&line);
        assert_eq!(found.len(), 1, "{}: {line}", catalogue.language);
        assert_eq!((found[0].sign, found[0].path.as_deref()), (Sign::Exec(Errno::ENOEXEC), Some("./app")), "{line}");
        assert_eq!(found[0].line, line, "the line is shown as it was printed");
    }
}

#[test]
fn colons_of_other_languages_end_a_name() {
    for (line, sign, path) in [
        (
            "bash: ./app\u{a0}: impossible d'exécuter le fichier binaire\u{a0}: Erreur de format pour exec()",
            Sign::Exec(Errno::ENOEXEC),
            "./app",
        ),
        ("bash: k6\u{a0}: commande introuvable", Sign::CommandNotFound, "k6"),
        ("bash: ./kubectl: 无法执行二进制文件：可执行文件格式错误", Sign::Exec(Errno::ENOEXEC), "./kubectl"),
        ("/run.sh：無法執行：找不到必須檔案", Sign::InterpreterMissing, "/run.sh"),
        (
            "ImportError: libGL.so.1: невозможно открыть разделяемый объектный файл: Нет такого файла или каталога",
            Sign::LibraryMissing,
            "libGL.so.1",
        ),
    ] {
        let found = recognise(line);
        assert_eq!(
            found.first().map(|symptom| (symptom.sign, symptom.path.as_deref())),
            Some((sign, Some(path))),
            "{line}"
        );
    }
}

#[test]
fn other_text_is_not_changed() {
    assert_eq!(to_english("alles in Ordnung"), None);
    assert_eq!(to_english(""), None);
}
