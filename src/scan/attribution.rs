//! The Dockerfile's line that a layer comes from. Pure, and silent where it cannot be told.

/// The line of each step in a Dockerfile, counted from 1. A step is found by its text, blanks and flags aside; one that
/// stands twice is found nowhere.
pub fn dockerfile_lines(dockerfile: Option<&str>, steps: &[Option<String>]) -> Vec<Option<usize>> {
    let instructions = dockerfile.map(instructions).unwrap_or_default();
    let only = |is_it: &dyn Fn(&str) -> bool| {
        let mut found = instructions.iter().filter(|(_, text)| is_it(text));
        match (found.next(), found.next()) {
            (Some((line, _)), None) => Some(*line),
            _ => None,
        }
    };
    let line_of = |step: &String| {
        let wanted = key(step);
        if let Some(place) = copied_to(step) {
            return only(&|text| is_copy_to(text, &wanted, place));
        }
        only(&|text| *text == wanted).or_else(|| only(&|text| text.contains('$') && is_expanded(text, &wanted)))
    };
    steps.iter().map(|step| step.as_ref().and_then(line_of)).collect()
}

/// Where to the classic builder and buildah copied: they write `COPY file:1234 in /app` for whatever was copied.
fn copied_to(step: &str) -> Option<&str> {
    let (what, place) = step.split_once(" in ")?;
    let source = what.split_whitespace().nth(1)?;
    ["file:", "dir:", "multi:"].iter().any(|kind| source.starts_with(kind)).then_some(place.trim())
}

/// Whether an instruction copies to `place`; a relative place lies below a WORKDIR that is not known here.
fn is_copy_to(text: &str, step: &str, place: &str) -> bool {
    let is_same = text.split(' ').next() == step.split(' ').next();
    let to = text.trim_end_matches(']').rsplit([' ', ',']).next().unwrap_or_default().trim_matches('"');
    let (to, place) = (to.trim_start_matches("./").trim_end_matches('/'), place.trim_end_matches('/'));
    is_same && (to == place || (!to.starts_with('/') && (to == "." || place.ends_with(&format!("/{to}")))))
}

/// Whether a step is an instruction with its variables put in.
fn is_expanded(text: &str, step: &str) -> bool {
    let mut pieces = pieces(text).into_iter();
    let Some(mut rest) = pieces.next().and_then(|first| step.strip_prefix(first.as_str())) else { return false };
    let pieces: Vec<String> = pieces.collect();
    for (index, piece) in pieces.iter().enumerate() {
        let is_last = index + 1 == pieces.len();
        let found = if is_last && rest.ends_with(piece.as_str()) {
            Some(rest.len() - piece.len())
        } else {
            rest.find(piece.as_str())
        };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty() || pieces.is_empty()
}

/// What stands between an instruction's variables.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.last_mut().expect("there is one from the start").push_str(before);
        pieces.push(String::new());
        rest = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((_, tail)) => tail,
            None => after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'),
        };
    }
    pieces.last_mut().expect("there is one from the start").push_str(rest);
    pieces
}

/// Each instruction with its first line, continuation lines joined.
fn instructions(dockerfile: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in dockerfile.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('#') || (line.is_empty() && open.is_none()) {
            continue;
        }
        let (start, mut text) = open.take().unwrap_or((index + 1, String::new()));
        text.push_str(line.trim_end_matches('\\'));
        text.push(' ');
        if line.ends_with('\\') {
            open = Some((start, text));
        } else {
            found.push((start, key(&text)));
        }
    }
    found
}

/// An instruction without blanks and without flags, which builders leave out of the history.
fn key(text: &str) -> String {
    let mut words = text.split_whitespace();
    let instruction = words.next().unwrap_or_default().to_ascii_uppercase();
    let rest: Vec<&str> = words.skip_while(|word| word.starts_with("--")).collect();
    format!("{instruction} {}", rest.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_at_its_line() {
        let dockerfile = "FROM debian\n# COPY a /a\nCOPY --chmod=755 bin/app   /usr/local/bin/app\nRUN make && \\\n    make install\n";
        let steps =
            [Some("COPY bin/app /usr/local/bin/app".to_string()), Some("RUN make && make install".to_string()), None];
        assert_eq!(dockerfile_lines(Some(dockerfile), &steps), [Some(3), Some(4), None]);
    }

    #[test]
    fn a_copy_of_the_classic_builder_or_buildah_is_found_by_its_place() {
        let dockerfile = "FROM scratch\nCOPY bin/app /usr/local/bin/app\nADD [\"a\", \"/b/\"]\nCOPY conf ./conf\n";
        let step = |text: &str| Some(text.to_string());
        let steps =
            [step("COPY file:1f in /usr/local/bin/app"), step("ADD file:2e in /b"), step("COPY dir:3d in /srv/conf")];
        assert_eq!(dockerfile_lines(Some(dockerfile), &steps), [Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn variables_stand_for_what_was_put_in() {
        let dockerfile = "FROM a\nARG DIR\nCOPY x ${DIR}/x\nRUN echo $DIR done\n";
        let step = |text: &str| Some(text.to_string());
        let steps = [step("COPY x /opt/x"), step("RUN echo $DIR done"), step("COPY y /opt/y")];
        assert_eq!(dockerfile_lines(Some(dockerfile), &steps), [Some(3), Some(4), None]);
    }

    #[test]
    fn a_step_that_stands_twice_is_claimed_nowhere() {
        let steps = [Some("RUN x".to_string())];
        assert_eq!(dockerfile_lines(Some("FROM a\nRUN x\nFROM b\nRUN x\n"), &steps), [None]);
    }
}
